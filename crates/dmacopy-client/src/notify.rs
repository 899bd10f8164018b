// SPDX-License-Identifier: MIT OR Apache-2.0

//! How a session tells its client that there is something to read.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use dmacopy_uapi::ioctl;
use kernel_channels::signal::{Notification, Signal};

use crate::error::Context;
use crate::{Error, Operation, Session, request};

/// Of how many completions a client is told together, and how late at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalescing {
    /// How many; at once for none and one.
    pub count: u32,
    /// How late, in whole microseconds; at once for none.
    pub delay: Duration,
}

impl Coalescing {
    /// Telling at once.
    pub const NONE: Self = Self {
        count: 1,
        delay: Duration::ZERO,
    };
}

impl Session {
    /// Has an eventfd told when there is something to read, in place of one that was told before:
    /// completions in the ring, or what the stream has; and when the device goes. The session keeps
    /// the eventfd, so the descriptor can be closed.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` when the file is no eventfd; `ENODEV` when the device has gone.
    pub fn tell_eventfd(&self, eventfd: impl AsFd) -> Result<(), Error> {
        self.set_eventfd(eventfd.as_fd().as_raw_fd())
    }

    /// Has no eventfd told.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `ENODEV` when the device has gone.
    pub fn tell_no_eventfd(&self) -> Result<(), Error> {
        self.set_eventfd(-1)
    }

    fn set_eventfd(&self, descriptor: i32) -> Result<(), Error> {
        let mut argument = ioctl::Eventfd {
            descriptor,
            ..ioctl::Eventfd::default()
        };
        request::EVENTFD
            .read_write(self.node(), &mut argument)
            .on(self.device(), Operation::SetEventfd)
    }

    /// Has the calling thread sent a signal when there is something to read, and when the device
    /// goes, until what this returns is dropped. The thread blocks the signal before that.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with what `fcntl(2)` returned.
    pub fn signal_this_thread(&self, signal: Signal) -> Result<Notification<'_>, Error> {
        Notification::to_this_thread(self.node(), signal)
            .on(self.device(), Operation::AskForSignals)
    }

    /// Sets when the client is told of completions in the ring, by poll, eventfd and signal, and
    /// returns how that was set before. [`crate::Rings::submit`] does not wait for it.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for more than 4096 completions or a second.
    pub fn coalesce(&self, coalescing: Coalescing) -> Result<Coalescing, Error> {
        let microseconds = coalescing.delay.as_micros();
        let mut argument = ioctl::Coalesce {
            count: coalescing.count,
            // Too long for the driver's number is too long for the driver.
            microseconds: u32::try_from(microseconds).unwrap_or(u32::MAX),
            ..ioctl::Coalesce::default()
        };
        request::COALESCE
            .read_write(self.node(), &mut argument)
            .on(self.device(), Operation::Coalesce)?;
        Ok(Coalescing {
            count: argument.count,
            delay: Duration::from_micros(argument.microseconds.into()),
        })
    }
}
