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

#[cfg(test)]
mod tests {
    use neli::consts::nl::NlmF;

    use super::super::Attribute;
    use super::super::message::request;
    use super::*;

    /// The controller's command for a family, and the attribute with its name.
    const GET_FAMILY: u8 = 3;
    const FAMILY_NAME: u16 = 2;

    /// What is heard when the kernel says something of the controller's.
    fn heard(listener: &mut Listener) -> Option<Message> {
        let name = [Attribute::text(FAMILY_NAME, "nlctrl")];
        let question = request(16, NlmF::empty(), 1, GET_FAMILY, 2, &name).unwrap();
        listener.socket.send(&question).unwrap();
        // The answer is there when the request has been sent.
        listener.next(Some(Duration::ZERO)).unwrap()
    }

    #[test]
    fn what_another_family_says_is_no_news() {
        let mut listener = Listener::join("nlctrl", "notify").unwrap();
        let news = heard(&mut listener).unwrap();
        assert_eq!(news.text(FAMILY_NAME).unwrap(), "nlctrl");
        listener.family.id += 1;
        assert_eq!(heard(&mut listener), None);
    }
}
