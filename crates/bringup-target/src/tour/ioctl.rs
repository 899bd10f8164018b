// SPDX-License-Identifier: MIT OR Apache-2.0

//! Commands with structures: INFO tells, COPY moves, and what makes no sense is refused.

use anyhow::ensure;
use dmacopy_client::{Counters, Device, Session};
use dmacopy_uapi::ioctl::{self, command};
use dmacopy_uapi::names;
use nix::errno::Errno;

use super::evidence::Evidence;
use super::pattern::pattern;

const LENGTH: usize = 1021;
const SOURCE: usize = 3;
const DESTINATION: usize = 2050;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    tell(device, &session, evidence)?;
    copy(device, &session, evidence)?;
    refuse(&session, evidence)
}

/// INFO agrees with sysfs.
fn tell(device: &Device, session: &Session, evidence: &mut Evidence) -> anyhow::Result<()> {
    let info = session.info()?;
    evidence.asked(
        "ask what the driver is",
        format_args!(
            "ioctl(2) {:#010x}, INFO, on {}",
            ioctl::INFO,
            device.node().display()
        ),
        format_args!(
            "{} bytes, ABI version {}",
            size_of_val(&info),
            info.abi_version
        ),
    );
    let attributes = device.attributes();
    let engine = match info.engine {
        ioctl::ENGINE_SOFTWARE => names::engine::SOFTWARE.to_owned(),
        ioctl::ENGINE_DMAENGINE => names::engine::DMAENGINE.to_owned(),
        ioctl::ENGINE_PCI => names::engine::PCI.to_owned(),
        unknown => format!("unknown engine {unknown}"),
    };
    evidence.equal(
        "engine of INFO",
        engine,
        attributes.engine()?,
        "sysfs engine",
    )?;
    evidence.equal(
        "ABI version of INFO",
        u64::from(info.abi_version),
        attributes.abi_version()?,
        "sysfs abi_version",
    )?;
    evidence.equal(
        "buffer size of INFO",
        info.buffer_bytes,
        attributes.buffer_bytes()?,
        "sysfs buffer_bytes",
    )?;
    let other = device.session()?.info()?.session;
    ensure!(
        info.session != other,
        "two sessions have the number {other}"
    );
    evidence.note(
        "number of another session",
        &format_args!("not {}", info.session),
        &other,
        "ioctl INFO",
    );
    Ok(())
}

/// COPY moves bytes within the buffer, and is numbered and counted.
fn copy(device: &Device, session: &Session, evidence: &mut Evidence) -> anyhow::Result<()> {
    let mut buffer = session.buffer()?;
    let sent = pattern(2, LENGTH);
    buffer.write(SOURCE, &sent)?;

    let before = device.attributes().counters()?;
    let length = LENGTH as u64;
    let first = session.copy(SOURCE as u64, DESTINATION as u64, length)?;
    evidence.asked(
        "copy within the buffer",
        format_args!(
            "ioctl(2) {:#010x}, COPY, on {}",
            ioctl::COPY,
            device.node().display()
        ),
        format_args!("transfer {} took {:?}", first.sequence, first.duration),
    );
    let received = buffer.copy_to_vec(DESTINATION, LENGTH)?;
    evidence.equal_bytes("bytes of COPY", &sent, &received, "the mapped buffer")?;

    let second = session.copy(SOURCE as u64, DESTINATION as u64, length)?;
    evidence.asked(
        "copy once more",
        "the same",
        format_args!("transfer {} took {:?}", second.sequence, second.duration),
    );
    evidence.equal(
        "sequence of the next COPY",
        first.sequence + 1,
        second.sequence,
        "ioctl COPY",
    )?;
    ensure!(!second.duration.is_zero(), "COPY took no time");

    let after = device.attributes().counters()?;
    let expected = Counters {
        transfers: 2,
        bytes: 2 * length,
        errors: 0,
    };
    evidence.grown(before, after, expected)
}

/// What the driver does not know or cannot do is refused, and nothing is moved.
fn refuse(session: &Session, evidence: &mut Evidence) -> anyhow::Result<()> {
    let size = size_of::<ioctl::Copy>();
    let unknown = command(ioctl::COPY) | ((size as u32) << 16) | 0xff;
    let attempt = session.request(unknown, Some(&mut vec![0; size]));
    evidence.refused("unknown request", attempt, Errno::ENOTTY)?;
    let overlap = session.copy(0, 1, 2);
    evidence.refused("overlapping COPY", overlap, Errno::EINVAL)?;
    let beyond = session.copy(0, session.info()?.buffer_bytes, 1);
    evidence.refused("COPY beyond the buffer", beyond, Errno::EINVAL)
}
