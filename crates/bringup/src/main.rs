// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup`, the kit's program on the PC.
//!
//! From `git clone` to a Rust kernel driver on a board: it makes the toolbox and the kernel's
//! metadata, builds module and programs, boots a board and shows what ran there. Human text goes
//! to standard error, results to standard output; [`exit::Exit`] lists the exit codes.

mod archive;
mod benches;
mod cache;
mod capabilities;
mod choice;
mod cli;
mod command;
mod device_tree;
mod elf;
mod emulation;
mod exit;
mod external;
mod failure;
#[cfg(test)]
mod fake_debian;
mod host;
mod initramfs;
mod kernel;
mod lab;
mod lock;
mod lock_file;
mod login;
mod mirror;
mod module;
mod peripheral;
mod progress;
mod repository;
mod sending;
mod setup;
mod stamp;
mod stand_in;
mod target_environment;
mod target_programs;
mod toolbox;
mod warm;

use std::process::ExitCode;

use clap::Parser;

use command::RunEnd;
use exit::Exit;
use failure::Failure;

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1);
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let json = cli::want_json(&words);
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if json && error.use_stderr() => {
            let text = error.to_string();
            let text = text.trim().trim_start_matches("error: ");
            return end(&Failure::new(Exit::Refused, text), json);
        }
        Err(error) => error.exit(),
    };
    match command::dispatch(&cli) {
        Ok(RunEnd::Exit(exit)) => exit.into(),
        Ok(RunEnd::Code(code)) => code.into(),
        Err(failure) => end(&failure, json),
    }
}

fn end(failure: &Failure, json: bool) -> ExitCode {
    if json {
        failure.print_json();
    } else {
        failure.print();
    }
    failure.exit().into()
}
