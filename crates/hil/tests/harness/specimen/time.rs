// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests that take their time, and tests that must not meet each other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Longer than any test here may take.
const LATE: Duration = Duration::from_secs(30);

fn late() {
    thread::sleep(LATE);
}

fn note_that_it_was_there() -> hil::Result {
    Err("the teardown was run".into())
}

#[hil::test(timeout = "200 ms")]
fn never_ends() {
    late();
}

#[hil::test(timeout = "200 ms", teardown = note_that_it_was_there)]
fn never_ends_and_has_a_teardown() {
    late();
}

#[hil::test(timeout = "200 ms", setup = late)]
fn setup_never_ends() {}

#[hil::test(timeout = "200 ms", teardown = late)]
fn teardown_never_ends() -> hil::Result {
    Err("and it failed before".into())
}

fn slow() {
    thread::sleep(Duration::from_millis(200));
}

/// Has less time than its parts need together, but more than any of them.
#[hil::test(timeout = "300 ms", setup = slow)]
fn has_slow_parts() {
    slow();
}

/// Ends after its time, but while the next test runs.
#[hil::test(timeout = "200 ms", teardown = note_that_it_was_there)]
fn ends_a_little_late() -> hil::Result {
    thread::sleep(Duration::from_millis(300));
    Err("late".into())
}

#[hil::test]
fn ends_a_little_late_and_the_next_one_sees_nothing_of_it() {
    thread::sleep(Duration::from_millis(300));
}

#[hil::test(timeout = "2 min")]
fn ends_in_time() {
    thread::sleep(Duration::from_millis(300));
}

/// How many tests are under way, and how often they have met another one.
static UNDER_WAY: AtomicU32 = AtomicU32::new(0);

fn alone() -> hil::Result {
    let others = UNDER_WAY.fetch_add(1, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(200));
    UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
    if others == 0 {
        Ok(())
    } else {
        Err(format!("met {others}").into())
    }
}

#[hil::test]
fn alone_one() -> hil::Result {
    alone()
}

#[hil::test]
fn alone_two() -> hil::Result {
    alone()
}

#[hil::test]
fn ends_the_process() {
    std::process::abort();
}
