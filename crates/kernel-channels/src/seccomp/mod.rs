// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sandboxes: a program that gives up what it does not need, for good.
//!
//! A [`Filter`] is seccomp: which system calls a thread may make, and which ioctl requests. A
//! [`Confinement`] is Landlock: which files it may open, and to do what. Neither takes a right to set
//! up, both are inherited by threads and programs that are started afterwards, and neither can be
//! taken back. What an administrator wants to forbid to *others* is a BPF program at a hook of the
//! kernel's security modules, of the kind [`Hook`](crate::bpf::Hook).
//!
//! # When to choose it
//!
//! As soon as a program handles what others may have prepared: it opens its device, maps its memory,
//! and then confines itself to what is left to do. By which calls, take the filter; on which files,
//! Landlock; both together, for a filter cannot look into a path. Who may open the node at all is
//! decided by its mode, and the guards of [`crate::watch`] are asked for files only.
//!
//! # Contract
//!
//! A filter sees a call's number and its arguments as numbers, not what they lead to. Whatever it does
//! not allow meets its one [`Action`]. An allowed call can still be refused by anything else. A filter
//! that forgets what the C library or Rust's does behind one's back ends the program by surprise:
//! [`RUNTIME`] is what Rust's needs to take memory, to lock and to end.
//!
//! Landlock decides when a file is opened: what is open before stays as it was. The right to send
//! ioctl requests to a device belongs to the open file, too. A kernel can lack some of the rights;
//! whether that is a failure is for the caller to say, by [`Strictness`].
//!
//! # Minimum kernel
//!
//! 4.14 with `CONFIG_SECCOMP_FILTER` for filters; 6.10 for all of Landlock that is used here, 5.13 for
//! a part of it, with `CONFIG_SECURITY_LANDLOCK` and `landlock` in `CONFIG_LSM`.
//!
//! # References
//!
//! `seccomp(2)`, `landlock(7)`, `Documentation/userspace-api/seccomp_filter.rst`,
//! `Documentation/userspace-api/landlock.rst`
//!
//! # Example
//!
//! ```
//! use std::fs::File;
//! use std::thread;
//! use kernel_channels::seccomp::{Action, Filter, RUNTIME};
//! use kernel_channels::syscall::Call;
//!
//! let program = Filter::new(Action::Errno(1))
//!     .allow(RUNTIME)
//!     .allow(&[Call::WRITE])
//!     .compile()?;
//! // What a thread gives up, the others keep.
//! let confined = thread::spawn(move || {
//!     program.restrict_this_thread()?;
//!     Ok::<_, kernel_channels::Error>(File::open("/proc/version").err())
//! });
//! let refused = confined.join().unwrap()?.unwrap();
//! assert_eq!(refused.raw_os_error(), Some(1));
//! assert!(File::open("/proc/version").is_ok());
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod filter;
#[expect(
    unsafe_code,
    reason = "the version has no other wrapper than syscall(2)"
)]
mod landlock;
mod modules;

pub use self::filter::{Action, Filter, Program, RUNTIME};
pub use self::landlock::{Access, Confinement, Enforced, Strictness, version};
pub use self::modules::modules;
