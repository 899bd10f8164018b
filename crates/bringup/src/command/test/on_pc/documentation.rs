// SPDX-License-Identifier: MIT OR Apache-2.0

//! The examples in the documentation, which are tests too. rustdoc runs them, and says of each what
//! it came to.

use super::cargo;
use crate::command::test::printed::{self, Printed};
use crate::command::test::recorder::Recorder;
use crate::command::test::summary::Counts;
use crate::failure::Result;
use crate::repository::Repository;

/// Runs the examples of all packages, shows what is said, and tells the reports.
pub(super) fn run(repository: &Repository, recorder: &Recorder) -> Result<Counts> {
    let mut command = cargo(repository);
    command.args(["--doc", "--no-fail-fast"]);
    let tests = Printed {
        suite: "documentation",
        bench: None,
        what: "the examples in the documentation",
    };
    printed::run(&mut command, &tests, recorder)
}
