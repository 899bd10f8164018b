// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! The rings of a session: descriptors go in, completions come out, and a batch of them takes one
//! system call.
//!
//! The rings lie behind the session's buffer in the same mapping, from
//! [`Info::rings_offset`](super::ioctl::Info) on: first the four [indices](index), then the
//! descriptors, then the completions. Both rings have [`Info::ring_entries`](super::ioctl::Info)
//! entries, a power of two.
//!
//! Indices count from 0 and wrap at 2^32; an entry lies at [`slot`]. Each side writes its own two
//! and reads the other's. To submit, user space writes descriptors and then, ordered behind them
//! (a store with release semantics), [`index::SUBMISSION_TAIL`]; [`super::ioctl::SUBMIT`] has the
//! driver take them. A completion is there when [`index::COMPLETION_TAIL`], loaded with acquire
//! semantics, is behind it; user space says that it has read it by [`index::COMPLETION_HEAD`].
//!
//! There is one completion for each descriptor, in the order of the descriptors. The driver takes no
//! descriptor for whose completion there is no room.

use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::transfer::{check_copy, check_copy_between, within, Refusal};

/// Where the indices are, in bytes from the start of the rings: each is an `u32` in a cache line of
/// its own.
pub mod index {
    /// Behind the last descriptor, written by user space.
    pub const SUBMISSION_TAIL: usize = 0;
    /// The next completion to read, written by user space.
    pub const COMPLETION_HEAD: usize = 64;
    /// The next descriptor to take, written by the driver.
    pub const SUBMISSION_HEAD: usize = 128;
    /// Behind the last completion, written by the driver.
    pub const COMPLETION_TAIL: usize = 192;
    /// What all of them take.
    pub const BYTES: usize = 256;
}

/// Does nothing, in its turn.
pub const NOP: u8 = 0;
/// Copies within a buffer, or from one to another.
pub const COPY: u8 = 1;
/// Fills a part of a buffer.
pub const FILL: u8 = 2;

/// The fewest entries that rings can have.
pub const MIN_ENTRIES: u32 = 2;
/// The most entries that rings can have.
pub const MAX_ENTRIES: u32 = 4096;

/// What is to be done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Descriptor {
    /// [`NOP`], [`COPY`] or [`FILL`].
    pub opcode: u8,
    /// Zero; no flag is defined.
    pub flags: u8,
    /// [`COPY`]: the number of the buffer to read from; 0 is the one that each session has. Else zero.
    pub source_buffer: u8,
    /// The number of the buffer to write to; zero for a [`NOP`].
    pub destination_buffer: u8,
    /// How many bytes; zero for a [`NOP`].
    pub length: u32,
    /// [`COPY`]: where to read, in bytes from the start of the buffer. [`FILL`]: eight bytes, which
    /// are repeated from the first byte of the destination on, lowest first. Zero for a [`NOP`].
    pub source: u64,
    /// Where to write, in bytes from the start of the buffer; zero for a [`NOP`].
    pub destination: u64,
    /// Comes back with the completion.
    pub user_data: u64,
}

const _: () = assert!(core::mem::size_of::<Descriptor>() == 32);

/// How it ended.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Completion {
    /// The descriptor's.
    pub user_data: u64,
    /// 0, or a negative error number: `EINVAL` (a descriptor that is none, or whose ranges are not in
    /// their buffers or overlap), `ENOMEM`, or, when the engine may have done some of it,
    /// `ETIMEDOUT` (the engine has stalled), `EIO` (it has failed, or has refused the transfer) and
    /// `ENODEV` (the device has gone). Not `EBUSY`: a descriptor that is too many stays in the ring.
    pub result: i32,
    /// Zero.
    pub flags: u32,
}

const _: () = assert!(core::mem::size_of::<Completion>() == 16);

/// Where a descriptor is, in bytes from the start of rings with so many entries.
#[inline]
pub const fn descriptor_offset(index: u32, entries: u32) -> usize {
    index::BYTES + slot(index, entries) * core::mem::size_of::<Descriptor>()
}

/// Where a completion is, in bytes from the start of rings with so many entries.
#[inline]
pub const fn completion_offset(index: u32, entries: u32) -> usize {
    let descriptors = entries as usize * core::mem::size_of::<Descriptor>();
    index::BYTES + descriptors + slot(index, entries) * core::mem::size_of::<Completion>()
}

/// What rings with so many entries take, in bytes.
#[inline]
pub const fn bytes(entries: u32) -> usize {
    let entry = core::mem::size_of::<Descriptor>() + core::mem::size_of::<Completion>();
    index::BYTES + entries as usize * entry
}

/// Whether rings can have so many entries.
pub const fn is_size(entries: u32) -> bool {
    entries.is_power_of_two() && entries >= MIN_ENTRIES && entries <= MAX_ENTRIES
}

/// The place of an index in a ring of so many entries, a power of two.
#[inline]
pub const fn slot(index: u32, entries: u32) -> usize {
    (index & (entries - 1)) as usize
}

/// How many entries there are from `head` to `tail`; none if the two cannot be indices of one ring.
#[inline]
pub const fn filled(head: u32, tail: u32, entries: u32) -> Option<u32> {
    let filled = tail.wrapping_sub(head);
    if filled <= entries {
        Some(filled)
    } else {
        None
    }
}

/// A [`Descriptor`] that has been checked; offsets and lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    Nop,
    /// Copy within a buffer or between two.
    Copy {
        /// Where to read.
        source: u64,
        /// Where to write.
        destination: u64,
        /// How many.
        length: u64,
    },
    /// Fill a part of a buffer.
    Fill {
        /// What is repeated.
        pattern: [u8; 8],
        /// Where to write.
        destination: u64,
        /// How many.
        length: u64,
    },
}

/// Whether a descriptor is a [`NOP`] as it must be: nothing in it but that, and what comes back.
#[inline]
pub const fn is_nop(descriptor: &Descriptor) -> bool {
    let Descriptor {
        opcode,
        flags,
        source_buffer,
        destination_buffer,
        length,
        source,
        destination,
        user_data: _,
    } = *descriptor;
    // At once, not field by field: this is done for each of a batch.
    let bytes = u32::from_ne_bytes([opcode ^ NOP, flags, source_buffer, destination_buffer]);
    (bytes | length) as u64 | source | destination == 0
}

/// Checks a descriptor for the buffers that it names and an engine, all given in bytes.
pub const fn check(
    descriptor: &Descriptor,
    source_bytes: u64,
    destination_bytes: u64,
    max_transfer_bytes: u64,
) -> Result<Work, Refusal> {
    let Descriptor {
        opcode,
        flags,
        source_buffer,
        destination_buffer,
        length,
        source,
        destination,
        user_data: _,
    } = *descriptor;
    let length = length as u64;
    if flags != 0 || (opcode != COPY && source_buffer != 0) {
        return Err(Refusal::Undefined);
    }
    if opcode == NOP {
        return if is_nop(descriptor) {
            Ok(Work::Nop)
        } else {
            Err(Refusal::Undefined)
        };
    }
    if length > max_transfer_bytes {
        return Err(Refusal::Length);
    }
    match opcode {
        COPY => {
            let checked = if source_buffer == destination_buffer {
                check_copy(source, destination, length, destination_bytes)
            } else {
                check_copy_between(source, source_bytes, destination, destination_bytes, length)
            };
            match checked {
                Ok(()) => Ok(Work::Copy {
                    source,
                    destination,
                    length,
                }),
                Err(refusal) => Err(refusal),
            }
        }
        FILL if length == 0 => Err(Refusal::Empty),
        FILL if !within(destination, length, destination_bytes) => Err(Refusal::Destination),
        FILL => Ok(Work::Fill {
            pattern: source.to_le_bytes(),
            destination,
            length,
        }),
        _ => Err(Refusal::Undefined),
    }
}
