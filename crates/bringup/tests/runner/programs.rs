// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup run`: a program of the board behaves as one of this PC does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use super::Test;
use super::package::{Package, Ran};

pub(crate) const TESTS: &[Test] = &[
    (
        "programs::its_exit_code_is_passed_on",
        its_exit_code_is_passed_on,
    ),
    (
        "programs::one_that_fails_leaves_a_driver_that_begins_anew",
        one_that_fails_leaves_a_driver_that_begins_anew,
    ),
    (
        "programs::a_crash_is_told_with_what_the_kernel_says",
        a_crash_is_told_with_what_the_kernel_says,
    ),
    (
        "programs::what_it_says_is_seen_before_it_hears_the_answer",
        what_it_says_is_seen_before_it_hears_the_answer,
    ),
    (
        "programs::variables_are_passed_by_name",
        variables_are_passed_by_name,
    ),
    (
        "programs::what_cannot_run_there_is_refused_and_the_board_stays_on",
        what_cannot_run_there_is_refused_and_the_board_stays_on,
    ),
];

fn its_exit_code_is_passed_on(package: &Package) {
    for code in [0, 3, 255] {
        let ran = Ran::new(&mut package.program(&["code", &code.to_string()]));
        ran.ends_with(code);
    }
}

fn one_that_fails_leaves_a_driver_that_begins_anew(package: &Package) {
    let run = |words: &[&str], code| Ran::new(&mut package.program(words)).ends_with(code).stdout;
    let transfers = || run(&["transfers"], 0).trim().parse::<u64>().unwrap();
    run(&["code", "0"], 0);
    let before = transfers();
    run(&["copy"], 0);
    assert_eq!(transfers(), before + 1);
    run(&["code", "3"], 3);
    assert_eq!(transfers(), 0);
}

fn a_crash_is_told_with_what_the_kernel_says(package: &Package) {
    // As a shell says signal 11.
    let ran = Ran::new(&mut package.program(&["crash"])).ends_with(139);
    for words in ["signal 11", "program[", "unhandled exception"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
}

fn what_it_says_is_seen_before_it_hears_the_answer(package: &Package) {
    let mut command = package.program(&["echo"]);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(output.next().unwrap().unwrap(), "ready");
    for word in ["one", "ä"] {
        writeln!(input, "{word}").unwrap();
        assert_eq!(output.next().unwrap().unwrap(), format!("heard {word}"));
    }
    drop(input);
    assert_eq!(output.next().unwrap().unwrap(), "end");
    assert!(child.wait().unwrap().success());
}

fn variables_are_passed_by_name(package: &Package) {
    let mut command = package.program(&["variables"]);
    let command = command
        .env("RUST_LOG", "debug")
        .env("SEED", "7")
        .env("OTHER", "8")
        .env("BRINGUP_PASS", "SEED");
    let ran = Ran::new(command).ends_with(0);
    let has = |line: &str| ran.stdout.lines().any(|other| other == line);
    assert!(has("RUST_LOG=debug") && has("SEED=7"), "{}", ran.stdout);
    assert!(!has("OTHER=8"), "{}", ran.stdout);
}

fn what_cannot_run_there_is_refused_and_the_board_stays_on(package: &Package) {
    let boot = || {
        Ran::new(&mut package.program(&["boot"]))
            .ends_with(0)
            .stdout
    };
    let before = boot();
    let refused = |program: &Path| Ran::new(package.bringup(&["run"]).arg(program));
    // A program of this PC.
    let ran = refused(Path::new(env!("CARGO_BIN_EXE_bringup"))).ends_with(2);
    assert!(
        ran.stderr.contains("not built for the board"),
        "{}",
        ran.stderr
    );
    // One whose interpreter is not there, as the loader is not of one that is not static.
    let script = package.folder().join("script");
    std::fs::write(&script, "#!/lib/ld-linux-aarch64.so.1\n").unwrap();
    let ran = refused(&script).ends_with(1);
    let lacks = "the board has no /lib/ld-linux-aarch64.so.1";
    assert!(ran.stderr.contains(lacks), "{}", ran.stderr);
    let ran = refused(Path::new("/nonexistent")).ends_with(2);
    assert!(ran.stderr.contains("/nonexistent"), "{}", ran.stderr);
    assert_eq!(boot(), before);
}
