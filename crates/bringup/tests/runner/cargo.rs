// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup cargo` in a package that is none of the kit's.

use std::collections::BTreeSet;
use std::process::Command;

use super::Test;
use super::package::{Package, Ran};

pub(crate) const TESTS: &[Test] = &[
    (
        "cargo::a_package_outside_of_the_checkout_is_tested",
        a_package_outside_of_the_checkout_is_tested,
    ),
    (
        "cargo::words_after_two_dashes_are_the_test_programs",
        words_after_two_dashes_are_the_test_programs,
    ),
    (
        "cargo::a_test_that_fails_is_told_by_the_exit_code",
        a_test_that_fails_is_told_by_the_exit_code,
    ),
    (
        "cargo::all_programs_of_one_call_share_a_boot",
        all_programs_of_one_call_share_a_boot,
    ),
    ("cargo::a_program_is_run", a_program_is_run),
    ("cargo::a_benchmark_is_run", a_benchmark_is_run),
    (
        "cargo::nextest_gets_the_lists_that_it_asks_for",
        nextest_gets_the_lists_that_it_asks_for,
    ),
    (
        "cargo::tests_of_this_pc_drive_the_board",
        tests_of_this_pc_drive_the_board,
    ),
    (
        "cargo::what_is_only_built_needs_no_board",
        what_is_only_built_needs_no_board,
    ),
];

const ON_BOARD: &str = "the_board_says_which_one_it_is";

fn a_package_outside_of_the_checkout_is_tested(package: &Package) {
    // Its lock file is whole: in the checkout, cargo in the toolbox could not mend it.
    let words = ["test", "--locked", "--lib", "--bins", "--test", "on_board"];
    let ran = package.cargo(&words);
    let ran = ran.ends_with(0);
    // The library, the program, and what runs on boards only.
    let [library, program, on_board] = ran.results()[..] else {
        panic!("{}", ran.stdout);
    };
    assert_eq!((library, program), ([1, 0, 0], [0, 0, 0]));
    assert_eq!((on_board[1], on_board.iter().sum()), (0, 4));
    assert_eq!(ran.verdict("on_demand"), "ignored (waits for a person)");
    assert!(ran.stderr.contains("note: compatible = "), "{}", ran.stderr);
    let bus = ran.verdict("a_pci_bus_has_a_bridge");
    assert!(bus == "ok" || bus.contains("lacks `pci`"), "{bus}");
}

fn words_after_two_dashes_are_the_test_programs(package: &Package) {
    let words = ["test", "--test", "on_board", "--", "--exact", ON_BOARD];
    let ran = package.cargo(&words).ends_with(0);
    assert_eq!(ran.results(), [[1, 0, 0]]);
    let ran = package.cargo(&["test", "--test", "on_board", "--", "--nonsense"]);
    assert!(ran.stderr.contains("--nonsense"), "{}", ran.stderr);
    assert_ne!(ran.code, Some(0));
}

fn a_test_that_fails_is_told_by_the_exit_code(package: &Package) {
    let ran = package.cargo(&["test", "--test", "fails"]).ends_with(101);
    assert_eq!(ran.results(), [[1, 1, 1]]);
    assert_eq!(ran.verdict("fails"), "FAILED");
    assert_eq!(ran.verdict("is_ignored"), "ignored, no such sensor");
    assert!(ran.stdout.contains("left: 1"), "{}", ran.stdout);
    assert!(ran.stderr.contains("--test fails"), "{}", ran.stderr);
}

fn all_programs_of_one_call_share_a_boot(package: &Package) {
    let words = ["test", "--test", "boot_*", "--", "--nocapture"];
    let ran = package.cargo(&words).ends_with(0);
    assert_eq!(ran.results(), [[1, 0, 0], [1, 0, 0]]);
    let lines = ran.stdout.lines();
    let boots: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("boot "))
        .collect();
    assert_eq!(boots.len(), 2, "{}", ran.stdout);
    assert_eq!(boots[0], boots[1]);
}

fn a_program_is_run(package: &Package) {
    let ran = package
        .cargo(&["run", "--quiet", "--bin", "outside"])
        .ends_with(0);
    assert!(ran.stdout.contains(','), "{}", ran.stdout);
    let words = ["run", "--example", "program", "--", "code", "7"];
    package.cargo(&words).ends_with(7);
}

fn a_benchmark_is_run(package: &Package) {
    let ran = package.cargo(&["bench", "--bench", "plain", "--", "some"]);
    let ran = ran.ends_with(0);
    assert_eq!(
        ran.stdout,
        "aarch64 --bench some\n".replace("--bench some", "some --bench")
    );
}

/// The command lines that nextest runs (its "custom test harnesses" page).
fn nextest_gets_the_lists_that_it_asks_for(package: &Package) {
    let program = package.test_program("on_board");
    let run = |words: &[&str]| -> Ran {
        let mut command: Command = package.bringup(&["run"]);
        Ran::new(command.arg(&program).args(words).env("NEXTEST", "1")).ends_with(0)
    };
    let all = run(&["--list", "--format", "terse"]);
    let ignored = run(&["--list", "--format", "terse", "--ignored"]);
    let names = |ran: &Ran| -> BTreeSet<String> {
        let name = |line: &str| line.strip_suffix(": test").unwrap().to_owned();
        ran.stdout.lines().map(name).collect()
    };
    let (all, ignored) = (names(&all), names(&ignored));
    assert_eq!(all.len(), 4);
    assert!(
        ignored.is_subset(&all) && ignored.contains("on_demand"),
        "{ignored:?}"
    );
    assert!(!ignored.contains(ON_BOARD), "{ignored:?}");
    let one = run(&[ON_BOARD, "--nocapture", "--exact"]);
    assert_eq!(one.results(), [[1, 0, 0]]);
}

/// With this PC's own cargo.
fn tests_of_this_pc_drive_the_board(package: &Package) {
    let words = ["test", "--features", "bench", "--test", "on_*"];
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = package.bringup(&[&["with", &cargo], &words[..]].concat());
    // Kept, as it takes long to build.
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/outside");
    let ran = Ran::new(command.env("CARGO_TARGET_DIR", target)).ends_with(0);
    assert_eq!(ran.verdict("a_board_whose_power_was_cut_boots_again"), "ok");
    let on_board = ran.verdict("on_demand");
    assert_eq!(on_board, "ignored (runs on the board)");
}

fn what_is_only_built_needs_no_board(package: &Package) {
    package.finish();
    let clippy = ["clippy", "--all-targets", "--", "--deny", "warnings"];
    for words in [&["test", "--no-run"][..], &clippy, &["fmt", "--check"]] {
        let ran = package.cargo(words).ends_with(0);
        assert!(!ran.stderr.contains(" boot "), "{}", ran.stderr);
    }
}
