// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which tests run without a board, and on which board.

use super::{BOARD, Run};

const NO_BOARD: &str =
    "ignored (needs a board: `cargo bringup test`, or `cargo test` with the runner)";
const NO_PCI: &str = "ignored (board lacks `pci` (a PCI bus))";

#[test]
fn without_a_board_what_needs_one_is_ignored_whatever_is_demanded() {
    for demand in [&[][..], &["--include-ignored"], &["--ignored"]] {
        let run = Run::new(&[&["place::"], demand].concat());
        assert_eq!(run.code, Some(0));
        assert_eq!(run.counts(), [0, 0, 8]);
        let outcomes = run.outcomes();
        assert!(
            outcomes.values().all(|end| *end == NO_BOARD),
            "{outcomes:?}"
        );
        assert!(run.notes().is_empty());
    }
}

#[test]
fn without_a_board_what_needs_none_runs() {
    let run = Run::new(&["passes", "--exact"]);
    assert_eq!((run.code, run.counts()), (Some(0), [1, 0, 0]));
}

#[test]
fn what_the_board_lacks_is_told_whatever_is_demanded() {
    for demand in [&[][..], &["--include-ignored"], &["--ignored"]] {
        let run = Run::on_board(&[&["place::needs_pci"], demand].concat());
        assert_eq!((run.code, run.counts()), (Some(0), [0, 0, 4]));
        assert!(run.outcomes().values().all(|end| *end == NO_PCI));
    }
}

#[test]
fn a_test_runs_where_the_board_has_what_it_needs() {
    let board = BOARD.replace(r#"["can"]"#, r#"["can", "pci"]"#);
    let run = Run::with(&[("BRINGUP_TARGET", &board)], &["place::needs_pci"]);
    assert_eq!(run.outcomes()["place::needs_pci_and_can"], "ok");
    assert_eq!(run.outcomes()["place::needs_pci_anywhere"], "ok");
    assert_eq!(
        run.outcomes()["place::needs_pci_on_demand"],
        "ignored (slow)"
    );
}

#[test]
fn a_capability_that_nobody_knows_fails_the_test() {
    let test = "place::needs_what_nobody_knows";
    let run = Run::on_board(&[test, "--exact"]);
    assert_eq!((run.code, run.counts()), (Some(101), [0, 1, 0]));
    let expected = "no such capability as `pcie`; near ones: `pci`";
    assert_eq!(run.failure(test), expected);
}

#[test]
fn a_test_of_the_other_place_is_ignored() {
    let on_pc = BOARD.replacen('{', r#"{"place": "bench","#, 1);
    let run = Run::with(&[("BRINGUP_TARGET", &on_pc)], &["place::on_target"]);
    assert_eq!((run.code, run.counts()), (Some(0), [0, 0, 1]));
    let expected = "ignored (runs on the board)";
    assert_eq!(run.outcomes()["place::on_target"], expected);
    let on_board = BOARD.replacen('{', r#"{"place": "target","#, 1);
    let run = Run::with(&[("BRINGUP_TARGET", &on_board)], &["place::on_target"]);
    assert_eq!(run.outcomes()["place::on_target"], "ok");
}

#[test]
fn a_target_has_a_name_and_a_folder_that_goes() {
    let run = Run::on_board(&["place::on_target", "--exact"]);
    assert_eq!((run.code, run.counts()), (Some(0), [1, 0, 0]));
    let notes = run.notes();
    assert_eq!(notes[0], "board = board");
    let folder = notes[1].strip_prefix("folder = ").unwrap();
    assert!(folder.starts_with(std::env::temp_dir().to_str().unwrap()));
    assert!(!std::path::Path::new(folder).exists());
}

#[test]
fn a_folder_that_cannot_be_removed_fails_the_test() {
    let run = Run::on_board(&["place::removes_its_folder", "--exact"]);
    assert_eq!(run.code, Some(101));
    let failure = run.failure("place::removes_its_folder");
    assert!(
        failure.starts_with("cleanup: error: cannot remove "),
        "{failure}"
    );
}

#[test]
fn what_is_waited_for_in_vain_is_told() {
    let run = Run::on_board(&["place::waits_in_vain", "--exact"]);
    let expected = "error: waited 20 ms in vain for the moon";
    assert_eq!(run.failure("place::waits_in_vain"), expected);
}

#[test]
fn what_describes_no_board_is_refused() {
    for text in ["", "{}", "[]", "board"] {
        for arguments in [&["--list"][..], &["passes", "--exact"]] {
            let run = Run::with(&[("BRINGUP_TARGET", text)], arguments);
            assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
            let start = "error: BRINGUP_TARGET describes no target: ";
            assert!(run.stderr.starts_with(start), "{}", run.stderr);
        }
    }
}
