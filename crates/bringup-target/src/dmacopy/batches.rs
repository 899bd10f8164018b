// SPDX-License-Identifier: MIT OR Apache-2.0

//! Batches of transfers by the rings, each byte of which is checked.

use std::io;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use dmacopy_client::{Buffer, Device, Error, Operation, RingCompletion, Rings, Session};
use dmacopy_uapi::names::{attribute, limits};
use dmacopy_uapi::ring::Descriptor;
use kernel_channels::Interest;
use kernel_channels::mmap::gone;
use serde::Serialize;

use crate::exit::Refusal;

/// How much is to be done.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Amount {
    /// Length of each transfer, in bytes
    #[arg(long, default_value_t = 4096)]
    pub(super) bytes: usize,
    /// Transfers of a batch
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    /// Batches, one after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) batches: u32,
}

/// What each transfer of a batch does. `index` is its place in the batch, `number` counts from 0
/// through all batches.
pub(super) trait Task {
    /// What one transfer takes of the buffer, in bytes; none if that is more than any buffer has.
    fn room(&self, bytes: usize) -> Option<usize>;

    /// Puts into the buffer what has to be there before, and describes the transfer.
    fn prepare(&self, buffer: &mut Buffer, slot: &Slot) -> anyhow::Result<Descriptor>;

    /// What the buffer has to hold afterwards, and from where on.
    fn expected(&self, slot: &Slot) -> (usize, Vec<u8>);
}

/// One transfer, and its part of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Which transfer, counted from 0 through all batches.
    pub(super) number: u64,
    /// Where its part begins.
    pub(super) start: usize,
    /// How much it moves.
    pub(super) bytes: usize,
}

/// What has come of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) device: String,
    pub(super) engine: String,
    /// Transfers that the driver says are done.
    #[serde(skip)]
    pub(super) done: u64,
    /// Those of them of which some byte is another one.
    pub(super) corrupted: u64,
    /// The first such byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_difference: Option<Difference>,
    /// Those that failed.
    pub(super) failed: Vec<Failure>,
}

/// A byte that is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// Of which transfer.
    number: u64,
    /// Where in the buffer.
    offset: usize,
    expected: u8,
    found: u8,
}

/// A transfer that failed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    /// Which one, counted from 0 through all batches.
    pub(super) number: u64,
    pub(super) errno: i32,
}

impl Report {
    pub(super) fn new(device: &Device) -> anyhow::Result<Self> {
        Ok(Self {
            device: device.name().to_owned(),
            engine: device.attributes().engine()?,
            ..Self::default()
        })
    }

    pub(super) fn is_good(&self) -> bool {
        self.failed.is_empty() && self.corrupted == 0
    }

    /// The lines for people; `done` is what was done with each.
    pub(super) fn lines(&self, done: &str) -> Vec<String> {
        let mut lines = vec![
            format!("device              {}", self.device),
            format!("engine              {}", self.engine),
            format!("{done:<20}{}", self.done),
            format!("corrupted           {}", self.corrupted),
        ];
        if let Some(difference) = &self.first_difference {
            let Difference {
                number,
                offset,
                expected,
                found,
            } = difference;
            lines.push(format!(
                "number {number}: at offset {offset} is {found:#04x}, not {expected:#04x}"
            ));
        }
        for Failure { number, errno } in &self.failed {
            let error = std::io::Error::from_raw_os_error(*errno);
            lines.push(format!("number {number} failed: {error}"));
        }
        lines
    }

    /// Takes down what a transfer has left in the buffer.
    fn compare(&mut self, number: u64, start: usize, expected: &[u8], found: &[u8]) {
        let mut pairs = expected.iter().zip(found);
        let Some(place) = pairs.position(|(expected, found)| expected != found) else {
            return;
        };
        self.corrupted += 1;
        self.first_difference.get_or_insert(Difference {
            number,
            offset: start + place,
            expected: expected[place],
            found: found[place],
        });
    }
}

/// Does all batches.
pub(super) fn run(
    device: &Device,
    amount: Amount,
    task: &dyn Task,
    report: &mut Report,
) -> anyhow::Result<()> {
    if amount.bytes == 0 {
        return Err(Refusal::Usage("a transfer of no bytes is none".into()).into());
    }
    // The memory of the buffer and of the rings goes with the device.
    gone::replace_by_zeroes()?;
    let session = &device.session()?;
    let attributes = device.attributes().directory();
    let more = |name| format!("write more to {}", attributes.path().join(name).display());
    let mut buffer = session.buffer()?;
    let room = task.room(amount.bytes);
    let all = room.and_then(|room| room.checked_mul(amount.count as usize));
    let Some(room) = room.filter(|_| all.is_some_and(|all| all <= buffer.len())) else {
        let what = format!(
            "{} transfers of {} bytes do not fit into a buffer of {} bytes: {}",
            amount.count,
            amount.bytes,
            buffer.len(),
            more(attribute::BUFFER_BYTES)
        );
        return Err(Refusal::Usage(what).into());
    };
    let mut rings = session.rings()?;
    if amount.count > rings.entries() {
        let what = format!(
            "{} transfers do not fit into rings of {} entries: {}",
            amount.count,
            rings.entries(),
            more(attribute::RING_ENTRIES)
        );
        return Err(Refusal::Usage(what).into());
    }
    // The driver would leave the rest in the ring.
    let limit = format!("{}/{}", limits::GROUP, limits::SESSION_TRANSFERS);
    let under_way = attributes.number(&limit)?;
    if u64::from(amount.count) > under_way {
        let what = format!(
            "{} transfers at once are more than the {under_way} of a session: {}",
            amount.count,
            more(&limit)
        );
        return Err(Refusal::Usage(what).into());
    }
    for batch in 0..u64::from(amount.batches) {
        let slots: Vec<_> = (0..amount.count)
            .map(|index| Slot {
                number: batch * u64::from(amount.count) + u64::from(index),
                start: room * index as usize,
                bytes: amount.bytes,
            })
            .collect();
        let result = run_batch(session, &mut rings, &mut buffer, task, &slots, report);
        // Whatever was found then in memory that has gone.
        check_presence(device, session)?;
        result?;
    }
    Ok(())
}

/// Fails when the device has gone.
fn check_presence(device: &Device, session: &Session) -> Result<(), Error> {
    let now = Some(Duration::ZERO);
    if !session.poll(Interest::NONE, now)?.hang_up {
        return Ok(());
    }
    Err(Error::Transfer {
        device: device.name().to_owned(),
        operation: Operation::Submit,
        source: io::Error::from_raw_os_error(libc::ENODEV),
    })
}

fn run_batch(
    session: &Session,
    rings: &mut Rings,
    buffer: &mut Buffer,
    task: &dyn Task,
    slots: &[Slot],
    report: &mut Report,
) -> anyhow::Result<()> {
    for slot in slots {
        let descriptor = Descriptor {
            user_data: slot.number,
            ..task.prepare(buffer, slot)?
        };
        let is_pushed = rings.push(&descriptor)?;
        ensure!(is_pushed, "no room in the ring for number {}", slot.number);
    }
    rings.submit(session, u32::try_from(slots.len())?)?;
    let ended = ended(slots, || Ok(rings.pop()?))?;
    for (slot, errno) in slots.iter().zip(ended) {
        if let Some(errno) = errno {
            let number = slot.number;
            report.failed.push(Failure { number, errno });
            continue;
        }
        report.done += 1;
        let (start, expected) = task.expected(slot);
        let found = buffer.copy_to_vec(start, expected.len())?;
        report.compare(slot.number, start, &expected, &found);
    }
    Ok(())
}

/// The error number of each transfer that failed: each completes once, in its turn, and nothing else.
fn ended(
    slots: &[Slot],
    mut pop: impl FnMut() -> anyhow::Result<Option<RingCompletion>>,
) -> anyhow::Result<Vec<Option<i32>>> {
    let mut all = Vec::new();
    for slot in slots {
        let completion = pop()?;
        let number = completion.map(|completion| completion.user_data);
        ensure!(
            number == Some(slot.number),
            "in place of number {}, {number:?} has completed",
            slot.number
        );
        all.push(completion.and_then(|completion| completion.errno));
    }
    ensure!(pop()?.is_none(), "something has completed twice");
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_another_one_is_told_and_each_such_transfer_counted() {
        let mut report = Report::default();
        report.compare(0, 64, b"abcd", b"abcd");
        assert!(report.is_good());
        report.compare(1, 64, b"abcd", b"abXY");
        report.compare(2, 64, b"abcd", b"....");
        assert!(!report.is_good());
        assert_eq!(report.corrupted, 2);
        let lines = report.lines("copied").join("\n");
        assert!(
            lines.ends_with("number 1: at offset 66 is 0x58, not 0x63"),
            "{lines}"
        );
    }

    #[test]
    fn each_transfer_completes_once_and_in_its_turn() {
        let slots = [7, 8].map(|number| Slot {
            number,
            start: 0,
            bytes: 1,
        });
        let ended = |popped: &[(u64, Option<i32>)]| {
            let completion = |(user_data, errno)| RingCompletion { user_data, errno };
            let mut popped = popped.iter().copied().map(completion);
            ended(&slots, || Ok(popped.next())).map_err(|error| error.to_string())
        };
        let good = [(7, None), (8, Some(libc::EIO))];
        assert_eq!(ended(&good), Ok(vec![None, Some(libc::EIO)]));
        let refused: [(&[_], &str); 5] = [
            (&[], "in place of number 7, None"),
            (&good[..1], "in place of number 8, None"),
            (&[good[1], good[0]], "in place of number 7, Some(8)"),
            (&[good[0], good[0]], "in place of number 8, Some(7)"),
            (
                &[good[0], good[1], good[1]],
                "something has completed twice",
            ),
        ];
        for (popped, expected) in refused {
            let error = ended(popped).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_transfer_that_failed_is_explained() {
        let mut report = Report::default();
        let (number, errno) = (7, libc::ETIMEDOUT);
        report.failed.push(Failure { number, errno });
        assert!(!report.is_good());
        let lines = report.lines("filled").join("\n");
        assert!(
            lines.contains("number 7 failed: Connection timed out"),
            "{lines}"
        );
    }
}
