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
    /// An answer did not come: whatever comes is not known to be the next question's.
    is_out_of_step: bool,
}

impl Qtest {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
            is_out_of_step: false,
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
        if self.is_out_of_step {
            return Err("it has left a question unanswered; a power cycle helps".to_owned());
        }
        let sent = self.writer.write_all(format!("{command}\n").as_bytes());
        let mut line = String::new();
        let read = sent.and_then(|()| self.reader.read_line(&mut line));
        // Answers have no numbers.
        self.is_out_of_step = read.is_err();
        match read {
            Ok(0) => Err("it has ended".to_owned()),
            Ok(_) => match line.trim_end().strip_prefix("OK") {
                Some(answer) => Ok(answer.to_owned()),
                None => Err(format!("it answers {:?} to {command:?}", line.trim_end())),
            },
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                    Err(format!("no answer within {} s", PATIENCE.as_secs()))
                }
                _ => Err(error.to_string()),
            },
        }
    }
}

/// What QEMU calls inputs that have only numbers.
pub(super) const INPUTS: &str = "unnamed-gpio-in";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_late_is_not_the_next_ones() {
        let (ours, mut emulator) = UnixStream::pair().unwrap();
        let mut qtest = Qtest::new(ours).unwrap();
        let soon = Some(Duration::from_millis(50));
        qtest.writer.set_read_timeout(soon).unwrap();
        let late = qtest.read_register(0x10).unwrap_err();
        assert!(late.contains("no answer within"), "{late}");
        emulator.write_all(b"OK 0x10\nOK 0x0\n").unwrap();
        let next = qtest.read_register(0x20).unwrap_err();
        assert!(next.contains("left a question unanswered"), "{next}");
    }

    #[test]
    fn a_register_is_read_as_it_is_told_and_a_refusal_too() {
        let (ours, mut emulator) = UnixStream::pair().unwrap();
        let mut qtest = Qtest::new(ours).unwrap();
        emulator
            .write_all(b"OK 0x00000000000000fe\nFAIL Unknown command\n")
            .unwrap();
        assert_eq!(qtest.read_register(0x10), Ok(0xfe));
        let refused = qtest.write_register(0x10, 1).unwrap_err();
        assert!(refused.contains("FAIL Unknown command"), "{refused}");
    }
}
