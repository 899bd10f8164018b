// SPDX-License-Identifier: MIT OR Apache-2.0

//! News of a family.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::message::{Said, messages};
use super::socket::Socket;
use super::{Failure, Family, Message};
use crate::Error;

/// A member of a multicast group, from when it joined on.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    family: Family,
    /// What came with a message that was taken.
    pending: VecDeque<Message>,
}

impl Listener {
    /// Joins a multicast group of a family.
    ///
    /// # Errors
    ///
    /// [`Error::Netlink`], with [`Failure::NoFamily`] or [`Failure::NoGroup`] when the kernel does
    /// not have it.
    pub fn join(family: &str, group: &str) -> Result<Self, Error> {
        let join = || {
            let family = Family::find(&Socket::open(&[])?, family)?;
            let number = family.groups.get(group);
            let number = number.ok_or_else(|| Failure::NoGroup(group.to_owned()))?;
            Ok(Self {
                socket: Socket::open(&[*number])?,
                family,
                pending: VecDeque::new(),
            })
        };
        join().map_err(|failure| Error::netlink(family, failure))
    }

    /// The family.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Waits for the next message; `None` when the time ran out.
    ///
    /// # Errors
    ///
    /// [`Error::Netlink`], with [`Failure::Lost`] when this program was too slow, after which it
    /// may go on.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Option<Message>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while self.pending.is_empty() {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let more = self.receive(left);
            if !more.map_err(|failure| Error::netlink(&self.family.name, failure))? {
                return Ok(None);
            }
        }
        Ok(self.pending.pop_front())
    }

    /// Takes the next packet; false when the time ran out.
    fn receive(&mut self, timeout: Option<Duration>) -> Result<bool, Failure> {
        let Some(packet) = self.socket.receive(timeout)? else {
            return Ok(false);
        };
        for received in messages(&packet)? {
            if let (true, Said::Message(message)) = (received.kind == self.family.id, received.said)
            {
                let message = Message::read(&self.family.name, message)?;
                self.pending.push_back(message);
            }
        }
        Ok(true)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
