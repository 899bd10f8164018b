// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy fill`: the engine fills parts of the buffer, and each byte there and around is checked.

use clap::Args;
use dmacopy_client::{Buffer, Device};
use dmacopy_uapi::ring::{self, Descriptor};
use serde::Serialize;

use super::batches::{self, Amount, Report, Slot, Task};
use crate::output;

/// Bytes before and behind each part that the engine must not touch.
const GUARD: usize = 64;

/// What is asked for.
#[derive(Args, Debug)]
pub(crate) struct Work {
    #[command(flatten)]
    amount: Amount,
    /// Eight bytes that are repeated, lowest first; decimal, or hexadecimal with 0x
    #[arg(long, default_value = "0xf00dfacecafe0123", value_parser = pattern)]
    pattern: u64,
}

/// What has come of it.
#[derive(Debug, Serialize)]
struct Filled<'a> {
    #[serde(flatten)]
    report: &'a Report,
    filled: u64,
    pattern: String,
}

/// Fills, says what has come of it, and whether all is well.
pub(super) fn run(device: &Device, work: &Work, json: bool) -> anyhow::Result<bool> {
    let mut report = Report::new(device)?;
    let fill = Fill {
        pattern: work.pattern.to_le_bytes(),
    };
    batches::run(device, work.amount, &fill, &mut report)?;
    let filled = Filled {
        report: &report,
        filled: report.done,
        pattern: format!("{:#018x}", work.pattern),
    };
    output::print(json, &filled, || {
        let mut lines = report.lines("filled");
        lines.insert(2, format!("pattern             {}", filled.pattern));
        lines.join("\n") + "\n"
    })?;
    Ok(report.is_good())
}

/// Fills a part between two guards, which hold what the pattern has at no place.
struct Fill {
    pattern: [u8; 8],
}

impl Fill {
    /// A byte that the pattern does not have.
    fn background(&self) -> u8 {
        let is_free = |byte: &u8| !self.pattern.contains(byte);
        (0..=u8::MAX).find(is_free).unwrap_or_default()
    }

    fn content(&self, bytes: usize) -> impl Iterator<Item = u8> {
        self.pattern.into_iter().cycle().take(bytes)
    }
}

impl Task for Fill {
    fn room(&self, bytes: usize) -> Option<usize> {
        bytes.checked_add(2 * GUARD)
    }

    fn prepare(&self, buffer: &mut Buffer, slot: &Slot) -> anyhow::Result<Descriptor> {
        buffer.fill(slot.start, slot.bytes + 2 * GUARD, self.background())?;
        Ok(Descriptor {
            opcode: ring::FILL,
            source: u64::from_le_bytes(self.pattern),
            destination: (slot.start + GUARD) as u64,
            length: u32::try_from(slot.bytes)?,
            ..Descriptor::default()
        })
    }

    fn expected(&self, slot: &Slot) -> (usize, Vec<u8>) {
        let guard = std::iter::repeat_n(self.background(), GUARD);
        let content = self.content(slot.bytes);
        (
            slot.start,
            guard.clone().chain(content).chain(guard).collect(),
        )
    }
}

/// Reads a number of 64 bits.
fn pattern(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text:?} is no number of 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_number_of_64_bits() {
        assert_eq!(pattern("255"), Ok(255));
        assert_eq!(pattern("0xff"), Ok(255));
        assert_eq!(pattern("0xffffffffffffffff"), Ok(u64::MAX));
        for text in ["", "0x", "ff", "-1", "0x1ffffffffffffffff"] {
            pattern(text).unwrap_err();
        }
    }

    #[test]
    fn the_guards_hold_what_the_pattern_does_not() {
        let fill = Fill {
            pattern: [0, 1, 2, 4, 5, 6, 7, 8],
        };
        assert_eq!(fill.background(), 3);
        let slot = Slot {
            number: 0,
            start: 1000,
            bytes: 11,
        };
        let (start, expected) = fill.expected(&slot);
        assert_eq!(start, 1000);
        assert_eq!(expected.len(), 11 + 2 * GUARD);
        assert_eq!(fill.room(11), Some(expected.len()));
        let inner = &expected[GUARD..GUARD + 11];
        assert_eq!(inner, [0, 1, 2, 4, 5, 6, 7, 8, 0, 1, 2]);
        assert!(expected[..GUARD].iter().all(|byte| *byte == 3));
        assert!(expected[GUARD + 11..].iter().all(|byte| *byte == 3));
        assert_eq!(fill.room(usize::MAX), None);
    }
}
