// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy copy`: batches of copies by the rings, each byte of which is checked, or copies without
//! an end until the device goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use dmacopy_client::{Buffer, Device, Error, Rings, Session};
use dmacopy_uapi::ring::{self, Descriptor};
use kernel_channels::Interest;
use serde::Serialize;

use crate::exit::Refusal;
use crate::output;

/// How long a hang-up is waited for before looking whether a copy has failed.
const MOMENT: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Args, Debug)]
pub(crate) struct Work {
    /// Bytes of each copy
    #[arg(long, default_value_t = 4096)]
    bytes: usize,
    /// Copies of a batch
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Batches, one after the other
    #[arg(long, default_value_t = 1)]
    batches: u32,
    /// One copy after the other until one fails, and wait for the hang-up meanwhile
    #[arg(long, conflicts_with_all = ["count", "batches"])]
    until_failure: bool,
}

/// What has come of it.
#[derive(Debug, Default, Serialize)]
struct Report {
    device: String,
    engine: String,
    /// Copies that the driver says are done.
    copied: u64,
    /// Those of them of which some byte is another one.
    corrupted: u64,
    /// Those that failed.
    failed: Vec<Failure>,
    /// The device has hung up.
    hang_up: bool,
}

/// A copy that failed.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Failure {
    /// Which one, counted from 0 through all batches.
    number: u64,
    errno: i32,
}

/// Copies, says what has come of it, and whether all is well.
pub(super) fn run(device: &Device, work: &Work, json: bool) -> anyhow::Result<bool> {
    let mut report = Report {
        device: device.name().to_owned(),
        engine: device.attributes().engine()?,
        ..Report::default()
    };
    let session = device.session()?;
    if work.until_failure {
        copy_until_failure(&session, work, &mut report)?;
    } else {
        copy_batches(&session, work, &mut report)?;
    }
    output::print(json, &report, || report.text())?;
    Ok(report.failed.is_empty() && report.corrupted == 0)
}

/// Halves of the buffer: from the first, copies go to the second.
struct Halves {
    buffer: Buffer,
    half: usize,
}

impl Halves {
    fn new(session: &Session, bytes: usize) -> anyhow::Result<Self> {
        let buffer = session.buffer()?;
        let half = buffer.len() / 2;
        if bytes == 0 {
            return Err(Refusal::Usage("there is nothing to copy".into()).into());
        }
        ensure!(
            bytes <= half,
            "a buffer of {} bytes holds not twice {bytes}: set buffer_bytes",
            buffer.len()
        );
        Ok(Self { buffer, half })
    }
}

fn copy_batches(session: &Session, work: &Work, report: &mut Report) -> anyhow::Result<()> {
    let mut halves = Halves::new(session, work.bytes * work.count as usize)?;
    let mut rings = session.rings()?;
    ensure!(
        work.count <= rings.entries(),
        "rings of {} entries hold not {}: set ring_entries",
        rings.entries(),
        work.count
    );
    for batch in 0..u64::from(work.batches) {
        let before = batch * u64::from(work.count);
        copy_batch(session, &mut rings, &mut halves, work, before, report)?;
    }
    Ok(())
}

fn copy_batch(
    session: &Session,
    rings: &mut Rings,
    halves: &mut Halves,
    work: &Work,
    before: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let Halves { buffer, half } = halves;
    for index in 0..work.count {
        let number = before + u64::from(index);
        let source = work.bytes * index as usize;
        buffer.write(source, &content(number, work.bytes))?;
        buffer.fill(*half + source, work.bytes, 0)?;
        let is_pushed = rings.push(&Descriptor {
            opcode: ring::COPY,
            user_data: number,
            source: source as u64,
            destination: (*half + source) as u64,
            length: u32::try_from(work.bytes)?,
            ..Descriptor::default()
        })?;
        ensure!(is_pushed, "no room in the ring for number {number}");
    }
    rings.submit(session, work.count)?;
    for expected in before..before + u64::from(work.count) {
        let completion = rings.pop()?;
        let number = completion.as_ref().map(|completion| completion.user_data);
        ensure!(
            number == Some(expected),
            "in place of number {expected}, {number:?} has completed"
        );
        if let Some(errno) = completion.and_then(|completion| completion.errno) {
            let number = expected;
            report.failed.push(Failure { number, errno });
            continue;
        }
        report.copied += 1;
        let place = *half + work.bytes * usize::try_from(expected - before)?;
        let arrived = buffer.copy_to_vec(place, work.bytes)?;
        report.corrupted += u64::from(arrived != content(expected, work.bytes));
    }
    ensure!(rings.pop()?.is_none(), "something has completed twice");
    Ok(())
}

/// Copies from one half to the other, which nobody looks at: its memory goes with the device.
fn copy_until_failure(session: &Session, work: &Work, report: &mut Report) -> anyhow::Result<()> {
    let mut halves = Halves::new(session, work.bytes)?;
    halves.buffer.write(0, &content(0, work.bytes))?;
    let (to, length) = (halves.half as u64, work.bytes as u64);
    let has_failed = AtomicBool::new(false);
    report.hang_up = thread::scope(|scope| {
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
            match session.copy(0, to, length) {
                Ok(_) => report.copied += 1,
                Err(error) => break error.raw_os_error(),
            }
        };
        let number = report.copied;
        let errno = errno.unwrap_or_default();
        report.failed.push(Failure { number, errno });
        has_failed.store(true, Ordering::Release);
        waiting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(())
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

impl Report {
    /// The same for people.
    fn text(&self) -> String {
        let mut lines = vec![
            format!("device              {}", self.device),
            format!("engine              {}", self.engine),
            format!("copied              {}", self.copied),
            format!("corrupted           {}", self.corrupted),
        ];
        for Failure { number, errno } in &self.failed {
            let error = std::io::Error::from_raw_os_error(*errno);
            lines.push(format!("number {number} failed: {error}"));
        }
        if self.hang_up {
            lines.push("the device has gone".to_owned());
        }
        lines.join("\n") + "\n"
    }
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
}
