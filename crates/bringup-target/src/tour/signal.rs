// SPDX-License-Identifier: MIT OR Apache-2.0

//! A thread that waits for nothing is sent a signal that says which session has something.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use dmacopy_client::{Descriptor, Device, Session};
use dmacopy_uapi::ring::{COPY, NOP};
use kernel_channels::Readiness;
use kernel_channels::signal::{Blocked, Signal};

use super::evidence::{Evidence, errno_name};
use super::pattern::pattern;

/// Longer than anything takes, on the slowest emulated board.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));
const NOW: Option<Duration> = Some(Duration::ZERO);
const USER_DATA: u64 = 0x5167;
const LENGTH: usize = 512;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let signal = Signal::real_time(1).context("no real-time signals")?;
    let blocked = Blocked::new(&[signal])?;
    let session = device.session()?;
    let other = device.session()?;
    let _first = session.signal_this_thread(signal)?;
    let _second = other.signal_this_thread(signal)?;
    let node = device.node().display();
    evidence.gave(
        "have this thread sent a signal by two sessions",
        format_args!("fcntl(2) F_SETOWN_EX, F_SETSIG, O_ASYNC on {node}"),
        format_args!("{signal}"),
    );

    let mut buffer = session.buffer()?;
    let mut rings = session.rings()?;
    let sent = pattern(8, LENGTH);
    buffer.write(0, &sent)?;
    let copy = Descriptor {
        opcode: COPY,
        destination: 2048,
        length: u32::try_from(LENGTH)?,
        user_data: USER_DATA,
        ..Descriptor::default()
    };
    ensure!(rings.push(&copy)?, "the ring is full");
    let taken = rings.submit(&session, 0)?;
    evidence.gave(
        "submit a copy",
        format_args!("ioctl(2) SUBMIT on {node}"),
        format_args!("{taken} descriptor taken"),
    );
    let info = blocked.wait(PATIENCE)?.context("no signal came")?;
    evidence.got("the signal", "rt_sigtimedwait(2)", info.signal);
    evidence.equal(
        "signal",
        signal.to_string(),
        info.signal.to_string(),
        "sigtimedwait",
    )?;
    let poll = info.poll.context("the signal is of no file")?;
    evidence.equal(
        "file of the session",
        descriptor(&session),
        poll.descriptor,
        "si_fd",
    )?;
    let readable = Readiness {
        readable: true,
        ..Readiness::default()
    };
    evidence.equal("ready for", readable, poll.readiness, "si_band")?;
    let completion = rings.pop()?.context("a signal, and no completion")?;
    let found = format!("{:#x}", completion.user_data);
    evidence.equal(
        "user_data then",
        format!("{USER_DATA:#x}"),
        found,
        "the mapped ring",
    )?;
    let received = buffer.copy_to_vec(2048, LENGTH)?;
    evidence.equal_bytes("moved by the engine", &sent, &received, "the mapping")?;

    // A failure says so, and first.
    let mut rings = other.rings()?;
    let nonsense = Descriptor {
        opcode: NOP,
        length: 1,
        ..Descriptor::default()
    };
    ensure!(rings.push(&nonsense)?, "the ring is full");
    let taken = rings.submit(&other, 0)?;
    evidence.gave(
        "submit nonsense to the other session",
        format_args!("ioctl(2) SUBMIT on {node}"),
        format_args!("{taken} descriptor taken"),
    );
    let info = blocked.wait(NOW)?.context("no signal came")?;
    evidence.got("the signal", "rt_sigtimedwait(2)", info.signal);
    let poll = info.poll.context("the signal is of no file")?;
    evidence.equal(
        "file of the other session",
        descriptor(&other),
        poll.descriptor,
        "si_fd",
    )?;
    let error = Readiness {
        error: true,
        ..Readiness::default()
    };
    evidence.equal("a refused descriptor", error, poll.readiness, "si_band")?;
    let completion = rings.pop()?.context("a signal, and no completion")?;
    let found = errno_name(completion.errno.unwrap_or(0));
    let expected = errno_name(libc::EINVAL);
    evidence.equal("its error number", expected, found, "the mapped ring")?;
    let more = std::iter::from_fn(|| blocked.wait(NOW).transpose()).count();
    evidence.equal("signals of its completion", 1, more, "sigtimedwait")
}

fn descriptor(session: &Session) -> i32 {
    session.as_fd().as_raw_fd()
}
