// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy copy`: batches of copies by the rings, each byte of which is checked, or copies without
//! an end until the device goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use dmacopy_client::{Buffer, Device, Error, Session};
use dmacopy_uapi::ring::{self, Descriptor};
use kernel_channels::Interest;
use kernel_channels::mmap::gone;
use serde::Serialize;

use super::batches::{self, Amount, Failure, Report, Slot, Task};
use crate::exit::Refusal;
use crate::output;

/// How long a hang-up is waited for before looking whether a copy has failed.
const MOMENT: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Args, Debug)]
pub(crate) struct Work {
    #[command(flatten)]
    amount: Amount,
    /// One copy after the other until one fails, and wait for the hang-up meanwhile
    #[arg(long, conflicts_with_all = ["count", "batches"])]
    until_failure: bool,
}

/// What has come of it.
#[derive(Debug, Serialize)]
struct Copied<'a> {
    #[serde(flatten)]
    report: &'a Report,
    copied: u64,
    /// The device has hung up.
    hang_up: bool,
}

/// Copies, says what has come of it, and whether all is well.
pub(super) fn run(device: &Device, work: &Work, json: bool) -> anyhow::Result<bool> {
    let mut report = Report::new(device)?;
    let hang_up = if work.until_failure {
        copy_until_failure(&device.session()?, work.amount.bytes, &mut report)?
    } else {
        batches::run(device, work.amount, &Copy, &mut report)?;
        false
    };
    let copied = Copied {
        report: &report,
        copied: report.done,
        hang_up,
    };
    output::print(json, &copied, || {
        let mut lines = report.lines("copied");
        if hang_up {
            lines.push("the device has gone".to_owned());
        }
        lines.join("\n") + "\n"
    })?;
    Ok(report.is_good())
}

/// Copies from one half of a part to the other.
struct Copy;

impl Task for Copy {
    fn room(&self, bytes: usize) -> Option<usize> {
        bytes.checked_mul(2)
    }

    fn prepare(&self, buffer: &mut Buffer, slot: &Slot) -> anyhow::Result<Descriptor> {
        buffer.write(slot.start, &content(slot.number, slot.bytes))?;
        buffer.fill(slot.start + slot.bytes, slot.bytes, 0)?;
        Ok(Descriptor {
            opcode: ring::COPY,
            source: slot.start as u64,
            destination: (slot.start + slot.bytes) as u64,
            length: u32::try_from(slot.bytes)?,
            ..Descriptor::default()
        })
    }

    fn expected(&self, slot: &Slot) -> (usize, Vec<u8>) {
        let content = content(slot.number, slot.bytes);
        (slot.start + slot.bytes, content)
    }
}

/// Copies from one half to the other, which nobody looks at: its memory goes with the device. Says
/// whether the device has hung up.
fn copy_until_failure(
    session: &Session,
    bytes: usize,
    report: &mut Report,
) -> anyhow::Result<bool> {
    // It may go before the first.
    gone::replace_by_zeroes()?;
    let mut buffer = session.buffer()?;
    let half = buffer.len() / 2;
    if bytes == 0 || bytes > half {
        let what = format!("{bytes} bytes are none, or more than half of the buffer");
        return Err(Refusal::Usage(what).into());
    }
    buffer.write(0, &content(0, bytes))?;
    let has_failed = AtomicBool::new(false);
    let hang_up = thread::scope(|scope| {
        let waiting = scope.spawn(|| -> Result<bool, Error> {
            loop {
                let is_last = has_failed.load(Ordering::Acquire);
                let hang_up = session.poll(Interest::NONE, Some(MOMENT))?.hang_up;
                if hang_up || is_last {
                    return Ok(hang_up);
                }
            }
        });
        let errno = loop {
            match session.copy(0, half as u64, bytes as u64) {
                Ok(_) => report.done += 1,
                Err(error) => break error.raw_os_error(),
            }
        };
        let number = report.done;
        let errno = errno.unwrap_or_default();
        report.failed.push(Failure { number, errno });
        has_failed.store(true, Ordering::Release);
        waiting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(hang_up)
}

/// Bytes that no other copy has at the same places.
fn content(number: u64, bytes: usize) -> Vec<u8> {
    // A linear congruential generator, of which the upper bits are good (Knuth, TAOCP 3.3.4).
    let mut state = number.wrapping_add(1);
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_copies_have_the_same_content() {
        let all: std::collections::BTreeSet<_> =
            (0..256).map(|number| content(number, 64)).collect();
        assert_eq!(all.len(), 256);
        assert!(all.iter().all(|one| one.len() == 64));
    }

    #[test]
    fn a_copy_goes_from_one_half_of_its_part_to_the_other() {
        let slot = Slot {
            number: 3,
            start: 1000,
            bytes: 10,
        };
        assert_eq!(Copy.expected(&slot), (1010, content(3, 10)));
        assert_eq!(Copy.room(10), Some(20));
        assert_eq!(Copy.room(usize::MAX), None);
    }
}
