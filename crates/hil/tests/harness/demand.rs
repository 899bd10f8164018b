// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests that only run on demand, and what else can be demanded.

use super::Run;

#[test]
fn an_ignored_test_runs_on_demand_only() {
    let run = Run::new(&["ignored"]);
    assert_eq!((run.code, run.counts()), (Some(0), [0, 0, 2]));
    assert_eq!(run.outcomes()["ignored"], "ignored");
    let reason = run.outcomes()["ignored_for_a_reason"];
    assert_eq!(reason, "ignored (it fails on demand)");

    for demand in ["--ignored", "--include-ignored"] {
        let run = Run::new(&["ignored", demand]);
        assert_eq!((run.code, run.counts()), (Some(101), [1, 1, 0]));
        assert_eq!(run.outcomes()["ignored"], "ok");
    }
}

#[test]
fn others_run_on_demand_of_all_only() {
    let all = Run::new(&["passes", "--exact", "--include-ignored"]);
    assert_eq!(all.counts(), [1, 0, 0]);
    let ignored = Run::new(&["passes", "--exact", "--ignored"]);
    assert_eq!(ignored.counts(), [0, 0, 0]);
}

#[test]
fn a_filter_that_fits_nothing_runs_nothing() {
    let run = Run::new(&["nothing has this name"]);
    assert_eq!((run.code, run.counts()), (Some(0), [0, 0, 0]));
}

#[test]
fn tests_run_one_after_the_other_unless_more_threads_are_demanded() {
    let run = Run::new(&["alone_"]);
    assert_eq!((run.code, run.counts()), (Some(0), [2, 0, 0]));
    let run = Run::new(&["alone_", "--test-threads", "2"]);
    assert_eq!((run.code, run.counts()), (Some(101), [1, 1, 0]));
}

#[test]
fn what_cannot_be_understood_is_refused() {
    assert_eq!(Run::new(&["--nonsense"]).code, Some(2));
}

#[test]
fn programs_get_events() {
    let run = Run::new(&["--format", "json", "--exact", "panics"]);
    assert_eq!(run.code, Some(101));
    let read = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let events: Vec<_> = run.stdout.lines().filter(|line| !line.is_empty()).collect();
    let events: Vec<_> = events.into_iter().map(read).collect();
    let failed =
        |event: &&serde_json::Value| event["event"] == "failed" && event["name"] == "panics";
    let failed = events.iter().find(failed).unwrap();
    assert!(
        failed["stdout"]
            .as_str()
            .unwrap()
            .contains("seven is not eight")
    );
}
