// SPDX-License-Identifier: MIT OR Apache-2.0

//! What comes before and after a test, and what becomes of its own failures.

use super::Run;

/// The parts of a test in the order in which they came, and what is said of it.
fn parts(test: &str) -> (Vec<String>, String) {
    let run = Run::on_board(&["--exact", test]);
    let (code, counts) = match run.outcomes()[test] {
        "ok" => (0, [1, 0, 0]),
        _ => (101, [0, 1, 0]),
    };
    assert_eq!((run.code, run.counts()), (Some(code), counts));
    let parts = run.notes().into_iter();
    let parts = parts.map(|note| note.strip_prefix("order = ").unwrap().to_owned());
    let failure = match code {
        0 => String::new(),
        _ => run.failure(test).to_owned(),
    };
    (parts.collect(), failure)
}

#[test]
fn setup_comes_before_and_teardown_after_a_test() {
    let (parts, failure) = parts("order::passes");
    assert_eq!(parts, ["setup", "body", "teardown"]);
    assert_eq!(failure, "");
}

#[test]
fn teardown_comes_however_a_test_ends() {
    let (panics, failure) = parts("order::panics");
    assert_eq!(panics, ["setup", "body", "teardown"]);
    assert!(failure.ends_with(": no body"), "{failure}");
    let (fails, failure) = parts("order::fails");
    assert_eq!(fails, ["body", "teardown"]);
    assert_eq!(failure, "error: no body");
}

#[test]
fn without_its_setup_a_test_does_not_run_but_its_teardown_does() {
    let (parts, failure) = parts("order::has_no_setup");
    assert_eq!(parts, ["setup", "teardown"]);
    assert_eq!(failure, "setup: error: no setup");
}

#[test]
fn a_teardown_that_fails_fails_the_test() {
    let (parts, failure) = parts("order::has_no_teardown");
    assert_eq!(parts, ["body", "teardown"]);
    assert!(failure.starts_with("teardown: panicked at "), "{failure}");
    assert!(failure.ends_with(": no teardown"), "{failure}");
}

#[test]
fn both_failures_are_told() {
    let (parts, failure) = parts("order::has_no_body_and_no_teardown");
    assert_eq!(parts, ["body", "teardown"]);
    let lines: Vec<_> = failure.lines().collect();
    assert_eq!(lines.len(), 2, "{failure}");
    assert_eq!(lines[0], "error: no body");
    assert!(lines[1].starts_with("teardown: panicked at "), "{failure}");
}

#[test]
fn only_the_test_itself_should_panic() {
    let (in_teardown, failure) = parts("order::should_panic_in_its_body_only");
    assert_eq!(in_teardown, ["body", "teardown"]);
    assert!(failure.starts_with("teardown: panicked at "), "{failure}");
    let (in_setup, failure) = parts("order::should_panic_but_has_no_setup");
    assert_eq!(in_setup, ["setup", "teardown"]);
    assert_eq!(failure, "setup: error: no setup");
}
