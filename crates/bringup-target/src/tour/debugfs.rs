// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only developers see agrees with what everybody sees, and the switch does what it says.

use anyhow::{Context as _, ensure};
use dmacopy_client::{DebugFiles, Device};
use dmacopy_uapi::names::debugfs as names;

use super::evidence::Evidence;
use super::pattern::pattern;

const LENGTH: usize = 100;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let debug = DebugFiles::open(device)?;
    let session = device.session()?;
    ensure!(!debug.is_stalled()?, "the engine was stalled before");

    let completion = session.copy(0, 2048, LENGTH as u64)?;
    evidence.asked(
        "copy",
        format_args!("ioctl(2) COPY on {}", device.node().display()),
        format_args!("transfer {}", completion.sequence),
    );
    let directory = debug.directory().path();
    let file = |name| directory.join(name).display().to_string();
    evidence.got(
        "the engine's dump",
        format_args!("read(2) of {}", file(names::ENGINE)),
        format_args!("{} lines", debug.engine()?.entries.len()),
    );
    for name in ["last_submitted", "last_completed"] {
        let found = number(&debug, name)?;
        evidence.equal(name, completion.sequence, found, "debugfs engine")?;
    }

    let before = device.attributes().counters()?;
    let stall = debug.stall()?;
    evidence.gave(
        "keep the engine from completing anything",
        format_args!("write(2) to {}", file(names::STALL)),
        "Y",
    );
    evidence.equal("stall", true, debug.is_stalled()?, "debugfs stall")?;
    let sent = pattern(4, LENGTH);
    let taken = session.write(&sent)?;
    ensure!(taken == LENGTH, "the driver took {taken} of {LENGTH} bytes");
    evidence.gave(
        "hand it a transfer",
        format_args!("write(2) to {}", device.node().display()),
        format_args!("{taken} bytes taken"),
    );
    evidence.equal("waiting", 1, number(&debug, "waiting")?, "debugfs engine")?;
    let transfers = device.attributes().counters()?.transfers;
    evidence.equal(
        "transfers meanwhile",
        before.transfers,
        transfers,
        "sysfs transfers",
    )?;

    stall.lift()?;
    evidence.gave(
        "let the engine go on",
        format_args!("write(2) to {}", file(names::STALL)),
        "N",
    );
    evidence.equal("stall", false, debug.is_stalled()?, "debugfs stall")?;
    let mut received = vec![0; LENGTH];
    let length = session.read(&mut received)?;
    evidence.equal_bytes("what had waited", &sent, &received[..length], "read")?;
    evidence.equal("waiting", 0, number(&debug, "waiting")?, "debugfs engine")?;
    let transfers = device.attributes().counters()?.transfers;
    evidence.equal(
        "transfers after that",
        before.transfers + 1,
        transfers,
        "sysfs transfers",
    )
}

/// A number from the engine's dump.
fn number(debug: &DebugFiles, name: &str) -> anyhow::Result<u64> {
    debug
        .engine()?
        .number(name)
        .with_context(|| format!("the engine's dump has no number {name}"))
}
