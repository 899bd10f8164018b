// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! Request codes of `/dev/dmacopyN` and the structures they carry.
//!
//! A request code is encoded as in `include/uapi/asm-generic/ioctl.h`: direction, size, magic,
//! number. The driver selects on direction, magic and number alone. The size says which version
//! of the structure the caller knows: a shorter one is extended with zeros, and a longer one is
//! accepted when all that the driver does not know is zero (`E2BIG` otherwise), as
//! `copy_struct_from_user()` does. So a structure can grow at its end without a new number.

use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The "type" byte of all request codes of this driver.
pub const MAGIC: u8 = 0xdc;

/// `_IOC_WRITE`: user space passes data to the kernel.
const WRITE: u32 = 1;
/// `_IOC_READ`: the kernel passes data to user space.
const READ: u32 = 2;

/// The request code for a structure of type `T`: `_IOC(direction, MAGIC, number, sizeof(T))`.
const fn request<T>(direction: u32, number: u8) -> u32 {
    assert!(core::mem::size_of::<T>() < 1 << 14);
    (direction << 30)
        | ((core::mem::size_of::<T>() as u32) << 16)
        | ((MAGIC as u32) << 8)
        | number as u32
}

/// The part of a request code that selects the command: all but the size.
pub const fn command(request: u32) -> u32 {
    request & !(0x3fff << 16)
}

/// The size in bytes of the structure that a request code announces.
pub const fn size(request: u32) -> usize {
    ((request >> 16) & 0x3fff) as usize
}

/// Fills in an [`Info`]: what this device is and can do.
pub const INFO: u32 = request::<Info>(READ, 0);

/// Copies within the session's buffer and waits for the completion; see [`struct@Copy`].
pub const COPY: u32 = request::<Copy>(READ | WRITE, 1);

/// Has the driver take descriptors from the session's ring, and waits for completions; see
/// [`Submit`].
pub const SUBMIT: u32 = request::<Submit>(READ | WRITE, 2);

/// What a device is and what it can do, the answer to [`INFO`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Info {
    /// The driver's [`super::ABI_VERSION`].
    pub abi_version: u32,
    /// Which engine moves the bytes: one of the `ENGINE_` constants.
    pub engine: u32,
    /// A combination of the `CAP_` constants.
    pub capabilities: u64,
    /// Size of this session's buffer, in bytes; the length to pass to `mmap(2)`.
    pub buffer_bytes: u64,
    /// The longest transfer the engine takes in one descriptor, in bytes.
    pub max_transfer_bytes: u64,
    /// Number of this session, unique as long as the module is loaded.
    pub session: u64,
    /// Where the session's rings begin in its mapping, in bytes: behind the buffer.
    pub rings_offset: u64,
    /// Entries of each of its rings; see [`super::ring`].
    pub ring_entries: u32,
    /// Zero.
    pub reserved0: u32,
    /// Zero.
    pub reserved: u64,
}

const _: () = assert!(core::mem::size_of::<Info>() == 64);

/// A kernel worker moves the bytes.
pub const ENGINE_SOFTWARE: u32 = 0;

/// The session's buffer can be mapped with `mmap(2)`.
pub const CAP_MMAP: u64 = 1 << 0;
/// `write(2)` and `read(2)` copy a stream through the engine.
pub const CAP_STREAM: u64 = 1 << 1;
/// [`COPY`] is offered.
pub const CAP_COPY: u64 = 1 << 2;
/// There are rings, and [`SUBMIT`] is offered.
pub const CAP_RINGS: u64 = 1 << 3;

/// One copy within the session's buffer, the argument of [`COPY`].
///
/// Both ranges lie within the buffer and do not overlap. The call returns when the engine has
/// completed the transfer. Errors: `EINVAL` (a range outside of the buffer, an overlap, a length
/// of zero, an unknown flag or a reserved field that is not zero), `ETIMEDOUT` (the engine has
/// completed nothing for the length of the `timeout_ms` attribute), `ENODEV` (the device is gone), `EINTR`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Copy {
    /// Where to read, in bytes from the start of the buffer.
    pub source_offset: u64,
    /// Where to write, in bytes from the start of the buffer.
    pub destination_offset: u64,
    /// How many bytes.
    pub length: u64,
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Returned: the transfer's number on this device, counted from 1.
    pub sequence: u64,
    /// Returned: from submission to completion, in nanoseconds of `CLOCK_MONOTONIC`.
    pub duration_ns: u64,
}

const _: () = assert!(core::mem::size_of::<Copy>() == 48);

/// A doorbell, the argument of [`SUBMIT`].
///
/// The driver takes descriptors until there are no more, `count` have been taken, or there is no
/// room for another completion. Then it waits until `wait` completions are there to be read, or all
/// descriptors that were taken have been completed. Errors: `EINVAL` (a flag or a reserved field
/// that is not zero, indices that are none), `ENODEV` (the device is gone), `EINTR` (a signal,
/// before anything was taken; after that the call succeeds and waits no longer).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Submit {
    /// How many descriptors to take at most.
    pub count: u32,
    /// How many completions to wait for.
    pub wait: u32,
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Returned: how many descriptors were taken. Zero when passed in.
    pub taken: u32,
}

const _: () = assert!(core::mem::size_of::<Submit>() == 16);
