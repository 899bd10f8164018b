// SPDX-License-Identifier: MIT OR Apache-2.0

//! The program on the board: shows what the driver can do, and serves the bench as its agent.
//!
//! Exit codes: see [`exit`].

mod agent;
mod client;
mod dmacopy;
mod doctor;
mod duration;
mod ending;
mod exit;
mod output;
mod tour;
mod upcall;
mod visit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use kernel_channels::ROOMS;

/// What runs on the board.
#[derive(Debug, Parser)]
#[command(name = "bringup-target", version, about, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Walk through all rooms and check each from both sides of the border
    ///
    /// One visit at a time. Ctrl-C ends it, and leaves the board as it was before. What a visit leaves
    /// that was killed, `doctor` shows with the command that puts it back, and the next visit does.
    Tour {
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Visit one room, and show each step: what was done, what crossed the border, how it was verified
    ///
    /// One visit at a time, as with `tour`.
    Channel {
        /// Its name
        #[arg(value_parser = PossibleValuesParser::new(ROOMS))]
        room: String,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Look what this board has and lacks, and how to mend that
    ///
    /// Exit code 1 if something must be done first.
    Doctor {
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Ask the driver, have it work, watch it
    #[command(subcommand)]
    Dmacopy(dmacopy::Command),
    /// Take down that an engine has stalled; the driver starts this, see its `upcall/path`
    Upcall(upcall::Arguments),
    /// Be a client in a process of its own, for the tour
    #[command(subcommand, hide = true)]
    Client(client::Command),
    /// Make a visit, as `tour` and `channel` have it done in a process of its own
    #[command(hide = true)]
    Visit {
        /// The name of the room; all if none is named
        room: Option<String>,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Serve a bench, as it is done when this runs as PID 1
    Agent {
        /// The plan, a JSON document that names the port
        #[arg(long, default_value = agent_wire::PLAN_PATH)]
        plan: PathBuf,
        /// Serve standard input and output instead, as a remote login gives them
        #[arg(long, conflicts_with = "plan")]
        stdio: bool,
    },
}

fn main() -> ExitCode {
    // The kernel passes what it does not know on its command line as arguments to its first
    // program, so those are not looked at.
    if is_init() {
        return agent::init(Path::new(agent_wire::PLAN_PATH));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::unparsed(&error, std::env::args_os()),
    };
    match arguments.command {
        Command::Tour { json } => visit::run(None, json),
        Command::Channel { room, json } => visit::run(Some(&room), json),
        Command::Visit { room, json } => visit::make(room.as_deref(), json),
        Command::Doctor { json } => doctor::run(json),
        Command::Dmacopy(command) => dmacopy::run(&command),
        Command::Client(command) => client::run(&command),
        Command::Upcall(arguments) => upcall::run(&arguments),
        Command::Agent { stdio: true, .. } => agent::serve_stdio(),
        Command::Agent { plan, .. } => agent::serve_port(&plan),
    }
}

/// Whether this is the system's first program. Being PID 1 alone does not make it that: a command in
/// a container is PID 1 too, and has no file systems to mount.
fn is_init() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    std::process::id() == 1 && Path::new(&name).file_name() == Some("init".as_ref())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// All commands, each with those below it.
    fn all(command: &clap::Command) -> Vec<&clap::Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command).chain(below).collect()
    }

    #[test]
    fn help_tells_the_units_of_every_duration_and_size() {
        let command = Arguments::command();
        let options = all(&command)
            .into_iter()
            .flat_map(|one| one.get_arguments());
        let mut found = 0;
        for option in options {
            let units: &[&str] = match option.get_id().as_str() {
                "interval" | "timeout" => &["500ms, 2s, 1min", "seconds"],
                "bytes" => &["in bytes"],
                _ => continue,
            };
            let help = option.get_help().unwrap().to_string();
            for unit in units {
                assert!(help.contains(unit), "{}: {help}", option.get_id());
            }
            found += 1;
        }
        assert_eq!(found, 4);
    }

    #[test]
    fn every_room_can_be_visited_and_no_other() {
        for room in ROOMS {
            Arguments::try_parse_from(["bringup-target", "channel", room]).unwrap();
        }
        Arguments::try_parse_from(["bringup-target", "channel", "cellar"]).unwrap_err();
    }
}
