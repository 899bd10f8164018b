// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is set in a file is what the kernel does from then on.

use std::time::Duration;

use anyhow::Context as _;
use dmacopy_client::Device;
use dmacopy_uapi::names::attribute;
use nix::errno::Errno;

use super::evidence::Evidence;

/// No multiple of a page on any machine.
const UNALIGNED: u64 = 12_345;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let attributes = device.attributes();
    let present = attributes.directory().attributes()?;
    let path = attributes.directory().path();
    let file = |name| path.join(name).display().to_string();
    evidence.asked(
        "look which attributes there are",
        format_args!("getdents64(2) of {}", path.display()),
        format_args!("{} files", present.len()),
    );
    let expected = attribute::ALL.map(str::to_owned);
    let missing: Vec<_> = expected.iter().filter(|a| !present.contains(a)).collect();
    let found = expected.len() - missing.len();
    evidence
        .equal(
            "attributes of the ABI",
            expected.len(),
            found,
            "the directory",
        )
        .with_context(|| format!("missing: {missing:?}"))?;

    let _restore = attributes
        .directory()
        .restore_later(attribute::BUFFER_BYTES)?;
    let bytes = 2 * attributes.buffer_bytes()?;
    // It may be at its maximum already.
    let bytes = if attributes.set_buffer_bytes(bytes).is_ok() {
        bytes
    } else {
        bytes / 4
    };
    attributes.set_buffer_bytes(bytes)?;
    evidence.gave(
        "set how large the buffer of a session is",
        format_args!("write(2) to {}", file(attribute::BUFFER_BYTES)),
        bytes,
    );
    evidence.equal(
        "buffer_bytes set",
        bytes,
        attributes.buffer_bytes()?,
        "sysfs",
    )?;
    evidence.equal(
        "buffer_bytes of a new session",
        bytes,
        device.session()?.info()?.buffer_bytes,
        "ioctl INFO",
    )?;
    evidence.refused(
        "buffer_bytes of no whole page",
        attributes.set_buffer_bytes(UNALIGNED),
        Errno::EINVAL,
    )?;
    evidence.equal(
        "buffer_bytes after the refusal",
        bytes,
        attributes.buffer_bytes()?,
        "sysfs",
    )?;

    let _restore_timeout = attributes
        .directory()
        .restore_later(attribute::TIMEOUT_MS)?;
    let timeout = Duration::from_millis(1234);
    attributes.set_timeout(timeout)?;
    evidence.gave(
        "set how long a transfer may take",
        format_args!("write(2) to {}", file(attribute::TIMEOUT_MS)),
        timeout.as_millis(),
    );
    let found = attributes.timeout()?.as_millis();
    evidence.equal("timeout_ms set", timeout.as_millis(), found, "sysfs")?;
    evidence.refused(
        "timeout_ms of zero",
        attributes.set_timeout(Duration::ZERO),
        Errno::EINVAL,
    )?;

    let sessions = attributes.sessions()?;
    let session = device.session()?;
    evidence.got(
        "how many sessions are open",
        format_args!("read(2) of {}", file(attribute::SESSIONS)),
        attributes.sessions()?,
    );
    evidence.equal("sessions", sessions + 1, attributes.sessions()?, "open")?;
    drop(session);
    evidence
        .equal("sessions", sessions, attributes.sessions()?, "close")
        .context("a closed session is still counted")
}
