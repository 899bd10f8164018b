// SPDX-License-Identifier: MIT OR Apache-2.0

//! Waiting for many files: `epoll(7)`.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::{Error, Interest, Operation, Readiness};

/// The most that one wait tells of.
const MOST: usize = 32;

/// What a [`Loop`] has waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// What the file was added with.
    pub token: u64,
    /// What it is ready for.
    pub readiness: Readiness,
}

/// Any number of files, and whatever one of them is ready for.
#[derive(Debug)]
pub struct Loop(Epoll);

impl Loop {
    /// A loop without files, which does not survive `execve(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `epoll_create1(2)` returned.
    pub fn new() -> Result<Self, Error> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map(Self)
            .map_err(|e| Error::object(Operation::Create, "an epoll", e.into()))
    }

    /// Waits for a file from now on, for as long as it is ready: until it is closed, by whoever has
    /// a descriptor of it.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `epoll_ctl(2)` returned; `EPERM` for a regular file.
    pub fn add(&self, file: impl AsFd, token: u64, interest: Interest) -> Result<(), Error> {
        self.add_with(file, token, flags(interest))
    }

    /// The same, but a file that stays ready is told of again only when it has been told so itself.
    /// `EPOLLET`
    ///
    /// # Errors
    ///
    /// As [`Self::add`].
    pub fn add_edge(&self, file: impl AsFd, token: u64, interest: Interest) -> Result<(), Error> {
        self.add_with(file, token, flags(interest) | EpollFlags::EPOLLET)
    }

    fn add_with(&self, file: impl AsFd, token: u64, flags: EpollFlags) -> Result<(), Error> {
        self.0
            .add(file, EpollEvent::new(flags, token))
            .map_err(|e| Error::object(Operation::Set, "an epoll", e.into()))
    }

    /// Waits for a file no more.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `epoll_ctl(2)` returned; `ENOENT` if it was not waited for.
    pub fn remove(&self, file: impl AsFd) -> Result<(), Error> {
        self.0
            .delete(file)
            .map_err(|e| Error::object(Operation::Set, "an epoll", e.into()))
    }

    /// Waits until a file is ready, and returns those that are; none when `timeout` has passed. A
    /// signal does not end the wait, nor prolong it.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `epoll_wait(2)` returned.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<Occurrence>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut events = [EpollEvent::empty(); MOST];
        loop {
            match self.0.wait(&mut events, remaining(deadline)) {
                Ok(count) => return Ok(events[..count].iter().map(occurrence).collect()),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Error::object(Operation::Wait, "an epoll", e.into())),
            }
        }
    }
}

fn flags(interest: Interest) -> EpollFlags {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN, interest.readable);
    flags.set(EpollFlags::EPOLLOUT, interest.writable);
    flags.set(EpollFlags::EPOLLPRI, interest.priority);
    flags
}

fn occurrence(event: &EpollEvent) -> Occurrence {
    let found = event.events();
    Occurrence {
        token: event.data(),
        readiness: Readiness {
            readable: found.contains(EpollFlags::EPOLLIN),
            writable: found.contains(EpollFlags::EPOLLOUT),
            priority: found.contains(EpollFlags::EPOLLPRI),
            hang_up: found.contains(EpollFlags::EPOLLHUP),
            error: found.contains(EpollFlags::EPOLLERR),
        },
    }
}

/// The time until `deadline` in whole milliseconds, rounded up: to wake too early is to spin.
fn remaining(deadline: Option<Instant>) -> EpollTimeout {
    let Some(deadline) = deadline else {
        return EpollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{MsgFlags, send};
    use nix::unistd::pipe;

    use super::*;
    use crate::eventfd::Counter;

    /// What one file is ready for.
    fn readiness(file: impl AsFd, interest: Interest) -> Readiness {
        let events = Loop::new().unwrap();
        events.add(&file, 5, interest).unwrap();
        let found = events.wait(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].token, 5);
        found[0].readiness
    }

    #[test]
    fn a_file_is_told_of_until_it_is_removed() {
        let (first, second) = (Counter::new().unwrap(), Counter::new().unwrap());
        let events = Loop::new().unwrap();
        events.add(&first, 7, Interest::READABLE).unwrap();
        events.add_edge(&second, 8, Interest::READABLE).unwrap();
        let now = Some(Duration::ZERO);
        assert_eq!(events.wait(now).unwrap(), []);
        first.add(1).unwrap();
        second.add(1).unwrap();
        let tokens = || {
            let mut found: Vec<_> = events.wait(now).unwrap().iter().map(|o| o.token).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(tokens(), [7, 8]);
        assert_eq!(tokens(), [7], "an edge is told of once");
        events.remove(&first).unwrap();
        assert_eq!(tokens(), [0; 0]);
        let error = events.remove(&first).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn each_readiness_is_told_as_what_it_is() {
        let (reader, writer) = pipe().unwrap();
        let writable = Readiness {
            writable: true,
            ..Readiness::default()
        };
        let both = Interest::READABLE_OR_WRITABLE;
        assert_eq!(readiness(&writer, both), writable);
        drop(reader);
        let error = Readiness {
            error: true,
            ..Readiness::default()
        };
        assert_eq!(readiness(&writer, Interest::NONE), error);
        let (reader, writer) = pipe().unwrap();
        drop(writer);
        let hang_up = Readiness {
            hang_up: true,
            ..Readiness::default()
        };
        assert_eq!(readiness(&reader, both), hang_up);
    }

    #[test]
    fn urgent_data_have_priority() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        send(near.as_raw_fd(), b"!", MsgFlags::MSG_OOB).unwrap();
        let priority = Readiness {
            priority: true,
            ..Readiness::default()
        };
        assert_eq!(readiness(&far, Interest::PRIORITY), priority);
    }

    #[test]
    fn a_regular_file_cannot_be_waited_for() {
        let file = tempfile::tempfile().unwrap();
        let error = Loop::new().unwrap().add(&file, 0, Interest::READABLE);
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
