// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup with`: runs a program of this PC that drives a board, such as tests that take a bench.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use super::RunEnd;
use crate::benches;
use crate::choice;
use crate::cli::With;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::target_environment;
use crate::warm::{self, Ready};

pub(super) fn run(options: &With, progress: &Progress) -> Result<RunEnd> {
    let Some((program, arguments)) = options.command.split_first() else {
        return Err(Failure::new(Exit::Refused, "no program is named"));
    };
    let repository = Repository::find()?;
    let chosen = benches::choose(&repository, &options.choice)?;
    let choices = options.set_up.choices();
    let Ready { bench } = warm::hold(&chosen, Vec::new(), choices, progress)?;
    let status = Command::new(program)
        .args(arguments)
        .envs(target_environment::of(
            &repository,
            &chosen,
            hil::Place::Bench,
        )?)
        // The user's own would contradict an option.
        .env_remove(choice::BENCH)
        .envs(chosen.variables())
        .env(hil::Bench::VARIABLE, warm::socket_of(&repository, &chosen))
        // Nobody else gets the board between two of its programs.
        .env(hil::Bench::LOAN, bench.loan().to_string())
        .status()
        .or_environment(|| format!("cannot run {program}"))?;
    warm::give_back(bench, &chosen)?;
    // As a shell says it.
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    let code = code.and_then(|code| u8::try_from(code).ok());
    Ok(RunEnd::Code(code.unwrap_or(u8::MAX)))
}
