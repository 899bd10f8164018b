// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is written comes out of a read, moved by the engine.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dmacopy_client::{Counters, Device};
use kernel_channels::{Interest, Readiness};

use super::evidence::Evidence;
use super::pattern::pattern;

/// Less than the driver takes in one write, and no multiple of anything.
const LENGTH: usize = 5003;

/// Longer than any transfer of that size takes, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let node = device.node().display();
    let session = device.session()?;
    evidence.asked(
        "open a session",
        format_args!("open(2) of {node}"),
        "a file",
    );
    let mut byte = [0];
    evidence.equal(
        "read of an empty stream",
        0,
        session.read(&mut byte)?,
        "end of file",
    )?;

    let before = device.attributes().counters()?;
    let sent = pattern(1, LENGTH);
    let taken = session.write(&sent)?;
    ensure!(taken == LENGTH, "the driver took {taken} of {LENGTH} bytes");
    evidence.gave(
        "hand bytes to the engine",
        format_args!("write(2) to {node}"),
        format_args!("{taken} bytes taken"),
    );

    let readiness = session.poll(Interest::READABLE, Some(PATIENCE))?;
    let expected = Readiness {
        readable: true,
        ..Readiness::default()
    };
    evidence.got(
        "the engine has moved them",
        format_args!("poll(2) of {node}"),
        readiness,
    );
    evidence.equal("readiness", expected, readiness, "poll")?;

    let mut received = vec![0; LENGTH];
    let (mut filled, mut reads) = (0, 0);
    while filled < LENGTH {
        reads += 1;
        match session.read(&mut received[filled..])? {
            0 => bail!("the stream ended after {filled} of {LENGTH} bytes"),
            more => filled += more,
        }
    }
    evidence.got(
        "take them back",
        format_args!("read(2) of {node}"),
        format_args!("{filled} bytes by {reads} calls"),
    );
    evidence.equal_bytes("bytes through the engine", &sent, &received, "read")?;

    let after = device.attributes().counters()?;
    let expected = Counters {
        transfers: 1,
        bytes: LENGTH as u64,
        errors: 0,
    };
    evidence.grown(before, after, expected)?;

    let nonblocking = device.nonblocking_session()?;
    evidence.asked(
        "open a session that does not wait",
        format_args!("open(2) of {node} with O_NONBLOCK"),
        "a file",
    );
    let readiness = nonblocking
        .poll(Interest::READABLE_OR_WRITABLE, Some(Duration::ZERO))
        .context("cannot poll a session that does not wait")?;
    let expected = Readiness {
        writable: true,
        ..Readiness::default()
    };
    evidence.equal("readiness of a new session", expected, readiness, "poll")
}
