// SPDX-License-Identifier: MIT OR Apache-2.0

//! A control channel of the emulator: lines of text each way, each within a bound of time.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the emulator may take to accept a line, and to send one.
const PATIENCE: Duration = Duration::from_secs(5);

/// This end of it.
#[derive(Debug)]
pub(super) struct Channel {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
        })
    }

    /// Sends a line.
    pub(super) fn send(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(format!("{line}\n").as_bytes())
    }

    /// Receives a line, without its end; why not in words.
    pub(super) fn receive(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err("it has ended".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                    format!("no answer within {} s", PATIENCE.as_secs())
                }
                _ => error.to_string(),
            }),
        }
    }

    /// Waits no longer than that from now on.
    #[cfg(test)]
    pub(super) fn hurry(&self, limit: Duration) {
        self.writer.set_read_timeout(Some(limit)).unwrap();
    }
}
