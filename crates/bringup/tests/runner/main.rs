// SPDX-License-Identifier: MIT OR Apache-2.0

//! What runs on a board through cargo's runner, or drives it, as somebody outside of the kit has it: a
//! copy of `tests/outside` in a temporary folder, with a few programs more.
//!
//! `cargo bringup test` runs this with `--include-ignored`, on the board or bench that the
//! environment names. Else there is no board, and all tests are ignored.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cargo;
mod package;
mod programs;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Trial};

use package::Package;

/// A test: a name, and what panics if it fails.
type Test = (&'static str, fn(&Package));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one board.
    arguments.test_threads = Some(1);
    let has_board = arguments.include_ignored || arguments.ignored;
    let package = Arc::new(Package::default());
    let trial = |(name, test): &Test| {
        let (package, test) = (package.clone(), *test);
        Trial::ignorable_test(*name, move || {
            if !has_board {
                return Ok(Completion::ignored_with(
                    "`cargo bringup test` runs it on a board",
                ));
            }
            test(&package);
            Ok(Completion::Completed)
        })
        .with_ignored_flag(has_board)
    };
    let trials = cargo::TESTS.iter().chain(programs::TESTS).map(trial);
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    package.finish();
    conclusion.exit_code()
}
