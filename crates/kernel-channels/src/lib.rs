// SPDX-License-Identifier: MIT OR Apache-2.0

//! The user half of each mechanism by which a program and the Linux kernel talk.
//!
//! One mechanism is one room, and one room is one module. A room knows nothing of any particular
//! driver: it offers what every driver of that mechanism has in common, with typed errors that
//! name the operation and the object, and with file descriptors as [`std::os::fd::BorrowedFd`].
//!
//! | room | direction | choose it for |
//! |---|---|---|
//! | [`chardev`] | both | streams of bytes, and waiting for them |
//! | [`netlink`] | both | questions about many things, and news with their data |
//! | [`ioctl`] | both | commands with a structure for an argument |
//! | [`mmap`] | both | bulk data without a system call per access |
//! | [`sysfs`] | both | one value per file: settings, states, counters |
//! | [`uevent`] | from the kernel | news about devices, to whoever listens |
//! | [`upcall`] | from the kernel | what has to be done although no program is there that listens |
//! | [`procfs`] | from the kernel | a summary for people |
//! | [`tracepoint`] | from the kernel | what happened when, in the order it happened, for measuring |
//! | [`bpf`] | from the kernel | sums and choices that are made where something happens |
//! | [`debugfs`] | both | what only developers may see and break |
//!
//! Unsafe code is allowed in [`ioctl`] and [`mmap`], for the socket of [`netlink`], and in the parts
//! of [`bpf`] and [`tracepoint`] that make system calls and share memory with the kernel; between
//! them they hold all there is.

pub mod bpf;
pub mod chardev;
pub mod debugfs;
#[expect(unsafe_code, reason = "ioctl(2) hands the kernel a bare pointer")]
pub mod ioctl;
#[expect(
    unsafe_code,
    reason = "memory that the kernel shares is reached by pointers only"
)]
pub mod mmap;
pub mod netlink;
pub mod procfs;
pub mod sysfs;
pub mod tracepoint;
pub mod uevent;
pub mod upcall;

mod error;
mod mounts;
mod readiness;
mod text_file;

pub use error::{Error, Operation};
pub use readiness::{Interest, Readiness, poll};
pub use text_file::Restore;

/// The names of all rooms, which are also the names of their modules.
pub const ROOMS: [&str; 11] = [
    "chardev",
    "ioctl",
    "mmap",
    "sysfs",
    "uevent",
    "netlink",
    "upcall",
    "procfs",
    "tracepoint",
    "bpf",
    "debugfs",
];
