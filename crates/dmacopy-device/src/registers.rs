// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers, descriptors and completions of the DMA copy engine, as in `DATASHEET.md`.
//!
//! The model and the kernel driver compile this one file, the driver by `#[path]`. So it is in
//! Rust 2021 and uses `core` and `zerocopy` only. All values are little-endian, addresses and
//! lengths are in bytes.

use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

const _: () = assert!(
    cfg!(target_endian = "little"),
    "the structures below are read and written as they lie in memory"
);

/// PCI identification.
pub mod pci {
    /// Vendor: Red Hat (Qumranet), which gives QEMU's virtual devices a range.
    pub const VENDOR_ID: u16 = 0x1af4;
    /// Device: in the part of that range that is free for experiments, 10f0 to 10ff.
    pub const DEVICE_ID: u16 = 0x10f0;
    /// Class: system peripheral, other, as the copy engines of others have it.
    pub const CLASS: u32 = 0x08_80_00;
    /// The base address register of [`offset`](super::offset)'s registers.
    pub const REGISTERS_BAR: u32 = 0;
    /// The size of that region.
    pub const REGISTERS_BYTES: usize = 0x1000;
    /// How many message-signalled interrupts (MSI) there are.
    pub const MESSAGES: u32 = 1;
}

/// Where the registers are. Each is 32 bits wide and accessed as such.
pub mod offset {
    /// Read-only: [`ID`](super::ID).
    pub const ID: usize = 0x00;
    /// Read-only: major version in bits 31 to 16, minor version in bits 15 to 0.
    pub const VERSION: usize = 0x04;
    /// Read-only: see [`limits`](super::limits).
    pub const LIMITS: usize = 0x08;
    /// Read-only: the longest transfer of one descriptor.
    pub const MAX_LENGTH: usize = 0x0c;
    /// Read-write: see [`control`](super::control).
    pub const CONTROL: usize = 0x10;
    /// Read-only: see [`status`](super::status).
    pub const STATUS: usize = 0x14;
    /// Read-only: one of [`error`](super::error), why [`FATAL`](super::status::FATAL) is set.
    pub const ERROR_INFO: usize = 0x18;
    /// Read-write while stopped: bits 31 to 0 of the address of the descriptor ring.
    pub const RING_BASE_LO: usize = 0x20;
    /// Read-write while stopped: bits 63 to 32 of it.
    pub const RING_BASE_HI: usize = 0x24;
    /// Read-write while stopped: the entries of each of the two rings, a power of two.
    pub const RING_SIZE: usize = 0x28;
    /// Read-write while stopped: bits 31 to 0 of the address of the completion ring.
    pub const COMPLETION_BASE_LO: usize = 0x30;
    /// Read-write while stopped: bits 63 to 32 of it.
    pub const COMPLETION_BASE_HI: usize = 0x34;
    /// Read-write while running: the doorbell, the index behind the last valid descriptor.
    pub const TAIL: usize = 0x40;
    /// Read-only: the index behind the last descriptor that was completed.
    pub const HEAD: usize = 0x44;
    /// Write one to clear: what has happened, see [`interrupt`](super::interrupt).
    pub const IRQ_STATUS: usize = 0x50;
    /// Read-write: what of that sends a message.
    pub const IRQ_ENABLE: usize = 0x54;
    /// Read-write: after how many completions a message is sent, see `DATASHEET.md`.
    pub const COALESCE_COUNT: usize = 0x58;
    /// Read-write: how long after the first of them a message is sent at the latest.
    pub const COALESCE_MICROSECONDS: usize = 0x5c;
}

/// The value of [`offset::ID`]: "DMAC". All ones are read from a function that is gone.
pub const ID: u32 = u32::from_le_bytes(*b"DMAC");

/// The major version of this map. A driver refuses another one.
pub const VERSION_MAJOR: u32 = 1;
/// The minor version of this map. It grows when something is added.
pub const VERSION_MINOR: u32 = 0;

/// Fields of [`offset::LIMITS`].
pub mod limits {
    /// The binary logarithm of the most entries of a ring.
    pub const fn ring_size_log2(limits: u32) -> u32 {
        limits & 0xff
    }

    /// How many bits of an address the engine has.
    pub const fn address_bits(limits: u32) -> u32 {
        (limits >> 8) & 0xff
    }
}

/// The fewest entries of a ring.
pub const MIN_RING_SIZE: u32 = 2;
/// What the address of a ring is a multiple of.
pub const RING_ALIGNMENT: u64 = 64;
/// The greatest value of [`offset::COALESCE_COUNT`] and [`offset::COALESCE_MICROSECONDS`]; a
/// greater one becomes this.
pub const COALESCE_MAX: u32 = 0xffff;

/// Bits of [`offset::CONTROL`].
pub mod control {
    /// Run. From 0 to 1 takes over the rings and starts both at index 0; from 1 to 0 stops after
    /// the current descriptor.
    pub const ENABLE: u32 = 1 << 0;
    /// Write 1 to reset; reads 1 until that is done.
    pub const RESET: u32 = 1 << 1;
}

/// Bits of [`offset::STATUS`].
pub mod status {
    /// The engine has taken over the rings and takes descriptors.
    pub const RUNNING: u32 = 1 << 0;
    /// The engine may access memory.
    pub const BUSY: u32 = 1 << 1;
    /// The engine has stopped for the reason in [`ERROR_INFO`](super::offset::ERROR_INFO), until
    /// it is reset.
    pub const FATAL: u32 = 1 << 2;
}

/// Values of [`offset::ERROR_INFO`].
pub mod error {
    /// None.
    pub const NONE: u32 = 0;
    /// The size of the rings is no power of two or not within the limits.
    pub const RING_SIZE: u32 = 1;
    /// The address of the descriptor ring is not aligned, or the ring passes the last address.
    pub const RING_BASE: u32 = 2;
    /// The same of the completion ring.
    pub const COMPLETION_BASE: u32 = 3;
    /// The doorbell was more than one ring ahead of `HEAD`, or behind its last value.
    pub const DOORBELL: u32 = 4;
    /// A descriptor could not be read.
    pub const DESCRIPTOR_READ: u32 = 5;
    /// A completion could not be written.
    pub const COMPLETION_WRITE: u32 = 6;
}

/// Bits of [`offset::IRQ_STATUS`] and [`offset::IRQ_ENABLE`].
pub mod interrupt {
    /// Completions were written that ask for an interrupt.
    pub const COMPLETION: u32 = 1 << 0;
    /// [`FATAL`](super::status::FATAL) was set.
    pub const ERROR: u32 = 1 << 1;
    /// All of them.
    pub const ALL: u32 = COMPLETION | ERROR;
}

/// One entry of the descriptor ring, written by the driver.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Descriptor {
    /// What to do, one of [`opcode`].
    pub opcode: u8,
    /// A combination of [`flag`]s; the others are zero.
    pub flags: u8,
    /// Zero.
    pub reserved: u16,
    /// How many bytes, at least one; not used by [`opcode::NOP`].
    pub length: u32,
    /// [`opcode::COPY`]: where to read. [`opcode::FILL`]: the eight bytes that are repeated, the
    /// lowest first.
    pub source: u64,
    /// Where to write.
    pub destination: u64,
    /// Comes back in the [`Completion`].
    pub cookie: u64,
}

const _: () = assert!(core::mem::size_of::<Descriptor>() == 32);

/// Values of [`Descriptor::opcode`].
pub mod opcode {
    /// Does nothing, and completes.
    pub const NOP: u8 = 0;
    /// Copies [`length`](super::Descriptor::length) bytes. Of ranges that overlap, the result is
    /// undefined.
    pub const COPY: u8 = 1;
    /// Fills [`length`](super::Descriptor::length) bytes with a pattern.
    pub const FILL: u8 = 2;
}

/// Bits of [`Descriptor::flags`].
pub mod flag {
    /// The completion asks for an interrupt. One with an error always does.
    pub const INTERRUPT: u8 = 1 << 0;
    /// All of them.
    pub const ALL: u8 = INTERRUPT;
}

/// One entry of the completion ring, written by the engine: that of the descriptor with the same
/// index.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Completion {
    /// The descriptor's cookie.
    pub cookie: u64,
    /// What came of it, one of [`completion`].
    pub status: u32,
    /// [`sequence`] of the descriptor's index. As long as something else is here, the entry is
    /// not valid. Written last, together with `status`, by one store of eight bytes.
    pub sequence: u32,
}

const _: () = assert!(core::mem::size_of::<Completion>() == 16);

/// What [`Completion::sequence`] is for the descriptor with this index.
pub const fn sequence(index: u32) -> u32 {
    index.wrapping_add(1)
}

/// The place of an index in a ring of `size` entries, a power of two.
pub const fn slot(index: u32, size: u32) -> u32 {
    index & (size - 1)
}

/// Values of [`Completion::status`].
pub mod completion {
    /// Done.
    pub const OK: u32 = 0;
    /// The opcode is none, or a flag or reserved field is not zero. Nothing was written.
    pub const BAD_DESCRIPTOR: u32 = 1;
    /// The length is zero or beyond `MAX_LENGTH`. Nothing was written.
    pub const BAD_LENGTH: u32 = 2;
    /// The source is no memory that the engine may read. Nothing was written.
    pub const SOURCE_REFUSED: u32 = 3;
    /// The destination is no memory that the engine may write. Nothing was written.
    pub const DESTINATION_REFUSED: u32 = 4;
    /// The engine has failed. The content of the destination is undefined.
    pub const INTERNAL: u32 = 5;
}
