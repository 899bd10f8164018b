// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests of cargo's runner: what somebody outside of the checkout does with it, on one board.

use std::process::Command;

use super::printed::{self, Printed};
use super::recorder::Recorder;
use super::summary::Counts;
use crate::benches::{self, Chosen};
use crate::choice;
use crate::failure::Result;
use crate::repository::Repository;

/// The package and the test program.
const PROGRAM: [&str; 4] = ["--package", "bringup", "--test", "runner"];

/// Runs them. They build in the checkout themselves, and so must nobody else.
pub(super) fn test(
    repository: &Repository,
    all: &[Chosen],
    filters: &[String],
    recorder: &Recorder,
) -> Result<Counts> {
    let Some(chosen) = quickest(all) else {
        return Ok(Counts::default());
    };
    let any = [String::new()];
    let filters = if filters.is_empty() { &any } else { filters };
    let mut counts = Counts::default();
    for filter in filters {
        let mut command = command(repository, chosen, filter)?;
        let tests = Printed {
            suite: "bringup::runner",
            bench: Some(&chosen.name),
            what: "the tests of cargo's runner",
        };
        counts = counts.plus(printed::run(&mut command, &tests, recorder)?);
    }
    Ok(counts)
}

/// The one with the fastest line: many programs go over it.
fn quickest(all: &[Chosen]) -> Option<&Chosen> {
    let is_quick =
        |chosen: &&Chosen| chosen.description.is_none() && !chosen.board.agent_is_serial();
    all.iter().find(is_quick).or(all.first())
}

fn command(repository: &Repository, chosen: &Chosen, filter: &str) -> Result<Command> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["test", "--locked"])
        .args(PROGRAM)
        // Without a board they are ignored.
        .args(["--", "--include-ignored", filter])
        .env_remove(choice::BENCH)
        .envs(chosen.variables())
        .current_dir(repository.root());
    if chosen.description.is_some() {
        if let Some(file) = benches::file()? {
            command.env(benches::VARIABLE, file);
        }
    }
    Ok(command)
}
