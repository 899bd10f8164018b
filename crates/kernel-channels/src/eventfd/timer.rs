// SPDX-License-Identifier: MIT OR Apache-2.0

//! Timers: `timerfd_create(2)`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::{Error, Operation};

/// A timer that goes by `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub struct Timer(TimerFd);

impl Timer {
    /// A timer that is not set, and does not survive `execve(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `timerfd_create(2)` returned.
    pub fn new() -> Result<Self, Error> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)
            .map(Self)
            .map_err(|e| Error::object(Operation::Create, "a timer", e.into()))
    }

    /// Has it expire once, after `delay`; at once for none.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `timerfd_settime(2)` returned.
    pub fn once(&self, delay: Duration) -> Result<(), Error> {
        self.set(Expiration::OneShot(time(delay)))
    }

    /// Has it expire again and again.
    ///
    /// # Errors
    ///
    /// As [`Self::once`].
    pub fn every(&self, period: Duration) -> Result<(), Error> {
        self.set(Expiration::Interval(time(period)))
    }

    /// Has it not expire any more.
    ///
    /// # Errors
    ///
    /// As [`Self::once`].
    pub fn stop(&self) -> Result<(), Error> {
        self.0
            .unset()
            .map_err(|e| Error::object(Operation::Set, "a timer", e.into()))
    }

    /// How often it has expired since this was asked before, or since it was set.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `read(2)` returned.
    pub fn expirations(&self) -> Result<u64, Error> {
        let mut count = [0; 8];
        match nix::unistd::read(self, &mut count) {
            Ok(_) => Ok(u64::from_ne_bytes(count)),
            Err(nix::errno::Errno::EAGAIN) => Ok(0),
            Err(e) => Err(Error::object(Operation::Read, "a timer", e.into())),
        }
    }

    fn set(&self, expiration: Expiration) -> Result<(), Error> {
        self.0
            .set(expiration, TimerSetTimeFlags::empty())
            .map_err(|e| Error::object(Operation::Set, "a timer", io::Error::from(e)))
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A delay of zero would unset the timer.
fn time(delay: Duration) -> TimeSpec {
    TimeSpec::from_duration(delay.max(Duration::from_nanos(1)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::{Interest, poll};

    #[test]
    fn a_timer_goes_by_the_clock_that_nobody_sets() {
        let timer = Timer::new().unwrap();
        let path = format!("/proc/self/fdinfo/{}", timer.as_fd().as_raw_fd());
        let text = fs::read_to_string(path).unwrap();
        let clock = format!("clockid: {}", libc::CLOCK_MONOTONIC);
        assert!(text.lines().any(|line| line == clock), "{text}");
    }

    #[test]
    fn a_timer_expires_as_often_as_it_was_set_to() {
        let timer = Timer::new().unwrap();
        assert_eq!(timer.expirations().unwrap(), 0);
        timer.once(Duration::ZERO).unwrap();
        assert!(poll(&timer, Interest::READABLE, None).unwrap().readable);
        assert_eq!(timer.expirations().unwrap(), 1);

        timer.every(Duration::from_millis(1)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(timer.expirations().unwrap() > 1);
        timer.stop().unwrap();
        let now = Some(Duration::ZERO);
        assert!(poll(&timer, Interest::READABLE, now).unwrap().is_none());
    }
}
