// SPDX-License-Identifier: MIT OR Apache-2.0

//! The engine stalls and goes on, and whoever listens is told.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dmacopy_client::{Counters, Device, State};
use dmacopy_uapi::names::{attribute, state, uevent};
use kernel_channels::uevent::{Action, Event, Monitor, last_seqnum};
use nix::errno::Errno;

use super::evidence::Evidence;
use super::stall::Stalled;

/// The timeout while the engine is kept from completing anything.
const SHORT: Duration = Duration::from_millis(50);

/// How long an event may take, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let attributes = device.attributes();
    let session = device.session()?;
    ensure!(
        attributes.state()? == State::Running,
        "the engine was stalled before"
    );
    let monitor = Monitor::open()?;
    let before = attributes.counters()?;
    let seqnum_before = last_seqnum()?;
    evidence.gave(
        "listen to the kernel's uevents",
        "bind(2) of a NETLINK_KOBJECT_UEVENT socket to group 1",
        format_args!("the last one was {seqnum_before}"),
    );

    let stall = Stalled::engine(device, SHORT, evidence)?;
    let attempt = session.copy(0, 2048, 1024);
    evidence.refused("COPY on a stalled engine", attempt, Errno::ETIMEDOUT)?;

    let stalled = wait_for(&monitor, device, state::STALLED)?;
    let received = |event: &Event| format!("{}@{}", event.action.word(), event.devpath);
    evidence.got("an event", "recvmsg(2)", received(&stalled));
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
        &format!("{} or more", stalled.seqnum),
        &seqnum_now,
        "/sys/kernel/uevent_seqnum",
    );

    stall.lift(evidence)?;
    let running = wait_for(&monitor, device, state::RUNNING)?;
    evidence.got("an event", "recvmsg(2)", received(&running));
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
    evidence.asked(
        "copy",
        format_args!("ioctl(2) COPY on {}", device.node().display()),
        format_args!("transfer {}", completion.sequence),
    );
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
