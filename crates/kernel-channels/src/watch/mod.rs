// SPDX-License-Identifier: MIT OR Apache-2.0

//! Watches: who opens a file, when a node appears, and whether somebody may.
//!
//! The file system itself tells, so the driver has no part in it: whatever has a path can be watched,
//! a device node like any file. [`Watcher`], which is inotify, tells what happens and needs no right
//! but to read. [`Listener`] and [`Guard`] are fanotify: they tell who did it, and the guard of a file
//! is asked before it happens.
//!
//! # When to choose it
//!
//! To wait for a node, to see who uses it, and to forbid the use of an attribute from outside, with
//! the reasons of a program. That a device appears is told with more about it by [`crate::uevent`]. One attribute is
//! watched with less ado by [`crate::sysfs`]; here it is one of many files. Who may open a node at all
//! is a matter of its mode, and what a program may do after that one of the driver.
//!
//! # Contract
//!
//! A watch is one of an inode: of what the path leads to when it is added. It goes with that, which
//! [`Changes::IGNORED`] says; what comes to the same path later is watched by a watch of the folder.
//! An attribute in sysfs that the kernel changes is told of when the driver announces changes of it
//! (`sysfs_notify`). Equal events in a row, with none between them, become one. When events come faster than they are read, the
//! kernel drops the newest, and that is told as [`Error::QueueOverflow`](crate::Error::QueueOverflow).
//! A guard misses nobody: the queue of those that wait for it has no limit, since the kernel would
//! allow what finds it full.
//!
//! Who opens a guarded file sleeps until the guard has answered. A guard that is closed, also by the
//! end of its program, has allowed all that waits. A file that the guard's own thread opens waits for
//! itself, so it must not. To show the guard what is to be opened the kernel opens it for reading; if
//! that fails, as for an attribute that can only be written, the kernel refuses the other, too. The
//! kernel asks for files and folders, but not for device nodes, and not in procfs: there
//! [`Guard::add`] fails.
//!
//! # Safety
//!
//! The kernel puts descriptors into events. Each is taken into an [`OwnedFd`](std::os::fd::OwnedFd)
//! once, when it is read, and nowhere else are numbers made descriptors.
//!
//! # Minimum kernel
//!
//! 2.6.27 for [`Watcher`], with `CONFIG_INOTIFY_USER`; 5.15 for the others, with `CONFIG_FANOTIFY` and
//! `CONFIG_FANOTIFY_ACCESS_PERMISSIONS`, and `CAP_SYS_ADMIN`. Debian's kernel taints itself, by
//! `TAINT_AUX`, with the first guard.
//!
//! # References
//!
//! `inotify(7)`, `fanotify(7)`, `Documentation/filesystems/inotify.rst`
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use kernel_channels::watch::{Changes, Watcher};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let mut watcher = Watcher::new()?;
//! watcher.add(folder.path(), Changes::CREATE)?;
//! std::fs::write(folder.path().join("node"), "x").unwrap();
//! let event = watcher.next(Some(Duration::from_secs(5)))?.unwrap();
//! assert_eq!(event.changes, Changes::CREATE);
//! assert_eq!(event.name.unwrap(), "node");
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod changes;
mod event;
#[expect(unsafe_code, reason = "fanotify puts descriptors into its events")]
mod fanotify;
mod guard;
mod inotify;

pub use self::changes::Changes;
pub use self::fanotify::{Event, Listener, Process};
pub use self::guard::{Guard, Permission, Request};
pub use self::inotify::{Change, Watch, Watcher};
