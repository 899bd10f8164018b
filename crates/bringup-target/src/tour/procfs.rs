// SPDX-License-Identifier: MIT OR Apache-2.0

//! The summary for people says what sysfs says.

use anyhow::Context as _;
use dmacopy_client::Device;
use dmacopy_uapi::ABI_VERSION;
use dmacopy_uapi::names::{self, attribute};
use kernel_channels::procfs::{self, Block, Summary};

use super::evidence::Evidence;

const LENGTH: u64 = 777;

/// What the summary says about each device.
const LINES: [&str; 8] = [
    attribute::ENGINE,
    attribute::STATE,
    attribute::SESSIONS,
    attribute::TRANSFERS,
    attribute::BYTES,
    attribute::ERRORS,
    attribute::BUFFER_BYTES,
    attribute::TIMEOUT_MS,
];

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let summary = procfs::read(names::PROC_SUMMARY)?;
    let path = format!("read(2) of /proc/{}", names::PROC_SUMMARY);
    evidence.got(
        "the summary of all devices",
        &path,
        format_args!("{} blocks", summary.blocks.len()),
    );
    evidence.equal(
        "ABI version",
        ABI_VERSION,
        version(&summary)?,
        "the first line",
    )?;
    let before = block(summary, device)?;
    let completion = session.copy(0, 1024, LENGTH)?;
    evidence.asked(
        "copy",
        format_args!("ioctl(2) COPY on {}", device.node().display()),
        format_args!("transfer {}", completion.sequence),
    );
    let after = block(procfs::read(names::PROC_SUMMARY)?, device)?;
    evidence.got(
        "the device's block then",
        &path,
        format_args!("{} lines", after.entries.len()),
    );

    for name in LINES {
        let shown = after
            .text(name)
            .with_context(|| format!("the summary has no line {name}"))?;
        let own = device.attributes().directory().text(name)?;
        evidence.equal(name, own.as_str(), shown, "procfs, sysfs")?;
    }
    for (name, expected) in [
        (attribute::TRANSFERS, 1),
        (attribute::BYTES, LENGTH),
        (attribute::ERRORS, 0),
    ] {
        let grown = number(&after, name)?.wrapping_sub(number(&before, name)?);
        evidence.equal(&format!("growth of {name}"), expected, grown, "procfs")?;
    }
    Ok(())
}

/// The version of the ABI, which the first line ends with.
fn version(summary: &Summary) -> anyhow::Result<u32> {
    let first = summary.blocks.first();
    let title = first.and_then(|block| block.title.as_deref()).unwrap_or("");
    let version = title.rsplit(' ').next().and_then(|word| word.parse().ok());
    version.with_context(|| format!("the summary begins with {title:?}"))
}

fn number(block: &Block, name: &str) -> anyhow::Result<u64> {
    block
        .number(name)
        .with_context(|| format!("the summary has no number for {name}"))
}

/// The device's block of the summary.
fn block(summary: Summary, device: &Device) -> anyhow::Result<Block> {
    summary
        .blocks
        .into_iter()
        .find(|block| block.title.as_deref() == Some(device.name()))
        .with_context(|| format!("the summary does not mention {}", device.name()))
}
