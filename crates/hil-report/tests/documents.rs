// SPDX-License-Identifier: MIT OR Apache-2.0

//! Both documents hold what the report says, whatever a board or a test said.

#[path = "../examples/sample/mod.rs"]
mod sample;

use std::time::{Duration, UNIX_EPOCH};

use hil_report::{Attempt, Limits, Line, Outcome, Place, Report, TestId, TestRecord};
use roxmltree::{Document, Node};

/// What nothing may be made of.
const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\
    \"' onload='x' ]]> <!-- &lt; \u{1b}[31mred\u{1b}[0m \0\u{8}\u{b}\u{ffff}\u{fffe} \
    {{title}} \u{1b}]0;never ends\tafter it";

fn test(bench: Option<&str>, name: &str) -> TestRecord {
    TestRecord::new(TestId {
        bench: bench.map(str::to_owned),
        suite: "suite".to_owned(),
        name: name.to_owned(),
        place: Place::Target,
    })
}

fn failed(reason: &str) -> Attempt {
    let reason = reason.to_owned();
    let took = Duration::from_millis(1500);
    Attempt::new(UNIX_EPOCH + took, took, Outcome::Failed { reason })
}

fn with(tests: Vec<TestRecord>) -> Report {
    let mut report = Report::new(UNIX_EPOCH);
    report.duration = Duration::from_secs(10);
    report.tests = tests;
    report
}

fn hostile() -> Report {
    let mut record = test(Some(HOSTILE), HOSTILE);
    record.id.suite = HOSTILE.to_owned();
    let mut attempt = failed(HOSTILE);
    let line = Line {
        host: UNIX_EPOCH,
        target: Some(Duration::from_micros(1_500_000)),
        text: HOSTILE.to_owned(),
    };
    attempt.output = HOSTILE.to_owned();
    attempt.console = vec![line.clone()];
    attempt.kernel_log = vec![line];
    attempt.complaints = vec![HOSTILE.to_owned()];
    attempt.notes = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    record.attempts = vec![attempt.clone(), attempt];
    let mut report = sample::report();
    report.cut_off = Some(HOSTILE.to_owned());
    report.notes.push((HOSTILE.to_owned(), HOSTILE.to_owned()));
    report.troubles[0].what = HOSTILE.to_owned();
    report.troubles[0].detail = vec![HOSTILE.to_owned()];
    report.troubles[0].bench = Some(HOSTILE.to_owned());
    let bench = &mut report.benches[0];
    bench.title = HOSTILE.to_owned();
    bench.kind = HOSTILE.to_owned();
    bench.kernel = Some(HOSTILE.to_owned());
    bench.boots[0].why = HOSTILE.to_owned();
    report.tests.push(record);
    report
}

#[test]
fn a_complaint_behind_a_passed_test_is_a_failure_in_both() {
    let mut record = test(None, "quiet");
    let mut attempt = Attempt::new(UNIX_EPOCH, Duration::ZERO, Outcome::Passed);
    attempt.complaints = vec!["WARNING: at kernel/irq".to_owned()];
    record.attempts.push(attempt);
    let report = with(vec![record]);
    let xml = report.to_junit().unwrap();
    assert!(xml.contains("type=\"kernel-complaint\""), "{xml}");
    assert!(
        report
            .to_html()
            .contains("the kernel complained: WARNING: at kernel/irq")
    );
}

#[test]
fn hostile_text_breaks_no_document() {
    let report = hostile();
    let xml = report.to_junit().unwrap();
    let document = Document::parse(&xml).unwrap();
    let said = |node: &Node<'_, '_>| node.text().unwrap_or_default().to_owned();
    let out = document
        .descendants()
        .filter(|node| node.has_tag_name("system-out"));
    let out = out
        .map(|node| said(&node))
        .find(|text| text.contains("alert(1)"))
        .unwrap();
    assert!(
        out.contains("<script>alert(1)</script>") && out.contains("red ␀␈␋"),
        "{out}"
    );
    assert!(out.contains("␛]0;never ends    after it"), "{out}");

    let html = report.to_html();
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</script").count(), 1);
    for never in [
        "<img",
        "alert(1)</",
        "onload='",
        "\u{1b}",
        "\0",
        "<!--",
        "{{title}} \u{1b}",
    ] {
        assert!(!html.contains(never), "{never:?}");
    }
    assert!(html.contains("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(html.contains("{{title}}"));
}

#[test]
fn long_evidence_is_cut_and_says_so() {
    let mut record = test(None, "loud");
    let mut attempt = failed(&"reason ".repeat(1 << 20));
    attempt.output = format!("BEGIN{}END", "x".repeat(8 << 20));
    attempt.console = (0..100_000)
        .map(|number| Line {
            host: UNIX_EPOCH,
            target: None,
            text: format!("line {number}"),
        })
        .collect();
    attempt.complaints = vec!["Oops ".repeat(1 << 16); 1000];
    record.attempts.push(attempt);
    let report = with(vec![record]);
    for document in [report.to_html(), report.to_junit().unwrap()] {
        assert!(document.len() < 2 << 20, "{}", document.len());
        let left_out = (8 << 20) + 8 - Limits::NOT_PASSED.bytes;
        assert!(document.contains(&format!("… {left_out} bytes left out here")));
        let gone = 100_000 - Limits::NOT_PASSED.lines;
        assert!(document.contains(&format!("… {gone} lines with ")));
        for kept in ["BEGINx", "xEND", "line 99", "line 99999"] {
            assert!(document.contains(kept), "{kept}");
        }
        assert!(!document.contains("line 5000"));
    }
}

#[test]
fn empty_and_lopsided_runs_have_documents() {
    let empty = Report::new(UNIX_EPOCH);
    assert!(empty.to_html().contains("<h1>No tests were run</h1>"));
    let xml = empty.to_junit().unwrap();
    let document = Document::parse(&xml).unwrap();
    assert_eq!(document.root_element().attribute("tests"), Some("0"));

    let mut both = test(Some("one"), "both");
    both.attempts.push(failed("at one"));
    let mut other = test(Some("two"), "both");
    other.attempts.push(failed("at two"));
    let only = test(Some("two"), "only_here");
    let html = with(vec![both, other, only]).to_html();
    assert_eq!(html.matches("<tr class=\"row\">").count(), 2);
    assert_eq!(html.matches("title=\"not on this bench\"").count(), 1);
    assert!(html.contains("This test was neither run nor ignored."));
    assert!(html.contains("<h1>2 tests failed</h1>"));
}

#[test]
fn a_clock_that_jumped_is_told_and_stays_in_the_picture() {
    let mut early = test(None, "early");
    early.attempts.push(failed("then"));
    let mut report = with(vec![early]);
    report.started = UNIX_EPOCH + Duration::from_secs(1_785_600_000);
    let html = report.to_html();
    assert!(html.contains("1 of these have times outside of the run"));
    assert!(html.contains("style=\"left:0.000%;width:15.000%\""));
    report.started = UNIX_EPOCH;
    assert!(!report.to_html().contains("outside of the run"));
    Document::parse(&report.to_junit().unwrap()).unwrap();
}

#[test]
fn a_page_needs_no_network_and_every_anchor_has_its_place() {
    let html = sample::report().to_html();
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("url("));
    for link in html.split("href=\"#").skip(1) {
        let (anchor, _) = link.split_once('"').unwrap();
        assert_eq!(
            html.matches(&format!(" id=\"{anchor}\"")).count(),
            1,
            "{anchor}"
        );
    }
}

#[test]
fn a_large_run_has_a_page_of_bearable_size() {
    let mut report = sample::report();
    sample::add_many(&mut report, 2000);
    let html = report.to_html();
    assert_eq!(html.matches("<details class=\"test ").count(), 6044);
    assert!(html.len() < 12 << 20, "{}", html.len());
}
