// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether somebody may do something to a file, by fanotify.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::fanotify::{InitFlags, MaskFlags};

use super::event::WITH_PROCESS;
use super::fanotify::{Group, OBJECT, Process, Read};
use crate::{Error, Operation};

/// What takes the guard's permission. A set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission(u64);

impl Permission {
    /// Opening it. `FAN_OPEN_PERM`
    pub const OPEN: Self = Self(libc::FAN_OPEN_PERM);
    /// Opening it for execution. `FAN_OPEN_EXEC_PERM`
    pub const EXECUTE: Self = Self(libc::FAN_OPEN_EXEC_PERM);
    /// Reading it. `FAN_ACCESS_PERM`
    pub const READ: Self = Self(libc::FAN_ACCESS_PERM);
}

/// Is asked for permission. Any number of its threads may answer at the same time.
#[derive(Debug)]
pub struct Guard {
    group: Group,
}

impl Guard {
    /// One that guards nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `fanotify_init(2)` returned: `EPERM` without `CAP_SYS_ADMIN`.
    pub fn new() -> Result<Self, Error> {
        // What finds a queue full is allowed, without having been asked for.
        let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_UNLIMITED_QUEUE;
        let group = Group::new(flags)?;
        Ok(Self { group })
    }

    /// Guards a file or a folder, besides what it guards already.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `fanotify_mark(2)` returned: `ENOENT`, `EINVAL` for procfs and for a
    /// kernel without permissions; and with `EOPNOTSUPP` for a device node and the like, for which
    /// the kernel would accept a guard and never ask it.
    pub fn add(&self, path: impl AsRef<Path>, permission: Permission) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |source| Error::path(Operation::Watch, path, source);
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(failed(io::Error::from_raw_os_error(libc::EOPNOTSUPP)));
        }
        let mask = MaskFlags::from_bits_retain(permission.0);
        self.group.add(path, mask)
    }

    /// Waits until somebody asks; `None` when the time ran out. Without a timeout it waits for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] when what is asked cannot be read; with what `open(2)` would return when the
    /// kernel could not open the file to show it, in which case the one who asks is refused.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Option<Request<'_>>, Error> {
        // One by one: what has been read must be answered.
        let mut buffer = [0; WITH_PROCESS];
        let Some(read) = self.group.read(&mut buffer, timeout)?.pop() else {
            return Ok(None);
        };
        read.changes()?;
        Ok(Some(Request {
            guard: self,
            read,
            answered: false,
        }))
    }
}

impl AsFd for Guard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

/// Somebody who waits for permission. It is given when this is dropped without an answer, as by the
/// kernel when the guard is.
#[derive(Debug)]
#[must_use = "it is allowed at once when this is dropped"]
pub struct Request<'a> {
    guard: &'a Guard,
    read: Read,
    answered: bool,
}

impl Request<'_> {
    /// Who asks.
    pub fn process(&self) -> &Process {
        &self.read.process
    }

    /// For what.
    pub fn permission(&self) -> Permission {
        Permission(self.read.mask)
    }

    /// The file, which the kernel has opened for reading, to be looked at and no longer than this.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.read.file.as_ref().map(AsFd::as_fd)
    }

    /// Lets it happen.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `write(2)` returned. That the one who asks has been killed meanwhile
    /// is no error.
    pub fn allow(mut self) -> Result<(), Error> {
        self.answer(libc::FAN_ALLOW)
    }

    /// Refuses it: the call of the one who asks returns `EPERM`.
    ///
    /// # Errors
    ///
    /// As [`Self::allow`].
    pub fn deny(mut self) -> Result<(), Error> {
        self.answer(libc::FAN_DENY)
    }

    fn answer(&mut self, answer: u32) -> Result<(), Error> {
        self.answered = true;
        let Some(file) = &self.read.file else {
            return Ok(());
        };
        let answer = [file.as_raw_fd().to_ne_bytes(), answer.to_ne_bytes()].concat();
        let written = nix::unistd::write(&self.guard.group, &answer).map_err(io::Error::from);
        let failed = |source| Error::object(Operation::Write, OBJECT, source);
        written.map(drop).map_err(failed)
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if !self.answered {
            // Nobody is left to tell.
            let _ = self.answer(libc::FAN_ALLOW);
        }
    }
}
