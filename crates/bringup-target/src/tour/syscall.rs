// SPDX-License-Identifier: MIT OR Apache-2.0

//! The entry points themselves: what is called is what the kernel counts, by its number.

use std::num::NonZeroU32;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use anyhow::{bail, ensure};
use dmacopy_client::Device;
use kernel_channels::Interest;
use kernel_channels::syscall::{self, Flags};
use kernel_channels::tracepoint::{Counter, Event, Sampler};
use nix::errno::Errno;
use nix::unistd::gettid;

use super::evidence::{Evidence, errno_name};
use super::pattern::pattern;
use crate::client::{Client, LENGTH, SEED};

/// The system of tracepoints that has two for each system call.
const SYSTEM: &str = "syscalls";
const ROUNDS: u32 = 1000;
/// Longer than anything takes, on the slowest emulated board.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    floor(evidence)?;
    read(device, evidence)?;
    take(device, evidence)?;
    identify(device, evidence)
}

/// What it costs to enter the kernel, and how often that was done.
fn floor(evidence: &mut Evidence) -> anyhow::Result<()> {
    let rounds = NonZeroU32::MIN.saturating_add(ROUNDS - 1);
    let mut counter = Counter::of_this_thread(&Event::find(SYSTEM, "sys_enter_getppid")?)?;
    syscall::floor(rounds);
    let counted = counter.read()?;
    drop(counter);
    // Once more, since being counted costs time.
    let floor = syscall::floor(rounds);
    evidence.asked(
        "enter the kernel and leave it",
        format_args!("syscall(2), {ROUNDS} times getppid(2)"),
        format_args!("{floor:?} each, the floor of all else"),
    );
    let expected = u64::from(ROUNDS);
    evidence.equal("times entered", expected, counted, "perf counter")
}

/// Reads the stream with a flag that no other call takes, and looks what the kernel got.
fn read(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let sent = pattern(SEED, LENGTH);
    let taken = session.write(&sent)?;
    ensure!(taken == LENGTH, "the driver took {taken} of {LENGTH} bytes");
    session.poll(Interest::READABLE, PATIENCE)?;

    let enter = Event::find(SYSTEM, "sys_enter_preadv2")?;
    let exit = Event::find(SYSTEM, "sys_exit_preadv2")?;
    let (mut entered, mut left) = (Sampler::open(&enter)?, Sampler::open(&exit)?);
    let mut received = vec![0; LENGTH];
    let mut returned = Vec::new();
    let mut filled = 0;
    while filled < LENGTH {
        let read = syscall::read(&session, &mut received[filled..], None, Flags::NO_WAIT)?;
        ensure!(
            read > 0,
            "the stream ended after {filled} of {LENGTH} bytes"
        );
        filled += read;
        returned.push(i128::try_from(read)?);
    }
    let by = format!("preadv2(2) of {} with RWF_NOWAIT", device.node().display());
    evidence.asked("read without waiting", &by, format_args!("{filled} bytes"));
    evidence.equal_bytes("bytes through the engine", &sent, &received, "preadv2")?;

    let beyond = syscall::read(&session, &mut [0], Some(0), Flags::NO_WAIT);
    returned.push(i128::from(-libc::ESPIPE));
    evidence.refused_call("read from an offset", by, beyond, Errno::ESPIPE)?;
    let files = ours(&enter, &mut entered, "fd")?;
    let results = ours(&exit, &mut left, "ret")?;
    evidence.got(
        "what the kernel has seen of that",
        format_args!("perf samples of {} and {}", enter.name(), exit.name()),
        format_args!("{} calls", files.len()),
    );
    let file = i128::from(session.as_fd().as_raw_fd());
    let expected = listed(&vec![file; returned.len()]);
    evidence.equal("files read", expected, listed(&files), enter.name())?;
    let (expected, found) = (listed(&returned), listed(&results));
    evidence.equal("results", expected, found, exit.name())
}

/// Takes an open session out of another process, and reads there what that process has written.
fn take(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let sessions = device.attributes().sessions()?;
    let mut client = Client::start("hold", device.node(), &[])?;
    let number = client.number()?;
    let process = syscall::open_process(client.id())?;
    let taken = syscall::take_descriptor(&process, number)?;
    evidence.asked(
        "take a session out of another process",
        format_args!(
            "pidfd_open(2) of {}, pidfd_getfd(2) of {number}",
            client.id()
        ),
        format_args!("descriptor {} here", taken.as_raw_fd()),
    );
    let expected = device.attributes().directory().text("dev")?;
    let (major, minor) = syscall::identify(&taken)?.device;
    let found = format!("{major}:{minor}");
    evidence.equal("device of it", expected, found, "statx")?;
    drop(client);
    let by = format!("pidfd_getfd(2) of {number}");
    let gone = syscall::take_descriptor(&process, number);
    evidence.refused_call("take it after the other's end", by, gone, Errno::ESRCH)?;
    let found = device.attributes().sessions()?;
    evidence.equal("sessions then", sessions + 1, found, "sysfs sessions")?;

    let sent = pattern(SEED, LENGTH);
    let mut received = vec![0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        match syscall::read(&taken, &mut received[filled..], None, Flags::NONE)? {
            0 => bail!("the stream ended after {filled} of {LENGTH} bytes"),
            more => filled += more,
        }
    }
    evidence.asked("read there", "preadv2(2)", format_args!("{filled} bytes"));
    evidence.equal_bytes("what the other has written", &sent, &received, "preadv2")
}

/// The kernel says what a descriptor is, and that it is none to copy from.
fn identify(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let status = syscall::identify(&session)?;
    let (major, minor) = status.device;
    evidence.asked(
        "ask what the session is",
        "statx(2) with AT_EMPTY_PATH",
        format_args!("mode {:o}, device {major}:{minor}", status.mode),
    );
    let is_device = status.is_character_device();
    evidence.equal("a character device", true, is_device, "statx")?;
    let copied = syscall::copy(&session, &session, 1);
    let by = "copy_file_range(2)";
    evidence.refused_call("copy from file to file", by, copied, Errno::EINVAL)
}

/// A field of the records that are about this thread.
fn ours(event: &Event, sampler: &mut Sampler, field: &str) -> anyhow::Result<Vec<i128>> {
    let this = i128::from(gettid().as_raw());
    let mut found = Vec::new();
    while let Some(sample) = sampler.next(Duration::ZERO)? {
        if event.number(&sample.record, "common_pid")? == this {
            found.push(event.number(&sample.record, field)?);
        }
    }
    Ok(found)
}

/// Numbers that calls have returned; those below zero are error numbers.
fn listed(numbers: &[i128]) -> String {
    let text = |number: &i128| match i32::try_from(-number) {
        Ok(errno) if errno > 0 => format!("-{}", errno_name(errno)),
        _ => number.to_string(),
    };
    let texts: Vec<_> = numbers.iter().map(text).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_zero_is_the_error_that_it_stands_for() {
        let returned = [17, 0, i128::from(-libc::ESPIPE)];
        assert_eq!(listed(&returned), "17 0 -ESPIPE");
    }
}
