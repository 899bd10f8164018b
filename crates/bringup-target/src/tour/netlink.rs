// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver is asked about its devices, and tells all who listen when one stalls.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use dmacopy_client::{DebugFiles, Device, Event, Events, Query, State};
use dmacopy_uapi::names::attribute;
use nix::errno::Errno;

use super::evidence::Evidence;

/// The timeout while the engine is kept from completing anything.
const SHORT: Duration = Duration::from_millis(50);

/// How long an event may take, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

/// No device has this number.
const NO_DEVICE: u32 = u32::MAX;

const LENGTH: u64 = 888;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let attributes = device.attributes();
    let session = device.session()?;
    let mut query = Query::open()?;
    let family = query.connection().family();
    evidence.note(
        "family",
        &family.name,
        &format_args!("number {}, version {}", family.id, family.version),
        "nlctrl",
    );

    let devices = query.devices()?;
    evidence.equal(
        "devices listed",
        Device::all()?.len(),
        devices.len(),
        "dump",
    )?;
    let ours = |status: &&dmacopy_client::Status| status.name == device.name();
    let before = devices.iter().find(ours);
    let before = before.with_context(|| format!("{} is not listed", device.name()))?;

    session.copy(0, 1024, LENGTH)?;
    let info = session.info()?;
    let after = query.device(before.number)?;
    evidence.equal(
        "engine",
        info.engine,
        after.engine,
        "GET_DEVICE, ioctl INFO",
    )?;
    evidence.equal(
        attribute::BUFFER_BYTES,
        info.buffer_bytes,
        after.buffer_bytes,
        "GET_DEVICE, ioctl INFO",
    )?;
    evidence.equal(
        "growth of bytes",
        LENGTH,
        after.counters.bytes.wrapping_sub(before.counters.bytes),
        "GET_DEVICE",
    )?;
    evidence.refused(
        "number of no device",
        query.device(NO_DEVICE),
        Errno::ENODEV,
    )?;

    let mut events = Events::listen()?;
    // Dropped in the reverse order: the engine goes on before the timeout is restored.
    let _restore = attributes
        .directory()
        .restore_later(attribute::TIMEOUT_MS)?;
    attributes.set_timeout(SHORT)?;
    let stall = DebugFiles::open(device)?.stall()?;
    let attempt = session.copy(0, 1024, LENGTH);
    evidence.refused("COPY on a stalled engine", attempt, Errno::ETIMEDOUT)?;
    let stalled = changed(&mut events, before.number, State::Stalled)?;
    stall.lift()?;
    let running = changed(&mut events, before.number, State::Running)?;
    evidence.equal(
        "sequence of the recovery",
        stalled + 1,
        running,
        "multicast events",
    )?;
    let completion = session.copy(0, 1024, LENGTH)?;
    evidence.equal(
        "sequence of a COPY after that",
        running,
        completion.sequence,
        "ioctl COPY",
    )
}

/// Waits for a change of this device, which has to be the next, and returns its sequence.
fn changed(events: &mut Events, device: u32, expected: State) -> anyhow::Result<u64> {
    loop {
        let event = events
            .next(Some(PATIENCE))?
            .with_context(|| format!("no event {expected:?} within {PATIENCE:?}"))?;
        if let Event::StateChanged {
            number,
            state,
            sequence,
        } = event
        {
            if number == device {
                ensure!(state == expected, "{state:?} was told before {expected:?}");
                return Ok(sequence);
            }
        }
    }
}
