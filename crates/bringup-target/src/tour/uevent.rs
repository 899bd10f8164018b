// SPDX-License-Identifier: MIT OR Apache-2.0

//! The engine stalls and goes on, and whoever listens is told.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dmacopy_client::{Counters, DebugFiles, Device, State};
use dmacopy_uapi::names::{attribute, state, uevent};
use kernel_channels::uevent::{Action, Event, Monitor, last_seqnum};
use nix::errno::Errno;

use super::evidence::Evidence;

/// The timeout while the engine is kept from completing anything.
const SHORT: Duration = Duration::from_millis(50);

/// How long an event may take, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let attributes = device.attributes();
    let debug = DebugFiles::open(device)?;
    let session = device.session()?;
    ensure!(
        attributes.state()? == State::Running,
        "the engine was stalled before"
    );
    let monitor = Monitor::open()?;
    let before = attributes.counters()?;
    let seqnum_before = last_seqnum()?;

    // Dropped in the reverse order: the engine goes on before the timeout is restored.
    let _restore = attributes
        .directory()
        .restore_later(attribute::TIMEOUT_MS)?;
    attributes.set_timeout(SHORT)?;
    let stall = debug.stall()?;
    let attempt = session.copy(0, 2048, 1024);
    evidence.refused("COPY on a stalled engine", attempt, Errno::ETIMEDOUT)?;

    let stalled = wait_for(&monitor, device, state::STALLED)?;
    evidence.equal(
        "state in the event",
        state::STALLED,
        &stalled.variables[uevent::STATE],
        "netlink",
    )?;
    let found = attributes.directory().text(attribute::STATE)?;
    evidence.equal("state", state::STALLED, found.as_str(), "sysfs state")?;
    let seqnum_now = last_seqnum()?;
    ensure!(
        seqnum_before < stalled.seqnum && stalled.seqnum <= seqnum_now,
        "event {} is not between {seqnum_before} and {seqnum_now}",
        stalled.seqnum
    );
    evidence.note(
        "SEQNUM of the event",
        &stalled.seqnum,
        &seqnum_now,
        "/sys/kernel/uevent_seqnum",
    );

    stall.lift()?;
    let running = wait_for(&monitor, device, state::RUNNING)?;
    let found = attributes.directory().text(attribute::STATE)?;
    evidence.equal(
        "state after that",
        state::RUNNING,
        found.as_str(),
        "sysfs state",
    )?;
    let (first, second) = (sequence(&stalled)?, sequence(&running)?);
    ensure!(
        first < second,
        "the engine recovered with transfer {second}, before {first}"
    );
    evidence.note(
        uevent::SEQUENCE,
        &format_args!("more than {first}"),
        &second,
        "netlink",
    );

    let completion = session.copy(0, 2048, 1024)?;
    evidence.equal(
        "sequence of a COPY after that",
        first + 1,
        completion.sequence,
        "ioctl COPY",
    )?;
    let expected = Counters {
        transfers: 1,
        bytes: 1024,
        errors: 1,
    };
    evidence.grown(before, attributes.counters()?, expected)
}

/// Waits for the change of this device to a state; events of others are passed over.
fn wait_for(monitor: &Monitor, device: &Device, state: &str) -> anyhow::Result<Event> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = monitor
            .next(Some(left))?
            .with_context(|| format!("no uevent with state {state} within {PATIENCE:?}"))?;
        let ours = event.action == Action::Change
            && event.devpath.rsplit('/').next() == Some(device.name());
        if ours
            && event
                .variables
                .get(uevent::STATE)
                .is_some_and(|s| s == state)
        {
            return Ok(event);
        }
    }
}

/// The number of the transfer that an event is about.
fn sequence(event: &Event) -> anyhow::Result<u64> {
    let text = event
        .variables
        .get(uevent::SEQUENCE)
        .with_context(|| format!("the event has no {}", uevent::SEQUENCE))?;
    text.parse()
        .with_context(|| format!("{} is {text:?}", uevent::SEQUENCE))
}
