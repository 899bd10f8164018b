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

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match command::dispatch(&cli) {
        Ok(RunEnd::Exit(exit)) => exit.into(),
        Ok(RunEnd::Code(code)) => code.into(),
        Err(failure) => {
            failure.print();
            failure.exit().into()
        }
    }
}
