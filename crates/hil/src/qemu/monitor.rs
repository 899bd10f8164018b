// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine protocol: how the emulator is told to end.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;

/// How long the emulator may take to accept a command.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The emulator's control channel.
#[derive(Debug)]
pub(super) struct Monitor {
    stream: UnixStream,
}

impl Monitor {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Self { stream })
    }

    /// Asks the emulator to end, as if the board's power were cut.
    ///
    /// The answers are not read: what counts is that the process ends.
    pub(super) fn quit(&mut self) -> io::Result<()> {
        for command in ["qmp_capabilities", "quit"] {
            let request = json!({ "execute": command });
            self.stream.write_all(format!("{request}\n").as_bytes())?;
        }
        Ok(())
    }
}
