// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests end in time, or are given up.

use std::time::{Duration, Instant};

use super::Run;

/// Much less than the tests take that never end, much more than their bounds.
const SOON: Duration = Duration::from_secs(10);

/// What is said of a test whose time was up.
fn given_up(test: &str) -> String {
    let start = Instant::now();
    let run = Run::new(&["--exact", test]);
    assert!(start.elapsed() < SOON);
    assert_eq!((run.code, run.counts()), (Some(101), [0, 1, 0]));
    let last = run.failure(test).lines().last().unwrap();
    assert!(run.stderr.ends_with(&format!("{test} failed: {last}\n")));
    run.failure(test).to_owned()
}

#[test]
fn a_test_that_never_ends_is_given_up() {
    let expected = "timed out after 200 ms";
    assert_eq!(given_up("time::never_ends"), expected);
}

#[test]
fn it_is_told_which_part_never_ended_and_what_was_not_done() {
    let failure = given_up("time::never_ends_and_has_a_teardown");
    let expected = "timed out after 200 ms, and its teardown was not run";
    assert_eq!(failure, expected);
    let failure = given_up("time::setup_never_ends");
    assert_eq!(failure, "setup: timed out after 200 ms");
    let failure = given_up("time::teardown_never_ends");
    let expected = "error: and it failed before\nteardown: timed out after 200 ms";
    assert_eq!(failure, expected);
}

#[test]
fn the_parts_of_a_test_share_its_time() {
    let expected = "timed out after 300 ms";
    assert_eq!(given_up("time::has_slow_parts"), expected);
}

#[test]
fn a_test_that_has_time_may_take_it() {
    let run = Run::new(&["--exact", "time::ends_in_time"]);
    assert_eq!((run.code, run.counts()), (Some(0), [1, 0, 0]));
}

#[test]
fn after_a_test_was_given_up_the_next_one_runs_and_hears_nothing_of_it() {
    let run = Run::new(&["ends_a_little_late"]);
    assert_eq!((run.code, run.counts()), (Some(101), [1, 1, 0]));
    let failure = run.failure("time::ends_a_little_late");
    let expected = "timed out after 200 ms, and its teardown was not run";
    assert_eq!(failure, expected);
    let told = format!("time::ends_a_little_late failed: {expected}\n");
    assert_eq!(run.stderr, told);
}
