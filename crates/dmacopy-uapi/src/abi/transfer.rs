// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! The arithmetic of a transfer, the same on both sides of the border.

/// Why a transfer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The length is zero.
    Empty,
    /// The source does not lie within the buffer.
    Source,
    /// The destination does not lie within the buffer.
    Destination,
    /// Source and destination overlap.
    Overlap,
    /// The length is more than the engine takes.
    Length,
    /// A value that is not defined: an opcode, a flag or a reserved field.
    Undefined,
}

/// Whether `length` bytes at `offset` lie within a buffer of `buffer_bytes`.
#[inline]
pub const fn within(offset: u64, length: u64, buffer_bytes: u64) -> bool {
    match offset.checked_add(length) {
        Some(end) => end <= buffer_bytes,
        None => false,
    }
}

/// Checks a copy from one buffer to another; all values in bytes.
pub const fn check_copy_between(
    source_offset: u64,
    source_bytes: u64,
    destination_offset: u64,
    destination_bytes: u64,
    length: u64,
) -> Result<(), Refusal> {
    if length == 0 {
        return Err(Refusal::Empty);
    }
    if !within(source_offset, length, source_bytes) {
        return Err(Refusal::Source);
    }
    if !within(destination_offset, length, destination_bytes) {
        return Err(Refusal::Destination);
    }
    Ok(())
}

/// Checks a copy within one buffer; all values in bytes.
pub const fn check_copy(
    source_offset: u64,
    destination_offset: u64,
    length: u64,
    buffer_bytes: u64,
) -> Result<(), Refusal> {
    let between = check_copy_between(
        source_offset,
        buffer_bytes,
        destination_offset,
        buffer_bytes,
        length,
    );
    if between.is_err() {
        return between;
    }
    if source_offset < destination_offset + length && destination_offset < source_offset + length {
        return Err(Refusal::Overlap);
    }
    Ok(())
}
