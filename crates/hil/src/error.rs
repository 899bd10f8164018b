// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong with a bench, as opposed to with what runs on it.

use std::fmt::{Debug, Display};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use agent_wire::message::{Failure, ModuleRefused, Unreadable};
use thiserror::Error;

use crate::Lost;
use crate::server::{Trouble, TroubleKind};
use crate::stimulus::{Kind, Level};

/// Why a command has not done what it is for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandFailure {
    /// It did not run, or nobody knows how it ended.
    #[error("{_0}")]
    Unrun(std::io::Error),
    /// It ran and said that it failed.
    #[error("{status}{}", quoted(said))]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        said: String,
    },
}

/// Why a bench did not do what was asked. Each carries the console's last lines, where they explain
/// it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// This board has no emulation.
    #[error("board {board} has no [qemu] section, so it cannot be emulated")]
    NotEmulated {
        /// Its name.
        board: String,
    },
    /// The channels to the emulator cannot be made.
    #[error("cannot make a channel to QEMU")]
    Channel(#[source] std::io::Error),
    /// The emulator cannot be started.
    #[error("cannot start QEMU")]
    Start(#[source] std::io::Error),
    /// The emulator does not do what it is told.
    #[error("QEMU refuses to {command}: {reason}")]
    Emulator {
        /// What it was told.
        command: String,
        /// What it says.
        reason: String,
    },
    /// The emulator ended by itself.
    #[error("QEMU ended by itself ({status}){}", quoted(stderr))]
    Ended {
        /// How.
        status: String,
        /// What it said.
        stderr: String,
        /// The console's last lines.
        console: Vec<String>,
    },
    /// The board does not answer any more.
    #[error("{lost}")]
    Lost {
        /// Why.
        lost: Lost,
        /// The console's last lines.
        console: Vec<String>,
    },
    /// The board was not ready in time.
    #[error("no agent answered within {} s of power-on", limit.as_secs())]
    BootTimeout {
        /// The bound.
        limit: Duration,
        /// The console's last lines.
        console: Vec<String>,
    },
    /// The agent did not answer in time.
    #[error("the agent did not answer within {:.1} s", limit.as_secs_f64())]
    Unanswered {
        /// The bound.
        limit: Duration,
    },
    /// A module was not loaded at boot.
    #[error("the kernel refused module {}: {}", _0.module, _0.error)]
    ModuleRefused(ModuleRefused),
    /// The agent could not do what was asked.
    #[error(transparent)]
    Refused(Failure),
    /// The agent answered something that is no answer to what was asked.
    #[error("{attempt}: the agent answered out of order")]
    OutOfOrder {
        /// What was asked.
        attempt: String,
    },
    /// The agent sends what cannot be read.
    #[error(transparent)]
    Unreadable(Unreadable),
    /// The agent on the board is of another version.
    #[error(
        "the agent on the board is version {agent} and speaks protocol {speaks}, wanted is {wanted}: install the kit's own on the board"
    )]
    OtherVersion {
        /// Its version.
        agent: String,
        /// What it speaks.
        speaks: u32,
        /// What this program speaks.
        wanted: u32,
    },
    /// There is no connection to the agent.
    #[error("there is no connection to the agent")]
    Unconnected,
    /// A bench that another process serves says so.
    #[error(transparent)]
    Trouble(Trouble),
    /// The server of a bench does not speak as this program does.
    #[error(
        "the bench at {} is served by another build of bringup, process {pid}: `bringup bench stop` ends it",
        path.display()
    )]
    OtherServer {
        /// The path of its socket.
        path: PathBuf,
        /// The process that serves it.
        pid: u32,
    },
    /// The bench takes no orders any more.
    #[error("the bench is about to end")]
    Ending,
    /// Nobody has said which bench to use.
    #[error("no bench: {} names none", crate::Bench::VARIABLE)]
    NoBench,
    /// The socket to a bench that another process serves.
    #[error("cannot talk to the bench at {}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A command that does something to the bench has failed.
    #[error("the command `{command}` failed: {why}")]
    Command {
        /// Its words.
        command: String,
        /// Whether it ran, and how that ended.
        why: CommandFailure,
    },
    /// A command that does something to the bench has not ended.
    #[error("the command `{command}` has not ended within {:.1} s", limit.as_secs_f64())]
    CommandTimeout {
        /// Its words.
        command: String,
        /// The bound.
        limit: Duration,
    },
    /// The bench has no card or disk of the board that it could write.
    #[error("the bench has no storage of the board that it could write")]
    NoStorage,
    /// The board's card or disk was not written, or cannot be used.
    #[error("cannot use {} as the board's storage", image.display())]
    Storage {
        /// The image.
        image: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The bench has nothing of this kind and name that something could be done to.
    #[error("the bench has no {kind} {name}: {there_are}")]
    NoStimulus {
        /// What was looked for.
        kind: Kind,
        /// The name it was looked for by.
        name: String,
        /// What there is instead.
        there_are: String,
    },
    /// The board has a peripheral that nobody plays.
    #[error(
        "the board has a peripheral {name}, and nobody here plays it: \
             take [qemu.peripheral.{name}] out of its board.toml"
    )]
    NotPlayed {
        /// Its name.
        name: String,
    },
    /// Something was not done to the board.
    #[error("cannot {attempt}: {reason}")]
    Stimulus {
        /// What was to be done.
        attempt: String,
        /// Why it was not.
        reason: String,
    },
    /// A line has not had a level in time.
    #[error("the line {name} was not {level} within {:.1} s", limit.as_secs_f64())]
    Level {
        /// Its name.
        name: String,
        /// The level that it should have.
        level: Level,
        /// The bound.
        limit: Duration,
    },
    /// A line to the board cannot be opened.
    #[error("cannot open the line {line}")]
    Line {
        /// Where it ends.
        line: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A remote login does not get through to the agent, or not any more.
    #[error("no login by SSH at {place}: {said}{}", hinted(*hint))]
    Login {
        /// Who would log in, and where.
        place: String,
        /// What ssh says.
        said: String,
        /// What to look at.
        hint: Option<&'static str>,
    },
    /// labgrid does not do what it was asked for.
    #[error("labgrid does not {what}: {said}{}", hinted(*hint))]
    Labgrid {
        /// What it was asked for.
        what: String,
        /// What its client says.
        said: String,
        /// What to look at.
        hint: Option<&'static str>,
    },
    /// A file of this PC.
    #[error("cannot read {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn unexpected(attempt: impl Display, reply: &impl Debug) -> Self {
        Self::OutOfOrder {
            attempt: format!("{attempt} ({reply:?})"),
        }
    }

    /// The console's last lines before the failure, or the kernel's log about it.
    pub fn evidence(&self) -> Vec<String> {
        match self {
            Self::Ended { console, .. }
            | Self::Lost { console, .. }
            | Self::BootTimeout { console, .. } => console.clone(),
            Self::Trouble(trouble) => trouble.evidence.clone(),
            Self::ModuleRefused(refused) => {
                let records = refused.kernel_log.iter();
                records.map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a bound of time was passed.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::BootTimeout { .. } | Self::Unanswered { .. } | Self::CommandTimeout { .. } => {
                true
            }
            Self::Trouble(trouble) => trouble.kind == TroubleKind::Timeout,
            _ => false,
        }
    }
}

fn hinted(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!(" ({hint})"))
}

fn quoted(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
