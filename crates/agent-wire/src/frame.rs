// SPDX-License-Identifier: MIT OR Apache-2.0

//! Frames: one text line each, `~BRINGUP <base64>`.
//!
//! Text, because the line may be a console that a person reads too and a terminal driver may chew
//! on; base64, because what is carried need not be text. In it are a header of fixed length, the
//! payload, and a CRC-32 over both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use thiserror::Error;

/// What a frame starts with, wherever in a line the console lets it begin.
pub const MARK: &str = "~BRINGUP ";

/// Length of everything but the payload, in bytes.
const FIXED: usize = 1 + 4 * 4 + 4;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A side that has just begun says so, once. It has no place in the sequence.
    Beacon,
    /// A piece of a message, of which more follow.
    Piece,
    /// The last piece of a message.
    Last,
    /// Nothing but the acknowledgement that every frame carries.
    Acknowledgement,
    /// The same, and a frame after the acknowledged ones is missing or was damaged.
    Gap,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Beacon,
        Self::Piece,
        Self::Last,
        Self::Acknowledgement,
        Self::Gap,
    ];

    /// Whether a frame of this kind has a place in the sequence.
    pub fn is_numbered(self) -> bool {
        matches!(self, Self::Piece | Self::Last)
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: Kind,
    /// The incarnation of the side that sends it: another number after each start.
    pub from: u32,
    /// The incarnation of the side it is meant for, or 0 when that is not known yet.
    pub to: u32,
    /// Its place in the sequence, if it has one.
    pub sequence: u32,
    /// Which of the other side's frames is awaited next: all before it have come.
    pub awaited: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Why a line that looks like a frame is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The text after the mark is not base64.
    #[error("it is not base64")]
    Text,
    /// It is too short for a header.
    #[error("it is too short")]
    Length,
    /// The checksum does not fit.
    #[error("its checksum is wrong")]
    Checksum,
    /// The first byte names no kind of frame.
    #[error("it is of no known kind")]
    Kind,
}

impl Frame {
    /// The frame as a line with its newline.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.payload.len());
        bytes.push(self.kind as u8);
        for number in [self.from, self.to, self.sequence, self.awaited] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(&self.payload);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let mut line = String::from(MARK);
        STANDARD_NO_PAD.encode_string(&bytes, &mut line);
        line.push('\n');
        line.into_bytes()
    }

    /// Length of the line of a frame with so much payload, in bytes.
    pub(crate) fn encoded_length(payload: usize) -> usize {
        MARK.len() + (FIXED + payload).div_ceil(3) * 4 + 1
    }

    /// Reads a frame from what follows [`MARK`] in a line.
    ///
    /// # Errors
    ///
    /// When the text is not what [`encode`](Self::encode) has made.
    pub fn decode(text: &[u8]) -> Result<Self, Damage> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| Damage::Text)?;
        if bytes.len() < FIXED {
            return Err(Damage::Length);
        }
        let (covered, checksum) = bytes.split_at(bytes.len() - 4);
        if crc32fast::hash(covered).to_le_bytes() != checksum {
            return Err(Damage::Checksum);
        }
        let number = |index: usize| {
            let start = 1 + index * 4;
            let field = covered[start..start + 4].try_into();
            field.map(u32::from_le_bytes).map_err(|_| Damage::Length)
        };
        let kind = Kind::ALL.get(usize::from(covered[0]));
        Ok(Self {
            kind: *kind.ok_or(Damage::Kind)?,
            from: number(0)?,
            to: number(1)?,
            sequence: number(2)?,
            awaited: number(3)?,
            payload: covered[FIXED - 4..].to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Frame {
        Frame {
            kind: Kind::Last,
            from: 0x1234_5678,
            to: 9,
            sequence: 77,
            awaited: u32::MAX,
            payload: payload.to_vec(),
        }
    }

    fn text(line: &[u8]) -> &[u8] {
        &line[MARK.len()..line.len() - 1]
    }

    #[test]
    fn a_frame_is_one_line_of_plain_text_and_comes_back() {
        for length in 0..50 {
            let payload: Vec<u8> = (0..length).collect();
            for kind in Kind::ALL {
                let sent = Frame {
                    kind,
                    ..frame(&payload)
                };
                let line = sent.encode();
                assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                assert!(
                    line[..line.len() - 1]
                        .iter()
                        .all(|b| (b' '..=b'~').contains(b))
                );
                assert!(line.len() <= Frame::encoded_length(payload.len()));
                assert_eq!(Frame::decode(text(&line)), Ok(sent));
            }
        }
    }

    #[test]
    fn any_changed_lost_or_doubled_byte_is_noticed() {
        let line = frame(b"payload").encode();
        let text = text(&line);
        for position in 0..text.len() {
            for bit in 0..7 {
                let mut changed = text.to_vec();
                changed[position] ^= 1 << bit;
                assert!(Frame::decode(&changed).is_err(), "byte {position} changed");
            }
            let mut lost = text.to_vec();
            lost.remove(position);
            assert!(Frame::decode(&lost).is_err(), "byte {position} lost");
            let mut doubled = text.to_vec();
            doubled.insert(position, text[position]);
            assert!(Frame::decode(&doubled).is_err(), "byte {position} doubled");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_with_the_reason() {
        assert_eq!(Frame::decode(b"no base64!"), Err(Damage::Text));
        assert_eq!(Frame::decode(b"AAAA"), Err(Damage::Length));
        let mut bytes = vec![99];
        bytes.extend([0; 16]);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let unknown = STANDARD_NO_PAD.encode(&bytes);
        assert_eq!(Frame::decode(unknown.as_bytes()), Err(Damage::Kind));
        bytes[1] = 1;
        let wrong = STANDARD_NO_PAD.encode(&bytes);
        assert_eq!(Frame::decode(wrong.as_bytes()), Err(Damage::Checksum));
    }
}
