// SPDX-License-Identifier: MIT OR Apache-2.0

//! Counters: `eventfd(2)`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{Error, Interest, Operation, poll};

/// A number that can be added to and waited for.
#[derive(Debug)]
pub struct Counter(EventFd);

impl Counter {
    /// A counter at zero, which does not survive `execve(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `eventfd(2)` returned.
    pub fn new() -> Result<Self, Error> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        EventFd::from_flags(flags)
            .map(Self)
            .map_err(|e| Error::object(Operation::Create, "an eventfd", e.into()))
    }

    /// Adds to it, and wakes up who waits.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `write(2)` returned; `EAGAIN` when it would not fit any more,
    /// `EINVAL` for `u64::MAX`.
    pub fn add(&self, count: u64) -> Result<(), Error> {
        self.0
            .write(count)
            .map(drop)
            .map_err(|e| Error::object(Operation::Write, "an eventfd", e.into()))
    }

    /// What it has come to, if it is not zero, and sets it to zero.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `read(2)` returned.
    pub fn take(&self) -> Result<Option<u64>, Error> {
        match self.0.read() {
            Ok(count) => Ok(Some(count)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(e) => Err(Error::object(Operation::Read, "an eventfd", e.into())),
        }
    }

    /// As [`Self::take`], but waits until it is not zero, or `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`Self::take`] and [`poll`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<u64>, Error> {
        poll(self, Interest::READABLE, timeout)?;
        self.take()
    }
}

impl AsFd for Counter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Counter> for OwnedFd {
    fn from(counter: Counter) -> Self {
        counter.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_taken_at_once() {
        let counter = Counter::new().unwrap();
        assert_eq!(counter.take().unwrap(), None);
        counter.add(2).unwrap();
        counter.add(40).unwrap();
        assert_eq!(counter.wait(None).unwrap(), Some(42));
        assert_eq!(counter.wait(Some(Duration::ZERO)).unwrap(), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let counter = Counter::new().unwrap();
        counter.add(u64::MAX - 1).unwrap();
        let errno = |count| counter.add(count).unwrap_err().raw_os_error();
        assert_eq!(errno(1), Some(libc::EAGAIN));
        assert_eq!(errno(u64::MAX), Some(libc::EINVAL));
    }
}
