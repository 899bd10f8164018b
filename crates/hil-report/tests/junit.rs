// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the JUnit document says of a run with every verdict.

#[path = "../examples/sample/mod.rs"]
mod sample;

use std::time::{Duration, UNIX_EPOCH};

use hil_report::{Attempt, Outcome};
use roxmltree::{Document, Node};

fn case<'a>(document: &'a Document<'_>, suite: &str, name: &str) -> Node<'a, 'a> {
    let mut nodes = document.descendants();
    nodes
        .find(|node| {
            node.has_tag_name("testcase")
                && node.attribute("name") == Some(name)
                && node.attribute("classname") == Some(suite)
        })
        .unwrap_or_else(|| panic!("no {suite} {name}"))
}

fn children<'a>(node: Node<'a, 'a>) -> Vec<&'a str> {
    let children = node.children().filter(Node::is_element);
    children.map(|child| child.tag_name().name()).collect()
}

#[test]
fn junit_tells_failures_from_errors_from_retries() {
    let xml = sample::report().to_junit().unwrap();
    let document = Document::parse(&xml).unwrap();
    let root = document.root_element();
    let count = |name| root.attribute(name).unwrap_or_default();
    assert_eq!(count("tests"), "45");
    assert_eq!(
        (count("failures"), count("errors"), count("skipped")),
        ("3", "2", "2")
    );
    for (suite, name, elements, kind) in [
        (
            "falcon/ioctl",
            "a_copy_is_counted",
            vec!["failure"],
            "failed",
        ),
        (
            "falcon/chardev",
            "poll_wakes_up_when_the_ring_has_room",
            vec!["failure", "rerunFailure"],
            "timed-out",
        ),
        (
            "heron/mmap",
            "the_mapping_outlives_the_descriptor",
            vec!["failure"],
            "crashed",
        ),
        (
            "heron/gpio",
            "edge_event_reaches_user_space",
            vec!["flakyFailure"],
            "failed",
        ),
        (
            "heron/power",
            "module_survives_a_power_cut",
            vec!["error", "rerunError"],
            "infrastructure",
        ),
        (
            "falcon",
            "the console was gone for 2.1 s and came back",
            vec!["error"],
            "infrastructure",
        ),
        ("pc/bringup", "boards_are_data", vec![], ""),
    ] {
        let case = case(&document, suite, name);
        let mut found = children(case);
        found.retain(|name| !["properties", "system-out"].contains(name));
        assert_eq!(found, elements, "{suite} {name}");
        let verdict = case
            .children()
            .find(|child| elements.contains(&child.tag_name().name()));
        let found = verdict.and_then(|verdict| verdict.attribute("type"));
        assert_eq!(found.unwrap_or_default(), kind, "{suite} {name}");
    }
    let ignored = case(&document, "emulated/gpio", "bias_is_applied");
    let skipped = ignored
        .children()
        .find(|child| child.has_tag_name("skipped"))
        .unwrap();
    let lacks = "the board has no loop between two GPIO lines";
    assert_eq!(skipped.attribute("message"), Some(lacks));
}

#[test]
fn junit_carries_the_bench_the_times_and_the_console() {
    let xml = sample::report().to_junit().unwrap();
    let document = Document::parse(&xml).unwrap();
    let crashed = case(
        &document,
        "heron/mmap",
        "the_mapping_outlives_the_descriptor",
    );
    assert!(
        crashed
            .attribute("timestamp")
            .unwrap()
            .starts_with("2026-08-01T16:00:")
    );
    let out = crashed
        .children()
        .find(|child| child.has_tag_name("system-out"))
        .unwrap();
    let out = out.text().unwrap();
    assert!(out.contains("--- console"), "{out}");
    assert!(
        out.contains("[   27.918300] dmacopy dmacopy0: released while mapped"),
        "{out}"
    );
    assert!(out.contains("panicked at tests/mmap.rs"));
    let suite = crashed.parent().unwrap();
    let properties = suite.descendants().filter(|node| {
        node.has_tag_name("property") && node.parent_element().unwrap().parent() == Some(suite)
    });
    let properties: Vec<_> = properties
        .map(|node| {
            (
                node.attribute("name").unwrap(),
                node.attribute("value").unwrap(),
            )
        })
        .collect();
    for expected in [
        ("bench", "heron"),
        ("board", "heron-sbc"),
        ("bench-kind", "labgrid"),
        ("kernel", "7.3.4+deb13-arm64"),
        ("revision", "4f1c2ab with changes"),
    ] {
        assert!(
            properties.contains(&expected),
            "{expected:?} in {properties:?}"
        );
    }
}

#[test]
fn the_failure_stands_for_a_test_although_the_bench_failed_first() {
    let mut report = sample::report();
    let reason = || "it".to_owned();
    let attempts = [
        Outcome::Infrastructure { reason: reason() },
        Outcome::Failed { reason: reason() },
        Outcome::Infrastructure { reason: reason() },
    ];
    let attempts = attempts.map(|one| Attempt::new(UNIX_EPOCH, Duration::ZERO, one));
    let test = &mut report.tests[0];
    test.attempts = attempts.to_vec();
    let xml = report.to_junit().unwrap();
    let document = Document::parse(&xml).unwrap();
    let id = &report.tests[0].id;
    let mut found = children(case(&document, &format!("emulated/{}", id.suite), &id.name));
    found.retain(|name| !["properties", "system-out"].contains(name));
    assert_eq!(found, ["failure", "rerunError", "rerunError"]);
}

#[test]
fn a_cut_run_has_an_error_that_says_so() {
    let mut report = sample::report();
    report.cut_off = Some("the record ends before the run does".to_owned());
    let xml = report.to_junit().unwrap();
    let document = Document::parse(&xml).unwrap();
    assert_eq!(document.root_element().attribute("errors"), Some("3"));
    let case = case(&document, "troubles", "the record ends before the run does");
    assert_eq!(children(case), ["error"]);
}
