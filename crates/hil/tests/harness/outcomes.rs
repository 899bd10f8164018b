// SPDX-License-Identifier: MIT OR Apache-2.0

//! How tests end, and what is said of those that fail.

use super::Run;

/// Where a text stands in the specimen, as a panic tells it, without the column.
fn place(text: &str) -> String {
    let source = include_str!("specimen/main.rs");
    let line = source.lines().position(|line| line.contains(text)).unwrap();
    format!("crates/hil/tests/harness/specimen/main.rs:{}:", line + 1)
}

/// Runs a test that fails, and returns what is said of it.
fn failed(test: &str) -> String {
    let run = Run::new(&["--exact", test]);
    assert_eq!((run.code, run.counts()), (Some(101), [0, 1, 0]), "{run:?}");
    assert_eq!(run.outcomes()[test], "FAILED");
    let failure = run.failure(test).to_owned();
    // The board may not live to the end, so it is said at once too.
    assert_eq!(run.stderr, format!("{test} failed: {failure}\n"));
    failure
}

fn passes(test: &str) -> Run {
    let run = Run::new(&["--exact", test]);
    assert_eq!((run.code, run.counts()), (Some(0), [1, 0, 0]), "{run:?}");
    assert_eq!(run.outcomes()[test], "ok");
    run
}

#[test]
fn a_test_passes_that_returns() {
    assert_eq!(passes("passes").stderr, "");
    assert_eq!(passes("passes_with_a_result").stderr, "");
}

#[test]
fn a_panic_is_told_with_its_place() {
    let failure = failed("panics");
    let start = format!("panicked at {}", place("seven is not eight"));
    assert!(failure.starts_with(&start), "{failure}");
    assert!(failure.contains("seven is not eight\n  left: 7\n right: 8"));

    let failure = failed("unwraps_nothing");
    let start = format!("panicked at {}", place("nothing.unwrap()"));
    assert!(failure.starts_with(&start), "{failure}");
    assert!(failure.ends_with(": called `Option::unwrap()` on a `None` value"));
}

#[test]
fn an_error_is_told_with_its_causes() {
    let expected = "error: no number: invalid digit found in string";
    assert_eq!(failed("fails_with_causes"), expected);
}

#[test]
fn a_test_that_should_panic_passes_by_that_and_says_nothing() {
    assert_eq!(passes("should_panic_and_does").stderr, "");
    assert_eq!(passes("should_panic_with_text_and_does").stderr, "");
}

#[test]
fn a_test_that_should_panic_fails_by_anything_else() {
    let expected = "did not panic, but should";
    assert_eq!(failed("should_panic_and_does_not"), expected);
    let failure = failed("should_panic_with_another_text");
    let start = format!("panicked at {}", place("panic!(\"another\")"));
    assert!(failure.starts_with(&start), "{failure}");
    assert!(failure.ends_with(": another\nbut should panic with `the text`"));
}

#[test]
fn a_panic_of_another_thread_is_printed_and_fails_nothing() {
    let run = passes("panics_in_another_thread");
    assert!(run.stderr.contains("elsewhere"), "{}", run.stderr);
}

#[test]
fn a_panic_that_a_test_catches_fails_nothing() {
    assert_eq!(passes("catches_a_panic_of_its_own").stderr, "");
    // The place of the second one is not that of the first.
    let failure = failed("goes_on_with_an_earlier_panic");
    assert_eq!(failure, "panicked: first");
}

#[test]
fn the_calls_that_led_to_a_panic_are_told_on_demand() {
    let demand = [("RUST_BACKTRACE", "1")];
    let run = Run::with(&demand, &["--exact", "unwraps_nothing"]);
    assert!(run.stderr.contains("unwraps_nothing\n"), "{}", run.stderr);
    assert!(!run.stderr.contains("hil::harness"), "{}", run.stderr);
    let run = Run::with(&demand, &["--exact", "should_panic_and_does"]);
    assert_eq!(run.stderr, "");
}

#[test]
fn each_failure_is_counted_and_the_others_go_on() {
    let run = Run::new(&["should_panic"]);
    assert_eq!((run.code, run.counts()), (Some(101), [2, 2, 2]));
}

#[test]
fn a_test_that_ends_its_process_is_no_success() {
    let run = Run::new(&["--exact", "time::ends_the_process"]);
    assert_eq!(run.code, None);
    assert!(!run.stdout.contains("test result"));
}
