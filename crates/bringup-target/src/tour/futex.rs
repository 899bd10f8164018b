// SPDX-License-Identifier: MIT OR Apache-2.0

//! A thread sleeps on the tail of the mapped ring, and another one wakes it up for its completion.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use dmacopy_client::{Descriptor, Device};
use dmacopy_uapi::ring::{COPY, index};
use kernel_channels::Interest;
use kernel_channels::futex::{Scope, Waited, Word};
use kernel_channels::mmap::Mapping;
use nix::errno::Errno;
use nix::unistd::{Pid, gettid};

use super::evidence::Evidence;
use super::stall::Stalled;

/// Longer than anything takes, on the slowest emulated board.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));
/// How long a thread may take to fall asleep.
const SOON: Duration = Duration::from_secs(5);
/// The engine's, which is stalled until the thread sleeps.
const TIMEOUT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(1);
const USER_DATA: u64 = 0xf07e;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let mut rings = session.rings()?;
    let view = Mapping::map(&session, session.info()?.rings_offset, index::BYTES)?;
    let word = Word::in_mapping(&view, index::COMPLETION_TAIL, Scope::Private)?;
    let before = word.load();

    evidence.asked(
        "map the rings, of which one word is slept on",
        format_args!("mmap(2) of {}", device.node().display()),
        format_args!("the completion tail is {before}"),
    );
    let stalled = Stalled::engine(device, TIMEOUT, evidence)?;
    let copy = Descriptor {
        opcode: COPY,
        destination: 2048,
        length: 64,
        user_data: USER_DATA,
        ..Descriptor::default()
    };
    ensure!(rings.push(&copy)?, "the ring is full");
    let taken = rings.submit(&session, 0)?;
    evidence.gave(
        "submit a transfer that does not end",
        format_args!("ioctl(2) SUBMIT on {}", device.node().display()),
        format_args!("{taken} descriptor taken"),
    );

    let (waited, woken, completion) = thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let sleeper = scope.spawn(move || {
            // The other thread waits for it.
            let _ = sender.send(gettid());
            word.wait(before, PATIENCE)
        });
        let asleep = falls_asleep(receiver.recv()?);
        evidence.gave(
            "a thread sleeps as long as the word is that",
            "futex(2) FUTEX_WAIT",
            match asleep {
                Ok(true) => "/proc/self/task says that it sleeps",
                _ => "it does not sleep",
            },
        );
        stalled.lift(evidence)?;
        session.poll(Interest::READABLE, PATIENCE)?;
        let completion = rings.pop()?;
        evidence.got(
            "the completion",
            "poll(2), the mapped ring",
            format_args!("the completion tail is {}", word.load()),
        );
        let woken = word.wake(u32::MAX)?;
        evidence.gave(
            "wake up who sleeps on the word",
            "futex(2) FUTEX_WAKE",
            format_args!("{woken} thread"),
        );
        let waited = sleeper
            .join()
            .map_err(|_| anyhow!("the thread panicked"))??;
        ensure!(asleep?, "the thread did not fall asleep");
        Ok((waited, woken, completion))
    })?;
    evidence.equal("threads woken up", 1, woken, "futex FUTEX_WAKE")?;
    let as_text = |waited: Waited| format!("{waited:?}");
    evidence.equal(
        "how the sleep ended",
        as_text(Waited::Woken),
        as_text(waited),
        "the thread",
    )?;
    let found = completion.context("woken up, and no completion")?.user_data;
    let as_text = |user_data: u64| format!("{user_data:#x}");
    evidence.equal(
        "user_data",
        as_text(USER_DATA),
        as_text(found),
        "the mapped ring",
    )?;
    evidence.equal(
        "tail of the ring",
        before + 1,
        word.load(),
        "the word slept on",
    )?;

    let waited = word.wait(before, None)?;
    let as_text = |waited: Waited| format!("{waited:?}");
    let what = "sleep as long as it is what it was before";
    evidence.asked(what, "futex(2) FUTEX_WAIT", as_text(waited));
    evidence.equal(
        "sleep on a value of before",
        as_text(Waited::Changed),
        as_text(waited),
        "futex",
    )?;
    let shared = Word::in_mapping(&view, index::COMPLETION_TAIL, Scope::Shared)?;
    let attempt = shared.wait(before + 1, Some(SHORT));
    let by = "futex(2) FUTEX_WAIT without FUTEX_PRIVATE_FLAG";
    evidence.refused_call("sleep for other processes", by, attempt, Errno::EFAULT)
}

/// Whether a thread comes to sleep in `futex(2)`.
fn falls_asleep(thread: Pid) -> anyhow::Result<bool> {
    let futex = libc::SYS_futex.to_string();
    let start = Instant::now();
    while start.elapsed() < SOON {
        let path = format!("/proc/self/task/{thread}/syscall");
        let call = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        if call.split(' ').next() == Some(&futex) {
            return Ok(true);
        }
        thread::sleep(SHORT);
    }
    Ok(false)
}
