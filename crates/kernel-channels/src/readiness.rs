// SPDX-License-Identifier: MIT OR Apache-2.0

//! Waiting until a file can be read or written: `poll(2)` for one descriptor.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::{Error, Operation};

/// What to wait for. Hang-up and error are always waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Something can be read. `POLLIN`
    pub readable: bool,
    /// Something can be written. `POLLOUT`
    pub writable: bool,
    /// An exceptional condition, for example a sysfs attribute that changed. `POLLPRI`
    pub priority: bool,
}

impl Interest {
    /// Hang-up and error only.
    pub const NONE: Self = Self {
        readable: false,
        writable: false,
        priority: false,
    };
    /// Something can be read.
    pub const READABLE: Self = Self {
        readable: true,
        ..Self::NONE
    };
    /// Something can be written.
    pub const WRITABLE: Self = Self {
        writable: true,
        ..Self::NONE
    };
    /// Something can be read or written.
    pub const READABLE_OR_WRITABLE: Self = Self {
        readable: true,
        ..Self::WRITABLE
    };
    /// An exceptional condition.
    pub const PRIORITY: Self = Self {
        priority: true,
        ..Self::NONE
    };

    fn flags(self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.readable);
        flags.set(PollFlags::POLLOUT, self.writable);
        flags.set(PollFlags::POLLPRI, self.priority);
        flags
    }
}

/// What a file is ready for. All false: the time ran out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read would not block. `POLLIN`
    pub readable: bool,
    /// A write would not block. `POLLOUT`
    pub writable: bool,
    /// An exceptional condition. `POLLPRI`
    pub priority: bool,
    /// The other side has gone. `POLLHUP`
    pub hang_up: bool,
    /// Something is wrong with the file. `POLLERR`
    pub error: bool,
}

impl Readiness {
    /// Whether the time ran out before the file was ready for anything.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Shows the names of the bits, as `POLLIN|POLLOUT`, or `nothing`.
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = [
            (self.readable, "POLLIN"),
            (self.writable, "POLLOUT"),
            (self.priority, "POLLPRI"),
            (self.hang_up, "POLLHUP"),
            (self.error, "POLLERR"),
        ];
        let names: Vec<_> = bits
            .into_iter()
            .filter_map(|(set, name)| set.then_some(name))
            .collect();
        f.pad(&if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join("|")
        })
    }
}

/// Waits until `fd` is ready for what `interest` says, or `timeout` has passed.
///
/// Without a timeout it waits for ever. A signal does not end the wait, nor prolong it.
///
/// # Errors
///
/// [`Error::Descriptor`] when `poll(2)` fails, which it does for want of memory only.
pub fn poll(
    fd: impl AsFd,
    interest: Interest,
    timeout: Option<Duration>,
) -> Result<Readiness, Error> {
    // A timeout too far away for the clock is as good as none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let mut descriptors = [PollFd::new(fd.as_fd(), interest.flags())];
        match nix::poll::poll(&mut descriptors, remaining(deadline)) {
            Ok(_) => {
                let found = descriptors[0].revents().unwrap_or(PollFlags::empty());
                return Ok(Readiness {
                    readable: found.contains(PollFlags::POLLIN),
                    writable: found.contains(PollFlags::POLLOUT),
                    priority: found.contains(PollFlags::POLLPRI),
                    hang_up: found.contains(PollFlags::POLLHUP),
                    error: found.contains(PollFlags::POLLERR),
                });
            }
            Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::Descriptor {
                    operation: Operation::Poll,
                    descriptor: fd.as_fd().as_raw_fd(),
                    source: errno.into(),
                });
            }
        }
    }
}

/// The time until `deadline` in whole milliseconds, rounded up: to wake too early is to spin.
fn remaining(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn an_empty_pipe_is_not_readable_until_it_is_written() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let timeout = Some(Duration::from_millis(1));
        assert!(
            poll(&reader, Interest::READABLE, timeout)
                .unwrap()
                .is_none()
        );
        writer.write_all(b"x").unwrap();
        let found = poll(&reader, Interest::READABLE, None).unwrap();
        assert!(found.readable && !found.hang_up);
    }

    #[test]
    fn readiness_is_shown_by_the_names_of_its_bits() {
        assert_eq!(Readiness::default().to_string(), "nothing");
        let gone = Readiness {
            hang_up: true,
            error: true,
            ..Readiness::default()
        };
        assert_eq!(gone.to_string(), "POLLHUP|POLLERR");
    }

    #[test]
    fn hang_up_is_reported_although_nobody_asked() {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(writer);
        assert!(poll(&reader, Interest::NONE, None).unwrap().hang_up);
    }

    #[test]
    fn the_wait_lasts_at_least_as_long_as_asked() {
        let (reader, _writer) = UnixStream::pair().unwrap();
        let timeout = Duration::from_micros(2500);
        let start = Instant::now();
        assert!(
            poll(&reader, Interest::READABLE, Some(timeout))
                .unwrap()
                .is_none()
        );
        assert!(start.elapsed() >= timeout);
    }
}
