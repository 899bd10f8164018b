// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the page shows, and in which order.

use std::time::{Duration, UNIX_EPOCH};

use hil_report::{Attempt, Line, Outcome, Place, Report, TestId, TestRecord};

fn with(tests: &[(&str, &str, &[Outcome])]) -> Report {
    let mut report = Report::new(UNIX_EPOCH);
    for (suite, name, outcomes) in tests {
        let mut test = TestRecord::new(TestId {
            bench: None,
            suite: (*suite).to_owned(),
            name: (*name).to_owned(),
            place: Place::Pc,
        });
        let attempts = outcomes.iter().cloned();
        let attempts = attempts.map(|one| Attempt::new(UNIX_EPOCH, Duration::ZERO, one));
        test.attempts = attempts.collect();
        report.tests.push(test);
    }
    report
}

fn failed() -> Outcome {
    Outcome::Failed {
        reason: "it".to_owned(),
    }
}

fn broken() -> Outcome {
    Outcome::Infrastructure {
        reason: "no power".to_owned(),
    }
}

#[test]
fn the_head_line_says_what_counts() {
    let late = Outcome::TimedOut {
        limit: Duration::from_secs(1),
    };
    for (outcomes, class, line) in [
        (vec![Outcome::Passed], "passed", "All tests passed"),
        (
            vec![failed(), Outcome::Passed],
            "flaky",
            "All tests passed, 1 of them flaky",
        ),
        (vec![failed()], "failed", "1 test failed"),
        (vec![late], "failed", "1 test did not end in time"),
        (vec![broken()], "infrastructure", "The bench failed 1 test"),
    ] {
        let html = with(&[("a", "b", &outcomes)]).to_html();
        assert!(html.contains(&format!("<h1>{line}</h1>")), "{line}");
        assert!(
            html.contains(&format!("<header class=\"result {class}\">")),
            "{line}"
        );
        assert!(html.contains(&format!("<title>{line} · 1970-01-01 00:00 UTC</title>")));
    }
    let mut cut = with(&[("a", "b", &[Outcome::Passed])]);
    cut.cut_off = Some("the power failed".to_owned());
    let html = cut.to_html();
    assert!(html.contains("<h1>The run was cut off</h1>"));
    assert!(html.contains("<strong>Incomplete:</strong> the power failed."));
    let mut ignored = with(&[("a", "b", &[])]);
    ignored.tests[0].ignored = Some("no LED".to_owned());
    assert!(
        ignored
            .to_html()
            .contains("<h1>All tests were ignored</h1>")
    );
}

#[test]
fn what_needs_attention_begins_with_the_worst() {
    let flaky = [failed(), Outcome::Passed];
    let html = with(&[
        ("a", "flaky", &flaky),
        ("b", "broken", &[broken()]),
        ("c", "passed", &[Outcome::Passed]),
        ("d", "failed", &[failed()]),
    ])
    .to_html();
    let (_, list) = html.split_once("<ol class=\"attention\">").unwrap();
    let (list, _) = list.split_once("</ol>").unwrap();
    let classes: Vec<_> = list.split("<li class=\"").skip(1).collect();
    let classes: Vec<_> = classes
        .iter()
        .map(|item| item.split('"').next().unwrap())
        .collect();
    assert_eq!(classes, ["failed", "infrastructure", "flaky"]);
    assert!(list.contains("passed at attempt 2, before: it"));
}

#[test]
fn tests_of_one_name_in_two_suites_are_two() {
    let html = with(&[("a", "same", &[failed()]), ("b", "same", &[failed()])]).to_html();
    assert_eq!(html.matches("<tr class=\"row\">").count(), 2);
    assert_eq!(html.matches("<tr class=\"suite\">").count(), 2);
}

#[test]
fn the_pc_has_a_column_of_its_own() {
    let html = with(&[("a", "b", &[Outcome::Passed])]).to_html();
    assert!(html.contains("<th scope=\"col\">this PC<small>"));
    assert!(html.contains("<td class=\"passed\"><a href=\"#t0\">"));
}

#[test]
fn lines_that_complain_are_marked_with_or_without_their_time() {
    let mut report = with(&[("a", "b", &[Outcome::Passed])]);
    let attempt = &mut report.tests[0].attempts[0];
    let line = |text: &str| Line {
        host: UNIX_EPOCH,
        target: None,
        text: text.to_owned(),
    };
    attempt.kernel_log = vec![
        line("all is well"),
        line("<4>[    1.2] WARNING: at mm/slub.c:1"),
        line("BUG: scheduling while atomic"),
        line("G"),
    ];
    attempt.complaints = vec![
        "WARNING: at mm/slub.c:1".to_owned(),
        "[    1.3] BUG: scheduling while atomic".to_owned(),
        "well".to_owned(),
        "tainted by G".to_owned(),
    ];
    let html = report.to_html();
    let marked: Vec<_> = html.split("<tr class=\"complaint\">").skip(1).collect();
    assert_eq!(marked.len(), 2);
    assert!(marked[0].contains("slub.c") && marked[1].contains("atomic"));
}
