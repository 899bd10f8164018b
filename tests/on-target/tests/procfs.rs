// SPDX-License-Identifier: MIT OR Apache-2.0

//! `/proc/driver/dmacopy`, the summary for people.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use dmacopy_client::Device;
use dmacopy_uapi::ABI_VERSION;
use dmacopy_uapi::names::{self, attribute};
use hil::Target;
use kernel_channels::procfs::{self, Block};
use on_target::Result;

/// What the summary says about a device.
fn block(device: &Device) -> Result<Block> {
    let summary = procfs::read(names::PROC_SUMMARY)?;
    let mut blocks = summary.blocks.into_iter();
    let ours = blocks.find(|block| block.title.as_deref() == Some(device.name()));
    Ok(ours.ok_or("the summary does not mention the device")?)
}

#[hil::test]
fn the_header_tells_the_version_of_the_abi(_: &mut Target) {
    let summary = procfs::read(names::PROC_SUMMARY).unwrap();
    let header = summary.blocks[0].title.as_deref().unwrap();
    assert!(header.starts_with(names::DRIVER), "{header}");
    assert!(header.ends_with(&format!(" {ABI_VERSION}")), "{header}");
}

#[hil::test]
fn all_that_the_summary_says_is_in_sysfs_too(_: &mut Target) {
    let device = Device::first().unwrap();
    let _session = device.session().unwrap();
    let block = block(&device).unwrap();
    assert!(block.entries.len() >= 5, "{block:?}");
    for (name, value) in &block.entries {
        assert!(attribute::ALL.contains(&name.as_str()), "{name}");
        assert_eq!(
            &device.attributes().directory().text(name).unwrap(),
            value,
            "{name}"
        );
    }
}

#[hil::test]
fn the_summary_counts_a_copy(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let before = block(&device).unwrap();
    session.copy(0, 2048, 321).unwrap();
    let after = block(&device).unwrap();
    for (name, grown) in [
        (attribute::TRANSFERS, 1),
        (attribute::BYTES, 321),
        (attribute::ERRORS, 0),
    ] {
        let (before, after) = (before.number(name).unwrap(), after.number(name).unwrap());
        assert_eq!(after - before, grown, "{name}");
    }
}

#[hil::test]
fn reading_byte_by_byte_gives_the_same_text(_: &mut Target) {
    let path = Path::new("/proc").join(names::PROC_SUMMARY);
    let whole = fs::read(&path).unwrap();
    let mut file = File::open(&path).unwrap();
    let mut pieces = Vec::new();
    let mut byte = [0];
    while file.read(&mut byte).unwrap() == 1 {
        pieces.push(byte[0]);
    }
    assert_eq!(pieces, whole);
}

hil::main!();
