// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests and their answers.

use std::io;
use std::time::Duration;

use neli::consts::nl::NlmF;

use super::message::{Said, messages, request};
use super::socket::Socket;
use super::{Attribute, Failure, Family, Message};
use crate::Error;

/// How long an answer may take. The kernel answers before the request's `send(2)` returns, but
/// for the later parts of a long list.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a list that has changed meanwhile is asked for again.
const ATTEMPTS: usize = 16;

/// A socket by which a family is asked.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    family: Family,
    sequence: u32,
}

impl Connection {
    /// Finds a family by its name.
    ///
    /// # Errors
    ///
    /// [`Error::Netlink`], with [`Failure::NoFamily`] when the kernel does not have it.
    pub fn open(family: &str) -> Result<Self, Error> {
        let open = || {
            let socket = Socket::open(&[])?;
            let family = Family::find(&socket, family)?;
            Ok(Self {
                socket,
                family,
                sequence: 0,
            })
        };
        open().map_err(|failure| Error::netlink(family, failure))
    }

    /// The family.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Sends a command and returns what answers it, which may be nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Netlink`], with [`Failure::Refused`] when the kernel does not do it.
    pub fn request(
        &mut self,
        command: u8,
        attributes: &[Attribute],
    ) -> Result<Vec<Message>, Error> {
        self.ask(NlmF::ACK, command, attributes)
            .and_then(|answers| self.read(answers))
            .map_err(|failure| Error::netlink(&self.family.name, failure))
    }

    /// Asks for all that there is, as it was at one moment.
    ///
    /// # Errors
    ///
    /// [`Error::Netlink`], with [`Failure::Refused`] when the kernel does not do it, and
    /// [`Failure::Unsteady`] when it changed each time.
    #[doc(alias = "NLM_F_DUMP")]
    pub fn dump(&mut self, command: u8, attributes: &[Attribute]) -> Result<Vec<Message>, Error> {
        let mut dump = || {
            for _ in 0..ATTEMPTS {
                let answers = self.ask(NlmF::DUMP, command, attributes)?;
                if !answers.interrupted {
                    return self.read(answers);
                }
            }
            Err(Failure::Unsteady(command))
        };
        dump().map_err(|failure| Error::netlink(&self.family.name, failure))
    }

    fn ask(
        &mut self,
        flags: NlmF,
        command: u8,
        attributes: &[Attribute],
    ) -> Result<Answers, Failure> {
        self.sequence = self.sequence.wrapping_add(1);
        // The version of a request is not looked at by the kernel.
        let version = u8::try_from(self.family.version).unwrap_or(u8::MAX);
        exchange(
            &self.socket,
            (self.family.id, version),
            (flags, self.sequence),
            command,
            attributes,
        )
    }

    fn read(&self, answers: Answers) -> Result<Vec<Message>, Failure> {
        let messages = answers.messages.into_iter();
        messages
            .map(|message| Message::read(&self.family.name, message))
            .collect()
    }
}

/// What the kernel has answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) messages: Vec<Vec<u8>>,
    /// Whether what is listed has changed meanwhile.
    pub(super) interrupted: bool,
}

/// Sends a request and collects the answers to the last.
pub(super) fn exchange(
    socket: &Socket,
    (family, version): (u16, u8),
    (flags, sequence): (NlmF, u32),
    command: u8,
    attributes: &[Attribute],
) -> Result<Answers, Failure> {
    let request = request(family, flags, sequence, command, version, attributes)?;
    socket.send(&request)?;
    let mut answers = Answers::default();
    while let Some(packet) = socket.receive(Some(PATIENCE))? {
        for received in messages(&packet)? {
            // What is left of an earlier request that failed.
            if received.sequence != sequence {
                continue;
            }
            answers.interrupted |= received.interrupted;
            match received.said {
                Said::Message(message) => answers.messages.push(message),
                Said::Done => return Ok(answers),
                Said::Refused {
                    errno,
                    reason,
                    offset,
                    missing,
                } => {
                    return Err(Failure::Refused {
                        command,
                        reason,
                        attribute: missing.or_else(|| attribute_at(&request, offset?)),
                        source: io::Error::from_raw_os_error(errno),
                    });
                }
            }
        }
    }
    Err(Failure::Unanswered(command))
}

/// The number of the attribute that begins at an offset into a request.
fn attribute_at(request: &[u8], offset: usize) -> Option<u16> {
    // Behind its length.
    let number = request.get(offset.checked_add(2)?..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*number))
}
