// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong with a bench, as opposed to with what runs on it.

use std::time::Duration;

use agent_wire::Damage;
use thiserror::Error;

/// Why a board did not do its work. Each carries the console's last lines, where there are any.
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
    /// The emulator ended by itself before the board was done.
    #[error("QEMU ended before the board was done ({status}){}", quoted(stderr))]
    Ended {
        /// How.
        status: String,
        /// What it said.
        stderr: String,
        /// The console's last lines.
        console: Vec<String>,
    },
    /// The kernel panicked.
    #[error("the kernel panicked: {line}")]
    Panic {
        /// The line that says so.
        line: String,
        /// Whether the agent had answered before, so that boot was over.
        booted: bool,
        /// The console's last lines.
        console: Vec<String>,
    },
    /// The agent could not do its work and said so on the console.
    #[error("the agent gave up: {line}")]
    Agent {
        /// The line that says so.
        line: String,
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
    /// The programs did not end in time.
    #[error("the board's programs did not end within {} s", limit.as_secs())]
    RunTimeout {
        /// The bound.
        limit: Duration,
        /// The console's last lines.
        console: Vec<String>,
    },
    /// A module was not loaded.
    #[error("the kernel refused module {module}: {error}")]
    ModuleRefused {
        /// Its path on the board.
        module: String,
        /// The kernel's error.
        error: String,
        /// What the kernel said about it.
        kernel_log: String,
    },
    /// The agent said that it had finished without having said that it was ready.
    #[error("the agent finished without having been ready")]
    NeverReady,
    /// A frame was damaged on its way.
    #[error("a frame from the agent was damaged")]
    Damaged(#[source] Damage),
    /// Frames were lost on their way.
    #[error("frames {expected} to {} from the agent were lost", found.saturating_sub(1))]
    Lost {
        /// The first that is missing.
        expected: u64,
        /// The one that came instead.
        found: u64,
    },
}

impl Error {
    /// The console's last lines before the failure, or the kernel's log about it.
    pub fn evidence(&self) -> Vec<String> {
        match self {
            Self::Ended { console, .. }
            | Self::Panic { console, .. }
            | Self::Agent { console, .. }
            | Self::BootTimeout { console, .. }
            | Self::RunTimeout { console, .. } => console.clone(),
            Self::ModuleRefused { kernel_log, .. } => {
                kernel_log.lines().map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a bound of time was passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::BootTimeout { .. } | Self::RunTimeout { .. })
    }
}

fn quoted(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
