// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signals as a file: `signalfd(2)`.
//!
//! # Safety
//!
//! A set of signals is passed, which lives as long as the call, and a structure of numbers is read,
//! which may take any value.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::signal::{Info, Set, Signal};
use crate::{Error, Operation};

/// A file that has the signals that wait for whoever reads it.
///
/// Only those wait that a thread has [blocked](crate::signal::Blocked); the others do to it what
/// signals do.
#[derive(Debug)]
pub struct SignalQueue(OwnedFd);

impl SignalQueue {
    /// A queue of these signals, which does not survive `execve(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `signalfd(2)` returned.
    pub fn new(signals: &[Signal]) -> Result<Self, Error> {
        let set = Set::new(signals);
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is initialised and lives until the end of the call.
        let descriptor = unsafe { libc::signalfd(-1, set.as_raw(), flags) };
        if descriptor < 0 {
            let source = io::Error::last_os_error();
            return Err(Error::object(Operation::Create, "a signalfd", source));
        }
        // SAFETY: the descriptor has just been opened, and nobody else knows of it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Takes the next signal, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `read(2)` returned.
    pub fn take(&self) -> Result<Option<Info>, Error> {
        // SAFETY: all zero is such a structure, which holds numbers only.
        let mut info: libc::signalfd_siginfo = unsafe { MaybeUninit::zeroed().assume_init() };
        let room = (&raw mut info).cast();
        // SAFETY: as many bytes are valid for writes, and may take any value.
        let read = unsafe { libc::read(self.0.as_raw_fd(), room, size_of_val(&info)) };
        if read < 0 {
            let source = io::Error::last_os_error();
            return match source.raw_os_error() {
                Some(libc::EAGAIN) => Ok(None),
                _ => Err(Error::object(Operation::Read, "a signalfd", source)),
            };
        }
        let number = i32::try_from(info.ssi_signo).unwrap_or(0);
        let band = info.ssi_band.into();
        Ok(Some(Info::new(number, info.ssi_code, band, info.ssi_fd)))
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::signal::{Blocked, Notification};
    use crate::{Interest, poll};

    #[test]
    fn a_signal_waits_to_be_read() {
        let signal = Signal::real_time(3).unwrap();
        let _blocked = Blocked::new(&[signal]).unwrap();
        let queue = SignalQueue::new(&[signal]).unwrap();
        assert_eq!(queue.take().unwrap(), None);
        let (mut near, far) = UnixStream::pair().unwrap();
        let _notification = Notification::to_this_thread(&far, signal).unwrap();
        near.write_all(b"x").unwrap();
        poll(&queue, Interest::READABLE, None).unwrap();
        let info = queue.take().unwrap().unwrap();
        assert_eq!(info.signal, signal);
        let poll = info.poll.unwrap();
        assert_eq!(poll.descriptor, far.as_raw_fd());
        assert!(poll.readiness.readable && !poll.readiness.hang_up);
    }
}
