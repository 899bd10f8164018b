// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver starts this very program, which leaves a record of what it was told.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dmacopy_client::{Device, JOURNAL, Told, Upcall};
use dmacopy_uapi::names::{state, uevent};
use kernel_channels::uevent::Monitor;
use kernel_channels::upcall::{Journal, KERNEL_THREADS, Record};
use nix::errno::Errno;

use super::evidence::Evidence;
use super::stall::Stalled;

/// The timeout while the engine is kept from completing anything.
const SHORT: Duration = Duration::from_millis(50);

/// How long an event or a program may take, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let upcall = Upcall::of(device)?;
    let session = device.session()?;
    let journal = Journal::open(JOURNAL)?;
    let before = whole(&journal)?;
    let counted = upcall.counters()?;
    evidence.equal(
        "switched on by itself",
        false,
        upcall.is_enabled()?,
        "sysfs upcall/enabled",
    )?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let program = program.to_str().context("its path is no text")?;

    let enabled = upcall.enable(program, Duration::ZERO)?;
    evidence.gave(
        "say which program is to be started",
        format_args!(
            "write(2) to {}/path and enabled",
            upcall.directory().path().display()
        ),
        upcall.path()?,
    );
    let monitor = Monitor::open()?;
    let stall = Stalled::engine(device, SHORT, evidence)?;
    let attempt = session.copy(0, 2048, 1024);
    evidence.refused("COPY on a stalled engine", attempt, Errno::ETIMEDOUT)?;
    let sequence = stalled(&monitor, device)?;
    let record = next(&journal, &before)?;
    evidence.got(
        "the kernel has started the program",
        "execve(2) by a kernel thread; its record is a file",
        record.path.display(),
    );
    evidence.got(
        "what it was told",
        "its arguments",
        record
            .call
            .arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" "),
    );
    stall.lift(evidence)?;
    drop(enabled);

    let told = Told::read(&record.call).context("the record is none of a call by the driver")?;
    evidence.equal(
        uevent::SEQUENCE,
        sequence,
        told.sequence,
        "record of the program",
    )?;
    evidence.equal(
        "device",
        device.name(),
        &told.device,
        "record of the program",
    )?;
    evidence.equal(
        "state",
        state::STALLED,
        &told.state,
        "record of the program",
    )?;
    evidence.equal(
        "parent, which is kthreadd",
        KERNEL_THREADS,
        record.parent,
        "record of the program",
    )?;
    let runs = upcall.counters()?.runs;
    evidence.equal("runs", counted.runs + 1, runs, "sysfs upcall/runs")?;
    evidence.equal(
        "switched on after that",
        false,
        upcall.is_enabled()?,
        "sysfs upcall/enabled",
    )?;
    journal.remove(&record)?;
    Ok(())
}

/// The number of the transfer that a uevent says the engine has stalled with.
fn stalled(monitor: &Monitor, device: &Device) -> anyhow::Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = monitor.next(Some(left))?;
        let event = event.with_context(|| format!("no uevent within {PATIENCE:?}"))?;
        let variable = |key| event.variables.get(key).map(String::as_str);
        let is_ours = event.devpath.rsplit('/').next() == Some(device.name());
        if is_ours && variable(uevent::STATE) == Some(state::STALLED) {
            let number = variable(uevent::SEQUENCE).and_then(|number| number.parse().ok());
            return number.context("the event has no number of a transfer");
        }
    }
}

/// All records that can be read; what is wrong with others is not this tour's to judge.
fn whole(journal: &Journal) -> anyhow::Result<Vec<Record>> {
    Ok(journal.records()?.into_iter().flatten().collect())
}

/// The record that has come since.
fn next(journal: &Journal, before: &[Record]) -> anyhow::Result<Record> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut records = whole(journal)?.into_iter();
        if let Some(record) = records.find(|one| !before.contains(one)) {
            return Ok(record);
        }
        ensure!(
            Instant::now() < deadline,
            "no record of a program within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
