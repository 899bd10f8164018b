// SPDX-License-Identifier: MIT OR Apache-2.0

//! The user half of each mechanism by which a program and the Linux kernel talk.
//!
//! One mechanism is one room, and one room is one module. A room knows nothing of any particular
//! driver: it offers what every driver of that mechanism has in common, with typed errors that
//! name the operation and the object, and with file descriptors as [`std::os::fd::BorrowedFd`].
//!
//! | room | direction | choose it for |
//! |---|---|---|
//! | [`syscall`] | both | what has no other wrapper, and measuring |
//! | [`chardev`] | both | streams of bytes, and waiting for them |
//! | [`netlink`] | both | questions about many things, and news with their data |
//! | [`ioctl`] | both | commands with a structure for an argument |
//! | [`mmap`] | both | bulk data without a system call per access |
//! | [`futex`] | between threads | waiting for a word of shared memory |
//! | [`signal`] | from the kernel | news that disturb a thread at its work |
//! | [`eventfd`] | from the kernel | one loop for devices, timers and signals |
//! | [`sysfs`] | both | one value per file: settings, states, counters |
//! | [`uevent`] | from the kernel | news about devices, to whoever listens |
//! | [`upcall`] | from the kernel | what has to be done although no program is there that listens |
//! | [`procfs`] | from the kernel | a summary for people |
//! | [`tracepoint`] | from the kernel | what happened when, in the order it happened, for measuring |
//! | [`bpf`] | from the kernel | sums and choices that are made where something happens |
//! | [`seccomp`] | to the kernel | giving up what a program does not need |
//! | [`watch`] | from the kernel | who uses a file, and whether they may |
//! | [`debugfs`] | both | what only developers may see and break |
//!
//! Unsafe code is allowed in [`syscall`], [`ioctl`], [`mmap`], [`futex`] and [`signal`], for the signals of
//! [`eventfd`], for the socket of [`netlink`], in [`uring`], for the descriptors of [`watch`], for the
//! version of [`seccomp`]'s Landlock, and in the parts of [`bpf`] and [`tracepoint`] that make system calls and share memory with the kernel; between
//! them they hold all there is.

pub mod bpf;
pub mod chardev;
pub mod debugfs;
pub mod eventfd;
#[expect(unsafe_code, reason = "futex(2) has no other wrapper than syscall(2)")]
pub mod futex;
#[expect(unsafe_code, reason = "ioctl(2) hands the kernel a bare pointer")]
pub mod ioctl;
#[expect(
    unsafe_code,
    reason = "memory that the kernel shares is reached by pointers only"
)]
pub mod mmap;
pub mod netlink;
pub mod procfs;
pub mod seccomp;
#[expect(
    unsafe_code,
    reason = "signals of a file, and real-time signals, have no safe wrapper"
)]
pub mod signal;
#[expect(unsafe_code, reason = "arguments may be addresses")]
pub mod syscall;
pub mod sysfs;
pub mod tracepoint;
pub mod uevent;
pub mod upcall;
#[expect(
    unsafe_code,
    reason = "the kernel uses buffers after the call has returned"
)]
pub mod uring;
pub mod watch;

mod error;
mod mounts;
mod readiness;
mod text_file;

pub use error::{Error, Operation};
pub use readiness::{Interest, Readiness, poll};
pub use text_file::Restore;

/// The names of all rooms, which are also the names of their modules.
pub const ROOMS: [&str; 17] = [
    "syscall",
    "chardev",
    "ioctl",
    "mmap",
    "futex",
    "signal",
    "eventfd",
    "sysfs",
    "uevent",
    "netlink",
    "upcall",
    "procfs",
    "tracepoint",
    "bpf",
    "seccomp",
    "watch",
    "debugfs",
];
