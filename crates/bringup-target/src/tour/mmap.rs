// SPDX-License-Identifier: MIT OR Apache-2.0

//! The program, the engine and a second view see the same memory, and another session does not.

use dmacopy_client::Device;

use super::evidence::Evidence;
use super::pattern::pattern;

const LENGTH: usize = 512;
const SOURCE: usize = 0;
const DESTINATION: usize = 2048;

/// Bytes before and after the destination that nobody may touch.
const GUARD: usize = 64;
const GUARD_BYTE: u8 = 0xa5;

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let mut buffer = session.buffer()?;
    let bytes = session.info()?.buffer_bytes;
    let node = device.node().display();
    evidence.asked(
        "map the session's buffer",
        format_args!("mmap(2) of {node}"),
        format_args!("{} bytes", buffer.len()),
    );
    evidence.equal("length", bytes, buffer.len() as u64, "ioctl INFO")?;

    let zeros = vec![0; buffer.len()];
    let found = buffer.copy_to_vec(0, buffer.len())?;
    evidence.equal_bytes("a new buffer is zero", &zeros, &found, "the mapping")?;

    let sent = pattern(3, LENGTH);
    buffer.write(SOURCE, &sent)?;
    buffer.fill(DESTINATION - GUARD, LENGTH + 2 * GUARD, GUARD_BYTE)?;
    evidence.gave(
        "write to it",
        "the mapping, with no system call",
        format_args!("{LENGTH} bytes, and {GUARD} around where they go"),
    );
    let completion = session.copy(SOURCE as u64, DESTINATION as u64, LENGTH as u64)?;
    evidence.asked(
        "have the engine copy them",
        format_args!("ioctl(2) COPY on {node}"),
        format_args!("transfer {}", completion.sequence),
    );
    let received = buffer.copy_to_vec(DESTINATION, LENGTH)?;
    evidence.equal_bytes("moved by the engine", &sent, &received, "the mapping")?;

    let guards = [DESTINATION - GUARD, DESTINATION + LENGTH];
    for (name, offset) in ["guard before", "guard after"].into_iter().zip(guards) {
        let found = buffer.copy_to_vec(offset, GUARD)?;
        evidence.equal_bytes(name, &[GUARD_BYTE; GUARD], &found, "the mapping")?;
    }

    let second_view = session.buffer()?;
    evidence.asked(
        "map it once more",
        format_args!("mmap(2) of {node}, the same file"),
        format_args!("{} bytes", second_view.len()),
    );
    let seen = second_view.copy_to_vec(DESTINATION, LENGTH)?;
    evidence.equal_bytes("seen by a second view", &sent, &seen, "another mapping")?;

    let other = device.session()?;
    let other_buffer = other.buffer()?;
    evidence.asked(
        "map the buffer of another session",
        format_args!("open(2) and mmap(2) of {node}"),
        format_args!("{} bytes", other_buffer.len()),
    );
    let found = other_buffer.copy_to_vec(0, other_buffer.len())?;
    let zeros = vec![0; other_buffer.len()];
    let number = other.info()?.session;
    let verified_by = format!("the mapping of session {number}");
    evidence.equal_bytes("another session's buffer", &zeros, &found, &verified_by)
}
