// SPDX-License-Identifier: MIT OR Apache-2.0

//! A client that has given up all but what it does.

use std::fs::File;

use anyhow::ensure;
use dmacopy_client::{Descriptor, Device};
use dmacopy_uapi::ioctl;
use dmacopy_uapi::ring::COPY;
use kernel_channels::seccomp::{Access, Action, Confinement, Filter, RUNTIME, Strictness};
use kernel_channels::syscall::Call;

use super::{LENGTH, SEED, number, wait};
use crate::tour::pattern;

/// A file that it has no business with.
const OTHER_FILE: &str = "/proc/version";

/// Confines itself, then says: the error number of opening another file, of asking a second session
/// for what it can do, and of a copy by the rings; and asks the first session, which ends it.
pub(super) fn run(device: &Device) -> anyhow::Result<()> {
    let session = device.session()?;
    let mut buffer = session.buffer()?;
    let mut rings = session.rings()?;
    let sent = pattern(SEED, LENGTH);
    buffer.write(0, &sent)?;

    // A second session may be opened, but not be sent requests. What sysfs says of the device is read
    // on the way.
    Confinement::new(Strictness::Required)
        .allow(device.node(), Access::READ | Access::WRITE)?
        .allow(device.attributes().directory().path(), Access::READ)?
        .restrict_this_thread()?;
    let other = File::open(OTHER_FILE).err();
    println!("{}", number(other.map(|error| error.raw_os_error())));
    let asked = device.session()?.info().err();
    println!("{}", number(asked.map(|error| error.raw_os_error())));

    Filter::new(Action::Kill)
        .allow(RUNTIME)
        .allow(&[Call::READ, Call::WRITE])
        .allow_requests(&[ioctl::SUBMIT])
        .compile()?
        .restrict_this_thread()?;
    let copy = Descriptor {
        opcode: COPY,
        destination: 2048,
        length: u32::try_from(LENGTH)?,
        ..Descriptor::default()
    };
    ensure!(rings.push(&copy)?, "the ring is full");
    rings.submit(&session, 1)?;
    let completion = rings.pop()?;
    let errno = completion.map_or(-1, |completion| completion.errno.unwrap_or(0));
    println!("{errno}");
    let received = buffer.copy_to_vec(2048, LENGTH)?;
    println!("{}", i32::from(received == sent));
    wait()?;
    session.info()?;
    // Not reached.
    Ok(())
}
