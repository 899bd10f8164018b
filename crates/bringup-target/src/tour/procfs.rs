// SPDX-License-Identifier: MIT OR Apache-2.0

//! The summary for people says what sysfs says.

use anyhow::{Context as _, ensure};
use dmacopy_client::Device;
use dmacopy_uapi::names::{self, attribute};
use kernel_channels::procfs::{self, Block};

use super::evidence::Evidence;

const LENGTH: u64 = 777;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let before = agree(device, evidence, "before a COPY")?;
    session.copy(0, 1024, LENGTH)?;
    let after = agree(device, evidence, "after a COPY")?;

    let number = |block: &Block, name: &str| {
        block
            .number(name)
            .with_context(|| format!("the summary has no number for {name}"))
    };
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

/// Checks that what the summary says about the device has the same name and value in sysfs.
fn agree(device: &Device, evidence: &mut Evidence, when: &str) -> anyhow::Result<Block> {
    let block = block(device)?;
    ensure!(!block.entries.is_empty(), "the summary says nothing {when}");
    let (mut own, mut shown) = (Vec::new(), Vec::new());
    for (name, value) in &block.entries {
        let directory = device.attributes().directory();
        own.push(format!("{name} {}", directory.text(name)?));
        shown.push(format!("{name} {value}"));
    }
    let what = format!("values {when}");
    evidence.equal(
        &what,
        own.join(", "),
        shown.join(", "),
        "/proc/driver/dmacopy",
    )?;
    Ok(block)
}

/// The device's block of the summary.
fn block(device: &Device) -> anyhow::Result<Block> {
    let summary = procfs::read(names::PROC_SUMMARY)?;
    summary
        .blocks
        .into_iter()
        .find(|block| block.title.as_deref() == Some(device.name()))
        .with_context(|| format!("the summary does not mention {}", device.name()))
}
