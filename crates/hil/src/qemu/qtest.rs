// SPDX-License-Identifier: MIT OR Apache-2.0

//! The emulator's test protocol: registers and inputs from outside, while the board runs.
//!
//! It is a line of text each way (`system/qtest.c` of QEMU's source). A path or an input that there
//! is not ends the emulator, so whoever asks makes sure of them by the monitor first.

use std::io;
use std::os::unix::net::UnixStream;

use super::channel::Channel;

/// The emulator's test channel.
#[derive(Debug)]
pub(super) struct Qtest {
    channel: Channel,
    /// An answer did not come: whatever comes is not known to be the next question's.
    is_out_of_step: bool,
}

impl Qtest {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self {
            channel: Channel::new(stream)?,
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
        let sent = self.channel.send(command);
        let read = sent.map_err(|error| error.to_string());
        let read = read.and_then(|()| self.channel.receive());
        // Answers have no numbers.
        self.is_out_of_step = read.is_err();
        let line = read?;
        match line.strip_prefix("OK") {
            Some(answer) => Ok(answer.to_owned()),
            None => Err(format!("it answers {line:?} to {command:?}")),
        }
    }
}

/// What QEMU calls inputs that have only numbers.
pub(super) const INPUTS: &str = "unnamed-gpio-in";

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_that_comes_late_is_not_the_next_ones() {
        let (ours, mut emulator) = UnixStream::pair().unwrap();
        let mut qtest = Qtest::new(ours).unwrap();
        qtest.channel.hurry(Duration::from_millis(50));
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
