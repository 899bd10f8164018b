// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver is asked about its devices, and tells all who listen when one stalls.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use dmacopy_client::{Device, Event, Events, Query, State};
use dmacopy_uapi::names::attribute;
use dmacopy_uapi::netlink::group;
use nix::errno::Errno;

use super::evidence::Evidence;
use super::stall::Stalled;

/// The timeout while the engine is kept from completing anything.
const SHORT: Duration = Duration::from_millis(50);

/// How long an event may take, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

/// No device has this number.
const NO_DEVICE: u32 = u32::MAX;

const LENGTH: u64 = 888;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let mut query = Query::open()?;
    let family = query.connection().family();
    evidence.asked(
        "ask for the driver by its name",
        "CTRL_CMD_GETFAMILY to nlctrl, by sendto(2) and recvfrom(2)",
        format_args!("family {}", family.id),
    );
    evidence.note(
        "family",
        &family.name,
        &format_args!("number {}, version {}", family.id, family.version),
        "nlctrl",
    );

    let devices = query.devices()?;
    evidence.asked(
        "ask for all devices",
        "GET_DEVICE with NLM_F_DUMP",
        format_args!("{} messages", devices.len()),
    );
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
    evidence.asked(
        "ask for one, after a copy",
        format_args!("GET_DEVICE with the number {}", before.number),
        format_args!("{}, {} bytes moved", after.name, after.counters.bytes),
    );
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
    evidence.gave(
        "listen to the driver's events",
        format_args!("setsockopt(2) NETLINK_ADD_MEMBERSHIP of {}", group::EVENTS),
        "taken",
    );
    let stall = Stalled::engine(device, SHORT, evidence)?;
    let attempt = session.copy(0, 1024, LENGTH);
    evidence.refused("COPY on a stalled engine", attempt, Errno::ETIMEDOUT)?;
    let stalled = changed(&mut events, before.number, State::Stalled)?;
    let told = |state, sequence| format!("{state:?} with transfer {sequence}");
    let (what, by) = ("an event that nobody asked for", "multicast, recvfrom(2)");
    evidence.got(what, by, told(State::Stalled, stalled));
    stall.lift(evidence)?;
    let running = changed(&mut events, before.number, State::Running)?;
    evidence.got(what, by, told(State::Running, running));
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
