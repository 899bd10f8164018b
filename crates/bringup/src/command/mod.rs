// SPDX-License-Identifier: MIT OR Apache-2.0

//! The commands, one file each.

mod bench;
mod boards;
mod cargo;
mod clean;
mod console;
mod demo;
mod doctor;
mod kernel;
mod module;
mod run;
mod test;
mod with;

use serde::Serialize;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;
pub(crate) use run::RunEnd;

/// Runs the command that was asked for.
pub(crate) fn dispatch(cli: &Cli) -> Result<RunEnd> {
    let repository = Repository::find()?;
    let progress = Progress::new(cli.verbose, repository.output().join("log"));
    match &cli.command {
        Command::Run(options) => run::run(options, &progress),
        Command::Cargo(options) => cargo::run(options, &progress),
        Command::With(options) => with::run(options, &progress),
        other => command(other, &progress).map(RunEnd::Exit),
    }
}

fn command(command: &Command, progress: &Progress) -> Result<Exit> {
    match command {
        Command::Run(_) | Command::Cargo(_) | Command::With(_) => Ok(Exit::Refused),
        Command::Console(options) => console::run(options),
        Command::Bench(command) => bench::run(command, progress),
        Command::Demo(options) => demo::run(options, progress),
        Command::Test(options) => test::run(options, progress),
        Command::Doctor(options) => doctor::run(options),
        Command::Boards(options) => boards::run(options),
        Command::Kernel(command) => kernel::run(command, progress),
        Command::Module(command) => module::run(command, progress),
        Command::Clean(options) => clean::run(options, progress),
        Command::TestProgram { folder, program } => test::run_program(folder, program),
    }
}

/// Prints a result on standard output.
fn print_line(line: &str) -> Result<()> {
    use std::io::Write as _;

    match writeln!(anstream::stdout(), "{line}") {
        // Whoever reads has seen enough, as with `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.or_environment(|| "cannot write to standard output"),
    }
}

/// Prints a document on standard output.
fn print_json(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document)
        .or_fail(Exit::Infrastructure, || "cannot write JSON")?;
    print_line(&text)
}
