// SPDX-License-Identifier: MIT OR Apache-2.0

//! Messages: how they are put into bytes and told from them.

use std::ffi::CStr;
use std::io::{self, Cursor};

use neli::consts::nl::{NlmF, NlmsgerrAttr};
use neli::genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, NlattrBuilder, NoUserHeader};
use neli::nl::{NlPayload, Nlmsghdr, NlmsghdrBuilder};
use neli::types::{Buffer, GenlBuffer};
use neli::{FromBytes, FromBytesWithInput, ToBytes};

use super::Failure;
use crate::Error;

/// The length of the header of each message: `struct nlmsghdr`.
const HEADER: usize = 16;
/// The attribute with the type of one that is missing, which `neli` has no name for.
const NLMSGERR_ATTR_MISS_TYPE: u16 = 5;

/// A generic netlink message, as `neli` has it.
type Generic = Genlmsghdr<u8, u16>;

/// One attribute: a number that says what it is, and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it is.
    pub number: u16,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Attribute {
    /// A number of four bytes.
    pub fn u32(number: u16, value: u32) -> Self {
        let payload = value.to_ne_bytes().to_vec();
        Self { number, payload }
    }

    /// A text, which must not have a zero byte in it.
    pub fn text(number: u16, text: &str) -> Self {
        let payload = [text.as_bytes(), b"\0"].concat();
        Self { number, payload }
    }
}

/// One message of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says, or which command it answers.
    pub command: u8,
    /// The version of the family.
    pub version: u8,
    /// The attributes, in their order.
    pub attributes: Vec<Attribute>,
    /// The name of the family, for what goes wrong.
    family: String,
}

impl Message {
    pub(super) fn read(family: &str, bytes: Vec<u8>) -> Result<Self, Failure> {
        let length = bytes.len();
        let message = Generic::from_bytes_with_input(&mut Cursor::new(bytes), length)
            .map_err(|error| Failure::Malformed(error.to_string()))?;
        let attributes = message.attrs().iter().map(|attribute| Attribute {
            number: *attribute.nla_type().nla_type(),
            payload: attribute.nla_payload().as_ref().to_vec(),
        });
        Ok(Self {
            command: *message.cmd(),
            version: *message.version(),
            attributes: attributes.collect(),
            family: family.to_owned(),
        })
    }

    /// The bytes of an attribute, if there is one with this number.
    pub fn attribute(&self, number: u16) -> Option<&[u8]> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|attribute| attribute.number == number)?;
        Some(&found.payload)
    }

    /// An attribute that is a number of four bytes.
    ///
    /// # Errors
    ///
    /// [`Failure::Missing`] and [`Failure::Attribute`].
    pub fn u32(&self, number: u16) -> Result<u32, Error> {
        let payload = self.required(number)?;
        let bytes = payload.try_into();
        let value = bytes.map(u32::from_ne_bytes);
        value.map_err(|_| self.unexpected(number, payload.len(), "u32"))
    }

    /// An attribute that is a number of four or eight bytes.
    ///
    /// # Errors
    ///
    /// [`Failure::Missing`] and [`Failure::Attribute`].
    pub fn uint(&self, number: u16) -> Result<u64, Error> {
        let payload = self.required(number)?;
        let short = payload.try_into().map(u32::from_ne_bytes).map(u64::from);
        let value = short.or_else(|_| payload.try_into().map(u64::from_ne_bytes));
        value.map_err(|_| self.unexpected(number, payload.len(), "uint"))
    }

    /// An attribute that is a text, without the zero byte at its end.
    ///
    /// # Errors
    ///
    /// [`Failure::Missing`] and [`Failure::Attribute`].
    pub fn text(&self, number: u16) -> Result<&str, Error> {
        let payload = self.required(number)?;
        let text = CStr::from_bytes_with_nul(payload);
        let text = text.ok().and_then(|text| text.to_str().ok());
        text.ok_or_else(|| self.unexpected(number, payload.len(), "string"))
    }

    fn required(&self, attribute: u16) -> Result<&[u8], Error> {
        let command = self.command;
        self.attribute(attribute)
            .ok_or_else(|| Error::netlink(&self.family, Failure::Missing { command, attribute }))
    }

    fn unexpected(&self, attribute: u16, length: usize, expected: &'static str) -> Error {
        let command = self.command;
        let failure = Failure::Attribute {
            command,
            attribute,
            length,
            expected,
        };
        Error::netlink(&self.family, failure)
    }
}

/// The bytes of a request.
pub(super) fn request(
    family: u16,
    flags: NlmF,
    sequence: u32,
    command: u8,
    version: u8,
    attributes: &[Attribute],
) -> Result<Vec<u8>, Failure> {
    let encode = || -> Result<_, Box<dyn std::error::Error>> {
        let mut encoded = Vec::new();
        for attribute in attributes {
            let number = AttrTypeBuilder::default()
                .nla_type(attribute.number)
                .build()?;
            encoded.push(
                NlattrBuilder::default()
                    .nla_type(number)
                    .nla_payload(Buffer::from(&attribute.payload[..]))
                    .build()?,
            );
        }
        let payload = GenlmsghdrBuilder::<u8, u16, NoUserHeader>::default()
            .cmd(command)
            .version(version)
            .attrs(encoded.into_iter().collect::<GenlBuffer<_, _>>())
            .build()?;
        let message = NlmsghdrBuilder::default()
            .nl_type(family)
            .nl_flags(flags | NlmF::REQUEST)
            .nl_seq(sequence)
            .nl_payload(NlPayload::Payload(payload))
            .build()?;
        let mut bytes = Cursor::new(Vec::new());
        message.to_bytes(&mut bytes)?;
        Ok(bytes.into_inner())
    };
    encode().map_err(|error| Failure::Socket {
        operation: crate::Operation::Write,
        source: io::Error::other(error.to_string()),
    })
}

/// What the kernel says in one message of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What was asked for, or news.
    Message(Vec<u8>),
    /// That is all.
    Done,
    /// The request is refused.
    Refused {
        /// The error number.
        errno: i32,
        /// The kernel's own words.
        reason: Option<String>,
        /// Where the wrong attribute is in the request.
        offset: Option<usize>,
        /// The number of a missing attribute.
        missing: Option<u16>,
    },
}

/// One message of a packet, and what its header says.
#[derive(Debug)]
pub(super) struct Received {
    /// The number of the family, or of what concerns all families.
    pub(super) kind: u16,
    /// The number of the request that is answered.
    pub(super) sequence: u32,
    /// Whether what is listed has changed meanwhile.
    pub(super) interrupted: bool,
    pub(super) said: Said,
}

/// The messages of a packet.
pub(super) fn messages(packet: &[u8]) -> Result<Vec<Received>, Failure> {
    let mut messages = Vec::new();
    let mut rest = packet;
    while !rest.is_empty() {
        let length = rest.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        let length = length.and_then(|length| usize::try_from(length).ok());
        let whole = length.filter(|length| (HEADER..=rest.len()).contains(length));
        let Some(length) = whole else {
            return Err(Failure::Malformed("a length is wrong".to_owned()));
        };
        messages.push(received(&rest[..length])?);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(messages)
}

fn received(message: &[u8]) -> Result<Received, Failure> {
    let header = Nlmsghdr::<u16, Buffer>::from_bytes(&mut Cursor::new(message))
        .map_err(|error| Failure::Malformed(error.to_string()))?;
    let said = match header.nl_payload() {
        NlPayload::Payload(payload) => Said::Message(payload.as_ref().to_vec()),
        NlPayload::Ack(_) | NlPayload::Empty => Said::Done,
        NlPayload::Err(error) => refused(*error.error(), error.ext_ack()),
        NlPayload::DumpExtAck(end) if *end.error() == 0 => Said::Done,
        NlPayload::DumpExtAck(end) => refused(*end.error(), end.ext_ack()),
    };
    Ok(Received {
        kind: *header.nl_type(),
        sequence: *header.nl_seq(),
        interrupted: header.nl_flags().contains(NlmF::DUMP_INTR),
        said,
    })
}

fn refused(error: i32, details: &GenlBuffer<NlmsgerrAttr, Buffer>) -> Said {
    let detail = |kind: NlmsgerrAttr| {
        let mut found = details.iter().filter(|d| *d.nla_type().nla_type() == kind);
        found.next().map(|detail| detail.nla_payload().as_ref())
    };
    let number = |kind| {
        let bytes = detail(kind).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes)
    };
    let reason = detail(NlmsgerrAttr::Msg).map(|text| {
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        String::from_utf8_lossy(text).into_owned()
    });
    let missing = number(NlmsgerrAttr::from(NLMSGERR_ATTR_MISS_TYPE));
    Said::Refused {
        errno: -error,
        reason,
        offset: number(NlmsgerrAttr::Offset).and_then(|offset| usize::try_from(offset).ok()),
        missing: missing.and_then(|number| u16::try_from(number).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: u16 = 32;
    const SEQUENCE: u32 = 7;

    fn sample() -> Vec<u8> {
        let attributes = [Attribute::u32(1, 5), Attribute::text(2, "five")];
        request(FAMILY, NlmF::ACK, SEQUENCE, 3, 1, &attributes).unwrap()
    }

    /// An answer of the kernel: an error number, the request's header, and details.
    fn refusal(errno: i32, details: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = (-errno).to_ne_bytes().to_vec();
        body.extend(&sample()[..HEADER]);
        body[4..8].copy_from_slice(&16_u32.to_ne_bytes());
        for (kind, bytes) in details {
            let length = u16::try_from(4 + bytes.len()).unwrap();
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*bytes);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(2_u16.to_ne_bytes());
        message.extend(0_u16.to_ne_bytes());
        message.extend(SEQUENCE.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn what_was_put_into_bytes_is_told_from_them() {
        let packet = [sample(), sample()].concat();
        let received = messages(&packet).unwrap();
        assert_eq!(received.len(), 2);
        for one in received {
            assert_eq!((one.kind, one.sequence), (FAMILY, SEQUENCE));
            assert!(!one.interrupted);
            let Said::Message(bytes) = one.said else {
                panic!("{one:?}");
            };
            let message = Message::read("f", bytes).unwrap();
            assert_eq!((message.command, message.version), (3, 1));
            assert_eq!(message.u32(1).unwrap(), 5);
            assert_eq!(message.uint(1).unwrap(), 5);
            assert_eq!(message.text(2).unwrap(), "five");
            assert_eq!(message.attributes.len(), 2);
        }
    }

    #[test]
    fn a_long_number_is_read_whole() {
        let payload = (1_u64 << 40).to_ne_bytes().to_vec();
        let long = Attribute { number: 9, payload };
        let bytes = request(FAMILY, NlmF::ACK, SEQUENCE, 3, 1, &[long]).unwrap();
        let message = Message::read("f", bytes[HEADER..].to_vec()).unwrap();
        assert_eq!(message.uint(9).unwrap(), 1 << 40);
        message.u32(9).unwrap_err();
    }

    #[test]
    fn a_refusal_is_read_with_its_details() {
        let bare = messages(&refusal(libc::EPERM, &[])).unwrap();
        let expected = Said::Refused {
            errno: libc::EPERM,
            reason: None,
            offset: None,
            missing: None,
        };
        assert_eq!(bare[0].said, expected);
        let offset = 20_u32.to_ne_bytes();
        let missing = 4_u32.to_ne_bytes();
        let details: [(u16, &[u8]); 3] = [(1, b"too long\0"), (2, &offset), (5, &missing)];
        let told = messages(&refusal(libc::EINVAL, &details)).unwrap();
        let expected = Said::Refused {
            errno: libc::EINVAL,
            reason: Some("too long".to_owned()),
            offset: Some(20),
            missing: Some(4),
        };
        assert_eq!(told[0].said, expected);
        assert_eq!(messages(&refusal(0, &[])).unwrap()[0].said, Said::Done);
    }

    #[test]
    fn no_packet_that_was_cut_anywhere_is_taken_whole_or_makes_this_panic() {
        for packet in [sample(), refusal(libc::EINVAL, &[(1, b"why\0")])] {
            for length in 1..packet.len() {
                assert!(messages(&packet[..length]).is_err(), "{length} bytes");
            }
        }
    }
}
