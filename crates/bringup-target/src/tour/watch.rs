// SPDX-License-Identifier: MIT OR Apache-2.0

//! The node and an attribute are watched, and a guard says who may set another one.

use std::fs;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use dmacopy_client::{Device, State};
use dmacopy_uapi::names::{attribute, state};
use kernel_channels::watch::{Changes, Guard, Listener, Permission, Request, Watcher};
use nix::errno::Errno;

use super::evidence::{Evidence, errno_name};
use super::stall::Stalled;
use crate::client::Client;

/// The timeout while the engine is kept from completing anything.
const SHORT: Duration = Duration::from_millis(50);
/// How long an event may take, on the slowest emulated board.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));
const SESSIONS: usize = 3;
/// A timeout that is nobody's default, in milliseconds.
const OTHER_TIMEOUT: &str = "4321";

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    uses(device, evidence)?;
    changes(device, evidence)?;
    who(device, evidence)?;
    guard(device, evidence)
}

/// Who opens and closes the node is noticed.
fn uses(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let mut watcher = Watcher::new()?;
    let wanted = Changes::OPEN | Changes::CLOSE_WRITE;
    watcher.add(device.node(), wanted)?;
    evidence.gave(
        "watch the node",
        format_args!("inotify_add_watch(2) of {}", device.node().display()),
        wanted,
    );
    for _ in 0..SESSIONS {
        drop(device.session()?);
    }
    let mut seen = Vec::new();
    while let Some(change) = watcher.next(Some(Duration::ZERO))? {
        seen.push(change.changes.to_string());
    }
    let seen = seen.join(" ");
    evidence.got("what was done to it", "read(2) of inotify", &seen);
    let expected = ["OPEN", "CLOSE_WRITE"].repeat(SESSIONS).join(" ");
    evidence.equal("sessions opened and closed", expected, seen, "inotify")
}

/// An attribute that the driver changes is noticed, and is what the driver says.
fn changes(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let attributes = device.attributes();
    let session = device.session()?;
    ensure!(
        attributes.state()? == State::Running,
        "the engine was stalled before"
    );
    let mut watcher = Watcher::new()?;
    let watched = attributes.directory().path().join(attribute::STATE);
    watcher.add(&watched, Changes::MODIFY)?;
    evidence.gave(
        "watch an attribute",
        format_args!("inotify_add_watch(2) of {}", watched.display()),
        Changes::MODIFY,
    );

    let stalled = Stalled::engine(device, SHORT, evidence)?;
    let attempt = session.copy(0, 2048, 64);
    evidence.refused("COPY on a stalled engine", attempt, Errno::ETIMEDOUT)?;
    changed(device, &mut watcher, state::STALLED, evidence)?;
    stalled.lift(evidence)?;
    changed(device, &mut watcher, state::RUNNING, evidence)
}

fn changed(
    device: &Device,
    watcher: &mut Watcher,
    expected: &str,
    evidence: &mut Evidence,
) -> anyhow::Result<()> {
    let change = watcher.next(PATIENCE)?;
    let change = change.with_context(|| format!("no event within {PATIENCE:?}"))?;
    evidence.got("it has changed", "read(2) of inotify", change.changes);
    ensure!(change.changes == Changes::MODIFY, "not modified");
    let found = device.attributes().directory().text(attribute::STATE)?;
    evidence.equal("state then", expected, found.as_str(), "sysfs state")
}

/// Who opens the node is known by its process.
fn who(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let mut listener = Listener::new()?;
    listener.add(device.node(), Changes::OPEN)?;
    evidence.gave(
        "listen who opens the node",
        format_args!("fanotify_mark(2) of {}", device.node().display()),
        Changes::OPEN,
    );
    let mut client = Client::start("open", device.node(), &[])?;
    let event = listener.next(PATIENCE)?;
    let event = event.with_context(|| format!("no event within {PATIENCE:?}"))?;
    evidence.got("somebody has", "read(2) of fanotify", event.changes);
    let found = event.process.id().unsigned_abs();
    evidence.equal("opened by process", client.id(), found, "fanotify")?;
    let found = errno_name(client.number()?);
    evidence.equal("what it got", errno_name(0), found, "the client")
}

/// A client may set an attribute or not, as the guard says.
fn guard(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let directory = device.attributes().directory();
    // Restored when nobody guards any more.
    let restore = directory.restore_later(attribute::TIMEOUT_MS)?;
    let path = directory.path().join(attribute::TIMEOUT_MS);
    let attempt = || {
        let more = [attribute::TIMEOUT_MS, OTHER_TIMEOUT];
        Client::start("set", device.node(), &more)
    };
    let guarded = || -> anyhow::Result<Guard> {
        let guard = Guard::new()?;
        guard.add(&path, Permission::OPEN)?;
        Ok(guard)
    };

    let guard = guarded()?;
    let by = format!("fanotify_mark(2) of {}", path.display());
    evidence.gave("guard an attribute", by, "FAN_OPEN_PERM");
    let mut client = attempt()?;
    let request = asked(&guard, evidence)?;
    let found = request.process().id().unsigned_abs();
    evidence.equal("who asks", client.id(), found, "fanotify")?;
    let pidfd = request.process().pidfd().context("the client has gone")?;
    let by = "/proc/self/fdinfo";
    evidence.equal("whose pidfd", client.id(), process(pidfd)?, by)?;
    request.deny()?;
    evidence.gave("deny it", "write(2) to fanotify", "FAN_DENY");
    let found = errno_name(client.number()?);
    evidence.equal("what it got", errno_name(libc::EPERM), found, "the client")?;
    // This process would have to ask, too.
    drop(guard);
    let found = directory.text(attribute::TIMEOUT_MS)?;
    evidence.equal("timeout then", restore.text(), &found, "sysfs timeout_ms")?;

    let guard = guarded()?;
    let mut client = attempt()?;
    asked(&guard, evidence)?.allow()?;
    evidence.gave("allow it", "write(2) to fanotify", "FAN_ALLOW");
    let found = errno_name(client.number()?);
    evidence.equal("what it got", errno_name(0), found, "the client")?;
    drop(guard);
    let found = directory.text(attribute::TIMEOUT_MS)?;
    evidence.equal("timeout then", OTHER_TIMEOUT, &found, "sysfs timeout_ms")
}

fn asked<'a>(guard: &'a Guard, evidence: &mut Evidence) -> anyhow::Result<Request<'a>> {
    let request = guard.next(PATIENCE)?;
    let request = request.with_context(|| format!("nobody has asked within {PATIENCE:?}"))?;
    let id = request.process().id();
    evidence.got(
        "somebody asks",
        "read(2) of fanotify",
        format_args!("process {id}"),
    );
    Ok(request)
}

/// The process that a pidfd leads to.
fn process(pidfd: BorrowedFd<'_>) -> anyhow::Result<u32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(line.context("no Pid")?.trim().parse()?)
}
