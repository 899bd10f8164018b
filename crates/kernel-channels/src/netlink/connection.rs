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
        steady(command, || self.ask(NlmF::DUMP, command, attributes))
            .and_then(|answers| self.read(answers))
            .map_err(|failure| Error::netlink(&self.family.name, failure))
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

/// Asks for a list until it has not changed while it was listed.
fn steady(
    command: u8,
    mut ask: impl FnMut() -> Result<Answers, Failure>,
) -> Result<Answers, Failure> {
    for _ in 0..ATTEMPTS {
        let answers = ask()?;
        if !answers.interrupted {
            return Ok(answers);
        }
    }
    Err(Failure::Unsteady(command))
}

/// What the kernel has answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) messages: Vec<Vec<u8>>,
    /// Whether what is listed has changed meanwhile.
    pub(super) interrupted: bool,
}

impl Answers {
    /// Takes what a packet has of the answers to a request; true when that was all.
    fn take(
        &mut self,
        packet: &[u8],
        sequence: u32,
        command: u8,
        request: &[u8],
    ) -> Result<bool, Failure> {
        for received in messages(packet)? {
            // What is left of an earlier request that failed.
            if received.sequence != sequence {
                continue;
            }
            self.interrupted |= received.interrupted;
            match received.said {
                Said::Message(message) => self.messages.push(message),
                Said::Done => return Ok(true),
                Said::Refused {
                    errno,
                    reason,
                    offset,
                    missing,
                } => {
                    return Err(Failure::Refused {
                        command,
                        reason,
                        attribute: missing.or_else(|| attribute_at(request, offset?)),
                        source: io::Error::from_raw_os_error(errno),
                    });
                }
            }
        }
        Ok(false)
    }
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
        if answers.take(&packet, sequence, command, &request)? {
            return Ok(answers);
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

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: u8 = 3;
    const SEQUENCE: u32 = 7;

    /// One device of a list.
    fn entry(sequence: u32, flags: NlmF, number: u32) -> Vec<u8> {
        let attributes = [Attribute::u32(1, number)];
        request(32, flags, sequence, COMMAND, 1, &attributes).unwrap()
    }

    /// The end of a list: `NLMSG_DONE` without an error.
    fn end(sequence: u32, flags: NlmF) -> Vec<u8> {
        let mut message = 20_u32.to_ne_bytes().to_vec();
        message.extend(3_u16.to_ne_bytes());
        message.extend(u16::from(flags | NlmF::MULTI).to_ne_bytes());
        message.extend(sequence.to_ne_bytes());
        message.extend([0; 8]);
        message
    }

    fn numbers(answers: Answers) -> Vec<u32> {
        let messages = answers.messages.into_iter();
        messages
            .map(|message| Message::read("f", message).unwrap().u32(1).unwrap())
            .collect()
    }

    /// What a list is taken for whose packets are these.
    fn listed(packets: &[Vec<u8>]) -> Answers {
        let mut answers = Answers::default();
        for (index, packet) in packets.iter().enumerate() {
            let whole = answers.take(packet, SEQUENCE, COMMAND, &[]).unwrap();
            assert_eq!(whole, index + 1 == packets.len());
        }
        answers
    }

    #[test]
    fn answers_to_an_earlier_request_are_passed_over() {
        let none = NlmF::empty();
        let earlier = [entry(SEQUENCE - 1, none, 1), end(SEQUENCE - 1, none)].concat();
        let this = [entry(SEQUENCE, none, 2), end(SEQUENCE, none)].concat();
        let both = [earlier.clone(), this.clone()].concat();
        assert_eq!(numbers(listed(&[both])), [2]);
        assert_eq!(numbers(listed(&[earlier, this])), [2]);
    }

    #[test]
    fn a_list_that_has_changed_anywhere_is_known_for_it() {
        let (none, torn) = (NlmF::empty(), NlmF::DUMP_INTR);
        for flags in [[torn, none, none], [none, torn, none], [none, none, torn]] {
            let first = entry(SEQUENCE, flags[0], 1);
            let rest = [entry(SEQUENCE, flags[1], 2), end(SEQUENCE, flags[2])].concat();
            assert!(listed(&[first, rest]).interrupted, "{flags:?}");
        }
        let whole = [entry(SEQUENCE, none, 1), end(SEQUENCE, none)].concat();
        assert!(!listed(&[whole]).interrupted);
    }

    #[test]
    fn a_list_that_has_changed_is_asked_for_again_but_not_for_ever() {
        let torn = |interrupted| Answers {
            interrupted,
            ..Answers::default()
        };
        let mut asked = 0;
        let kept_still = steady(COMMAND, || {
            asked += 1;
            Ok(torn(asked < ATTEMPTS))
        });
        assert!(!kept_still.unwrap().interrupted);
        assert_eq!(asked, ATTEMPTS);
        let never = steady(COMMAND, || Ok(torn(true)));
        assert!(matches!(never, Err(Failure::Unsteady(COMMAND))));
        let lost = steady(COMMAND, || Err(Failure::Lost));
        assert!(matches!(lost, Err(Failure::Lost)));
    }
}
