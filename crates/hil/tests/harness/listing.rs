// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `--list` says, to people, to nextest and to the kit.

use hil::{Listed, Place};

use super::{BOARD, Run};

fn listed(environment: &[(&str, &str)], arguments: &[&str]) -> Vec<Listed> {
    let json = [environment, &[("BRINGUP_LIST", "json")]].concat();
    let run = Run::with(&json, &[arguments, &["--list"]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let lines = run.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(run: &Run) -> Vec<&str> {
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let lines = run.stdout.lines();
    lines
        .map(|line| line.strip_suffix(": test").unwrap())
        .collect()
}

#[test]
fn tests_are_listed_by_name_and_the_name_begins_within_the_crate() {
    let terse = Run::new(&["--list", "--format", "terse"]);
    let names = names(&terse);
    assert!(names.is_sorted());
    for expected in ["passes", "order::passes", "place::on_target"] {
        assert!(names.contains(&expected), "{names:?}");
    }
    assert_eq!(Run::new(&["--list"]).stdout, terse.stdout);
}

#[test]
fn a_filter_is_a_part_of_the_name_or_all_of_it() {
    let part = Run::new(&["--list", "order::pas"]);
    assert_eq!(names(&part), ["order::passes"]);
    let part = Run::new(&["--list", "passes", "--skip", "with"]);
    assert_eq!(names(&part), ["order::passes", "passes"]);
    let all = Run::new(&["--list", "--exact", "passes"]);
    assert_eq!(names(&all), ["passes"]);
    assert!(names(&Run::new(&["--list", "--exact", "pass"])).is_empty());
}

#[test]
fn ignored_tests_are_those_that_would_not_run() {
    let on_board = Run::on_board(&["--list", "--ignored", "place"]);
    let expected = [
        "place::needs_pci",
        "place::needs_pci_and_can",
        "place::needs_pci_anywhere",
        "place::needs_pci_on_demand",
    ];
    assert_eq!(names(&on_board), expected);
    let without = Run::new(&["--list", "--ignored", "o"]);
    let without = names(&without);
    for expected in ["ignored", "place::on_target", "order::passes"] {
        assert!(without.contains(&expected), "{without:?}");
    }
    assert!(!without.contains(&"ends_in_time"));
}

#[test]
fn a_program_gets_all_that_it_needs_to_run_one() {
    let board = [("BRINGUP_TARGET", BOARD)];
    let tests = listed(&board, &["place::needs_pci_and_can", "--exact"]);
    let lacks = "board lacks `pci` (a PCI bus)";
    let expected = Listed {
        name: "place::needs_pci_and_can".into(),
        place: Place::Target,
        ignored: Some(lacks.into()),
        timeout_ms: 60_000,
        requires: vec!["pci".into(), "can".into()],
        provokes: vec!["Oops".into()],
    };
    assert_eq!(tests, [expected]);

    let of = |name| listed(&board, &[name, "--exact"]).remove(0);
    assert_eq!(of("place::needs_pci_on_demand").ignored.unwrap(), lacks);
    assert_eq!(of("ignored").ignored.unwrap(), "");
    let ignored = of("ignored_for_a_reason").ignored;
    assert_eq!(ignored.unwrap(), "it fails on demand");
    assert_eq!(of("place::on_target").ignored, None);
    // It runs, and fails.
    assert_eq!(of("place::needs_what_nobody_knows").ignored, None);
    assert_eq!(of("passes").place, Place::Anywhere);
    assert_eq!(of("time::ends_in_time").timeout_ms, 120_000);
    assert_eq!(of("time::never_ends").timeout().as_millis(), 200);
}

#[test]
fn programs_and_people_get_the_same_tests() {
    for arguments in [
        &["--list"][..],
        &["--list", "needs"],
        &["--list", "--ignored"],
        &["--list", "--skip", "order"],
        &["--list", "--exact", "passes"],
    ] {
        let people = Run::new(arguments);
        let programs = listed(&[], arguments.strip_prefix(&["--list"]).unwrap());
        let programs: Vec<_> = programs.iter().map(|test| &test.name).collect();
        assert_eq!(names(&people), programs);
    }
}

#[test]
fn the_form_of_a_list_is_that_of_a_list_only() {
    let run = Run::with(&[("BRINGUP_LIST", "json")], &["passes", "--exact"]);
    assert_eq!(run.outcomes()["passes"], "ok");
}

#[test]
fn who_asks_for_a_format_gets_it() {
    for format in [&["--format", "terse"][..], &["--quiet"]] {
        let arguments = [&["--list", "--exact", "passes"], format].concat();
        let run = Run::with(&[("BRINGUP_LIST", "json")], &arguments);
        assert_eq!(names(&run), ["passes"]);
    }
}

#[test]
fn a_form_that_nobody_knows_is_refused() {
    let run = Run::with(&[("BRINGUP_LIST", "xml")], &["--list"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert_eq!(run.stderr, "error: BRINGUP_LIST is xml, not json\n");
}

#[cfg(feature = "bench")]
#[test]
fn a_test_of_a_bench_runs_on_the_pc() {
    let tests = listed(&[], &["pc::on_bench", "--exact"]);
    assert_eq!(tests[0].place, Place::Bench);
    assert!(
        tests[0]
            .ignored
            .as_ref()
            .unwrap()
            .starts_with("needs a board")
    );
}
