// SPDX-License-Identifier: MIT OR Apache-2.0

//! The emulator's test protocol: registers and inputs from outside, while the board runs.
//!
//! It is a line of text each way (`system/qtest.c` of QEMU's source). A path or an input that there
//! is not ends the emulator, so whoever asks makes sure of them by the monitor first.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the emulator may take to accept a command, and to answer it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The emulator's test channel.
#[derive(Debug)]
pub(super) struct Qtest {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Qtest {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
        })
    }

    /// Writes a 32-bit register at a physical address.
    pub(super) fn write_register(&mut self, address: u64, value: u32) -> Result<(), String> {
        self.ask(&format!("writel {address:#x} {value:#x}"))
            .map(drop)
    }

    /// Reads a 32-bit register at a physical address.
    pub(super) fn read_register(&mut self, address: u64) -> Result<u32, String> {
        let answer = self.ask(&format!("readl {address:#x}"))?;
        let digits = answer.trim().trim_start_matches("0x");
        u32::from_str_radix(digits, 16).map_err(|_| format!("it answers {answer:?}"))
    }

    /// Sets an input of a device.
    pub(super) fn set_input(&mut self, path: &str, input: u8, is_high: bool) -> Result<(), String> {
        let level = u8::from(is_high);
        self.ask(&format!("set_irq_in {path} {INPUTS} {input} {level}"))
            .map(drop)
    }

    /// The words after `OK`.
    fn ask(&mut self, command: &str) -> Result<String, String> {
        let sent = self.writer.write_all(format!("{command}\n").as_bytes());
        sent.map_err(|error| error.to_string())?;
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err("it has ended".to_owned()),
            Ok(_) => match line.trim_end().strip_prefix("OK") {
                Some(answer) => Ok(answer.to_owned()),
                None => Err(format!("it answers {:?} to {command:?}", line.trim_end())),
            },
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What QEMU calls inputs that have only numbers.
pub(super) const INPUTS: &str = "unnamed-gpio-in";
