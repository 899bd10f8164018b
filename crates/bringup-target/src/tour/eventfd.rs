// SPDX-License-Identifier: MIT OR Apache-2.0

//! One loop waits for a session's eventfd, a timer and a signal, and completions are told together.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dmacopy_client::{Coalescing, Descriptor, Device, Rings, Session};
use dmacopy_uapi::ring::NOP;
use kernel_channels::Interest;
use kernel_channels::eventfd::{Counter, Loop, SignalQueue, Timer};
use kernel_channels::signal::{Blocked, Signal};
use nix::errno::Errno;

use super::evidence::Evidence;

/// Of how many completions the loop is told together.
const TOGETHER: u32 = 8;
/// Not so late that anybody minds, and longer than a batch takes.
const DELAY: Duration = Duration::from_millis(200);
/// Longer than anything takes, on the slowest emulated board.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

const COMPLETIONS: u64 = 1;
const TIME: u64 = 2;
const SIGNAL: u64 = 3;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let signal = Signal::real_time(0).context("no real-time signals")?;
    // Dropped last, so that no signal comes to who does not expect it.
    let _blocked = Blocked::new(&[signal])?;
    let session = device.session()?;
    let mut rings = session.rings()?;
    let (counter, timer) = (Counter::new()?, Timer::new()?);
    let queue = SignalQueue::new(&[signal])?;
    session.tell_eventfd(&counter)?;
    let events = Loop::new()?;
    events.add(&counter, COMPLETIONS, Interest::READABLE)?;
    events.add(&timer, TIME, Interest::READABLE)?;
    events.add(&queue, SIGNAL, Interest::READABLE)?;
    let node = device.node().display();
    evidence.gave(
        "have an eventfd told of completions",
        format_args!("eventfd(2), ioctl(2) EVENTFD on {node}"),
        "taken",
    );
    evidence.gave(
        "wait for it, a timer and a signal by one loop",
        "timerfd_create(2), signalfd(2), epoll_ctl(2)",
        "three files",
    );

    session.coalesce(Coalescing {
        count: TOGETHER,
        delay: DELAY,
    })?;
    evidence.gave(
        "ask to be told of several together",
        format_args!("ioctl(2) COALESCE on {node}"),
        format_args!("{TOGETHER}, or {DELAY:?} later"),
    );
    submit(&mut rings, &session, TOGETHER - 1)?;
    let through = format!("ioctl(2) SUBMIT on {node}");
    let taken = format!("{} descriptors taken", TOGETHER - 1);
    evidence.gave("submit one less than that", &through, taken);
    let told = counter.take()?.unwrap_or(0);
    evidence.equal("told of 7 completions, 8 together", 0, told, "eventfd")?;
    submit(&mut rings, &session, 1)?;
    evidence.gave("submit the last one", &through, "1 descriptor taken");
    let found = events.wait(PATIENCE)?;
    let token = found.first().context("nobody was told")?.token;
    let files = format!("{} of 3 files", found.len());
    evidence.got("the loop wakes up", "epoll_wait(2), the eventfd", files);
    evidence.equal("file that the loop finds", COMPLETIONS, token, "epoll")?;
    let told = counter.take()?.unwrap_or(0);
    evidence.equal("told of 8 completions", 1, told, "eventfd")?;
    let popped = pop_all(&mut rings)?;
    evidence.equal("completions then", TOGETHER, popped, "the mapped ring")?;

    let start = Instant::now();
    submit(&mut rings, &session, 1)?;
    let told = counter.wait(PATIENCE)?.unwrap_or(0);
    let waited = start.elapsed();
    ensure!(waited >= DELAY, "told after {waited:?}, before {DELAY:?}");
    evidence.asked(
        "submit a single one, and wait",
        format_args!("{through}, read(2) of the eventfd"),
        format_args!("told after {} ms", waited.as_millis()),
    );
    evidence.equal("told of a single one, in time", 1, told, "eventfd")?;
    let popped = pop_all(&mut rings)?;
    evidence.equal("completions then", 1, popped, "the mapped ring")?;

    timer.once(Duration::from_millis(1))?;
    let found = events.wait(PATIENCE)?;
    let token = found.first().context("no timer")?.token;
    let files = format!("{} of 3 files", found.len());
    evidence.asked(
        "set the timer, and wait",
        "timerfd_settime(2), epoll_wait(2)",
        files,
    );
    evidence.equal("file that the loop finds", TIME, token, "epoll")?;
    evidence.equal("expirations", 1, timer.expirations()?, "timerfd")?;

    session.tell_no_eventfd()?;
    session.coalesce(Coalescing::NONE)?;
    let notification = session.signal_this_thread(signal)?;
    submit(&mut rings, &session, 1)?;
    let found = events.wait(PATIENCE)?;
    let token = found.first().context("no signal")?.token;
    evidence.asked(
        "have a signal sent instead, and submit",
        format_args!("fcntl(2) F_SETOWN_EX, F_SETSIG, O_ASYNC, {through}"),
        format_args!("{} of 3 files", found.len()),
    );
    evidence.equal("file that the loop finds", SIGNAL, token, "epoll")?;
    let info = queue.take()?.context("no signal")?;
    let poll = info.poll.context("a signal of no file")?;
    let descriptor = session.as_fd().as_raw_fd();
    evidence.equal(
        "file of the signal",
        descriptor,
        poll.descriptor,
        "signalfd",
    )?;
    let told = counter.take()?.unwrap_or(0);
    evidence.equal("told when nobody is to be", 0, told, "eventfd")?;
    drop(notification);

    let attempt = session.tell_eventfd(&timer);
    evidence.refused("a timer for an eventfd", attempt, Errno::EINVAL)
}

fn submit(rings: &mut Rings, session: &Session, count: u32) -> anyhow::Result<()> {
    for _ in 0..count {
        let nop = Descriptor {
            opcode: NOP,
            ..Descriptor::default()
        };
        ensure!(rings.push(&nop)?, "the ring is full");
    }
    let taken = rings.submit(session, 0)?;
    ensure!(taken == count, "the driver took {taken} of {count}");
    Ok(())
}

fn pop_all(rings: &mut Rings) -> anyhow::Result<u32> {
    let mut count = 0;
    while rings.pop()?.is_some() {
        count += 1;
    }
    Ok(count)
}
