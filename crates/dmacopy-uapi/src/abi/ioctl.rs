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

/// Resets the device's engine; see [`Reset`]. Takes `CAP_SYS_ADMIN`.
pub const RESET: u32 = request::<Reset>(WRITE, 8);
/// Has an eventfd told of what there is to read; see [`struct@Eventfd`].
pub const EVENTFD: u32 = request::<Eventfd>(WRITE, 3);

/// Sets of how many completions the client is told together; see [`struct@Coalesce`].
pub const COALESCE: u32 = request::<Coalesce>(READ | WRITE, 4);

/// Makes a cached buffer; see [`CreateBuffer`].
pub const CREATE_BUFFER: u32 = request::<CreateBuffer>(READ | WRITE, 16);

/// Makes the memory of a dma-buf a buffer of the session; see [`ImportBuffer`].
pub const IMPORT_BUFFER: u32 = request::<ImportBuffer>(READ | WRITE, 17);

/// Makes a dma-buf of a buffer of the session; see [`ExportBuffer`].
pub const EXPORT_BUFFER: u32 = request::<ExportBuffer>(READ | WRITE, 18);

/// Gives a buffer of the session up; see [`FreeBuffer`].
pub const FREE_BUFFER: u32 = request::<FreeBuffer>(WRITE, 19);

/// Makes what one side has written to a buffer visible to the other; see [`struct@Sync`].
pub const SYNC: u32 = request::<Sync>(WRITE, 20);

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
/// A channel of the system-on-chip's DMA controller moves the bytes.
pub const ENGINE_DMAENGINE: u32 = 1;
/// A PCI function, the kit's own peripheral, moves the bytes.
pub const ENGINE_PCI: u32 = 2;

/// The session's buffer can be mapped with `mmap(2)`.
pub const CAP_MMAP: u64 = 1 << 0;
/// `write(2)` and `read(2)` copy a stream through the engine.
pub const CAP_STREAM: u64 = 1 << 1;
/// [`COPY`] is offered.
pub const CAP_COPY: u64 = 1 << 2;
/// There are rings, and [`SUBMIT`] is offered.
pub const CAP_RINGS: u64 = 1 << 3;
/// [`RESET`] is offered.
pub const CAP_RESET: u64 = 1 << 12;
/// [`EVENTFD`], [`COALESCE`] and signals (`O_ASYNC`) are offered.
pub const CAP_NOTIFY: u64 = 1 << 4;

/// One can [`CREATE_BUFFER`], [`FREE_BUFFER`] and [`SYNC`], and transfers name buffers.
pub const CAP_BUFFERS: u64 = 1 << 8;
/// One can [`IMPORT_BUFFER`] and [`EXPORT_BUFFER`].
pub const CAP_DMA_BUF: u64 = 1 << 9;

/// One copy within or between buffers of the session, the argument of [`COPY`].
///
/// Both ranges lie within their buffer and, if that is the same one, do not overlap. The call
/// returns when the engine has completed the transfer. Errors: `EINVAL` (a buffer that is none, a
/// range outside of it, an overlap, a length of zero, an unknown flag or a reserved field that is
/// not zero), `EBUSY` (the session has as many transfers under way as it may), `EINTR`: the
/// destination is unchanged. `ENOMEM`, `ETIMEDOUT` (the engine has completed nothing for the length
/// of the `timeout_ms` attribute), `EIO` (the engine has failed, or has refused the transfer),
/// `ECANCELED` (a signal, and then a [`RESET`], while the engine had it), `ENODEV` (the device is
/// gone): the engine may have done some of it, and does no more.
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
    /// The number of the buffer to read from; 0 is the one that each session has.
    pub source_buffer: u8,
    /// The number of the buffer to write to.
    pub destination_buffer: u8,
    /// Zero.
    pub reserved: u16,
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

/// Who is told of the session's completions, the argument of [`EVENTFD`].
///
/// From now on, the driver adds 1 to the counter of that eventfd when there is something to read:
/// completions in the ring, subject to [`COALESCE`], or bytes or a failure in the stream. The same
/// when the device goes. An eventfd that was there before is told no more. Errors: `EINVAL` (a flag
/// or a reserved field that is not zero, a file that is no eventfd), `EBADF` (no open file), `ENODEV`
/// (the device is gone), `ENOMEM`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Eventfd {
    /// The descriptor of an `eventfd(2)`; -1 for none.
    pub descriptor: i32,
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Zero.
    pub reserved: u64,
}

const _: () = assert!(core::mem::size_of::<Eventfd>() == 16);

/// The most completions that [`COALESCE`] takes.
pub const MAX_COALESCE_COUNT: u32 = super::ring::MAX_ENTRIES;
/// The longest delay that [`COALESCE`] takes, in microseconds.
pub const MAX_COALESCE_MICROSECONDS: u32 = 1_000_000;

/// When the client of a session is told of completions in its ring, the argument of [`COALESCE`].
///
/// Who polls, has an eventfd or wants signals is told when there are `count` completions that it has
/// not been told of, or `microseconds` after the first of them, whichever comes first. At once, if
/// `count` is 0 or 1, or `microseconds` is 0. Calls that wait for something by themselves do not wait
/// for this. Errors: `EINVAL` (a flag or a reserved field that is not zero, more than
/// [`MAX_COALESCE_COUNT`] or [`MAX_COALESCE_MICROSECONDS`]), `ENODEV` (the device is gone).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Coalesce {
    /// How many completions; returned: what it was before.
    pub count: u32,
    /// How late at most; returned: what it was before.
    pub microseconds: u32,
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(core::mem::size_of::<Coalesce>() == 16);

/// A buffer of ordinary, cached memory, the argument of [`CREATE_BUFFER`].
///
/// It is zero, and `mmap(2)` maps it cached, from 2^32 times its number on. What a program writes
/// there the engine sees after a [`SYNC`], and the other way round. The memory stays as long as it is mapped,
/// also when the device goes. Errors: `EINVAL` (a size of zero or not in whole pages, a flag, or a
/// field that is not zero), `ENOSPC` (the session has [`MAX_BUFFERS`]), `ENOMEM`, `ENODEV`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct CreateBuffer {
    /// Its size in bytes: whole pages, at most as much as a session's first buffer can have.
    pub bytes: u64,
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Returned: its number. Zero when passed in.
    pub buffer: u32,
}

const _: () = assert!(core::mem::size_of::<CreateBuffer>() == 16);

/// The memory of a dma-buf as a buffer, the argument of [`IMPORT_BUFFER`].
///
/// The dma-buf is attached to the device and kept until the buffer is given up, the file is closed or
/// the device goes. It is mapped by its own file, not by the session's. Errors: `EBADF`, `EACCES`
/// (not open for reading and writing), `EINVAL` (not a dma-buf, a flag, or a field that is not
/// zero), `ENOSPC` (the session has [`MAX_BUFFERS`]), what the exporter returns, `ENOMEM`, `ENODEV`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct ImportBuffer {
    /// The file descriptor of the dma-buf.
    pub fd: i32,
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Returned: its size. Zero when passed in.
    pub bytes: u64,
    /// Returned: its number. Zero when passed in.
    pub buffer: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(core::mem::size_of::<ImportBuffer>() == 24);

/// A dma-buf of a buffer's memory, the argument of [`EXPORT_BUFFER`].
///
/// The memory stays as long as there is a file descriptor or a mapping of the dma-buf, or a device
/// that has attached it, also when the session ends and when the device goes. Of an imported
/// buffer, it is the dma-buf itself. Errors: `EINVAL` (a buffer that is none, or number 0, whose
/// memory belongs to the device; a flag, or a field that is not zero), `EMFILE`, `ENOMEM`,
/// `ENODEV`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct ExportBuffer {
    /// The number of the buffer.
    pub buffer: u32,
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Returned: the file descriptor, with `FD_CLOEXEC`. Zero when passed in.
    pub fd: i32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(core::mem::size_of::<ExportBuffer>() == 16);

/// Which buffer to give up, the argument of [`FREE_BUFFER`].
///
/// Its number is free at once. Transfers that use it are still completed, and mappings and dma-bufs
/// of it keep their memory. Errors: `EINVAL` (a buffer that is none, number 0, a flag), `ENODEV`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct FreeBuffer {
    /// The number of the buffer.
    pub buffer: u32,
    /// Zero; no flag is defined.
    pub flags: u32,
}

const _: () = assert!(core::mem::size_of::<FreeBuffer>() == 8);

/// Which part of a buffer passes from one side to the other, the argument of [`SYNC`].
///
/// For the device, before a transfer reads or overwrites what the program has written; for the
/// processor, before the program reads what a transfer has written. Of number 0, which is coherent,
/// nothing has to be done; of an imported buffer it is done for all of it. Errors: `EINVAL` (a
/// buffer that is none, a range outside of it, a length of zero, an unknown direction, side or
/// flag), what the exporter returns, `ENODEV`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Sync {
    /// Where the part begins, in bytes from the start of the buffer.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// The number of the buffer.
    pub buffer: u32,
    /// Who has written or will write: one of the `DIRECTION_` constants.
    pub direction: u32,
    /// Whose turn it is now: [`SYNC_FOR_CPU`] or [`SYNC_FOR_DEVICE`].
    pub side: u32,
    /// Zero; no flag is defined.
    pub flags: u32,
}

const _: () = assert!(core::mem::size_of::<Sync>() == 32);

/// The program writes, transfers read.
pub const DIRECTION_TO_DEVICE: u32 = 1;
/// Transfers write, the program reads.
pub const DIRECTION_FROM_DEVICE: u32 = 2;
/// Both write.
pub const DIRECTION_BIDIRECTIONAL: u32 = 3;

/// The program accesses it next.
pub const SYNC_FOR_CPU: u32 = 1;
/// Transfers access it next.
pub const SYNC_FOR_DEVICE: u32 = 2;

/// The most buffers that a session can have besides number 0. Their numbers fit into eight bits.
pub const MAX_BUFFERS: u32 = 255;

/// Where a buffer lies in what `mmap(2)` maps of the session's file, in bytes.
pub const fn map_offset(buffer: u8) -> u64 {
    (buffer as u64) << 32
}

/// The argument of [`RESET`].
///
/// What the engine has done is completed. It forgets the rest of what it has taken, which is given to
/// it once more: no transfer is lost, of no session. Errors: `EPERM` (no `CAP_SYS_ADMIN` in the initial user namespace), `EINVAL` (a flag or a
/// reserved field that is not zero), `EIO` (the engine cannot be reset), `ENODEV`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Reset {
    /// Zero; no flag is defined.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(core::mem::size_of::<Reset>() == 8);
