// SPDX-License-Identifier: MIT OR Apache-2.0

//! Frames: `~BRINGUP <sequence> <crc32> <json>`, one line each.

use thiserror::Error;

use crate::Message;

/// What a frame starts with, wherever in a line the console lets it begin.
pub const MARK: &str = "~BRINGUP ";

/// The longest line a [`Reader`] keeps; a longer one is noise. In bytes.
const LONGEST_LINE: usize = 1 << 20;

/// A message with its place in the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Counted from 0, one more for each frame.
    pub sequence: u64,
    /// What is said.
    pub message: Message,
}

/// Why a line that looks like a frame is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// A field is missing or is no number.
    #[error("malformed frame header")]
    Header,
    /// The checksum does not fit the text.
    #[error("checksum {expected:08x} does not match the frame's text, which has {actual:08x}")]
    Checksum {
        /// As the frame says.
        expected: u32,
        /// As computed.
        actual: u32,
    },
    /// The text is not a message.
    #[error("unreadable message: {0}")]
    Message(String),
}

impl Frame {
    /// The frame as a line with its newline.
    ///
    /// # Errors
    ///
    /// When the message cannot be written as JSON, which no [`Message`] of today can bring about.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(&self.message)?;
        let checksum = checksum(self.sequence, &json);
        Ok(format!("{MARK}{} {checksum:08x} {json}\n", self.sequence))
    }

    /// Reads a frame from what follows [`MARK`] in a line.
    fn decode(text: &str) -> Result<Self, Damage> {
        let mut fields = text.splitn(3, ' ');
        let mut field = || fields.next().ok_or(Damage::Header);
        let (sequence, checksum_field, json) = (field()?, field()?, field()?);
        let sequence = sequence.parse().map_err(|_| Damage::Header)?;
        let expected = u32::from_str_radix(checksum_field, 16).map_err(|_| Damage::Header)?;
        let actual = checksum(sequence, json);
        if expected != actual {
            return Err(Damage::Checksum { expected, actual });
        }
        let message = serde_json::from_str(json).map_err(|e| Damage::Message(e.to_string()))?;
        Ok(Self { sequence, message })
    }
}

/// The checksum covers the sequence number too, so that a digit lost there is noticed.
fn checksum(sequence: u64, json: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(json.as_bytes());
    hasher.finalize()
}

/// What a [`Reader`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole frame.
    Frame(Frame),
    /// Something that began like a frame and was damaged.
    Damaged(Damage),
    /// Frames are missing before the one that follows.
    Gap {
        /// The sequence number that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}

/// Finds frames in a stream of bytes that may hold other text too.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    overlong: bool,
    next: u64,
}

impl Reader {
    /// A reader that expects sequence number 0 first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and returns what they complete, in order.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Received> {
        let mut received = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.overlong) {
                    self.finish_line(&line, &mut received);
                }
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            } else {
                self.overlong = true;
            }
        }
        received
    }

    fn finish_line(&mut self, line: &[u8], received: &mut Vec<Received>) {
        let line = String::from_utf8_lossy(line);
        // The last mark counts: a kernel message may have cut an earlier attempt short.
        let Some(start) = line.rfind(MARK) else {
            return;
        };
        let text = line[start + MARK.len()..].trim_end_matches('\r');
        match Frame::decode(text) {
            Ok(frame) => {
                if frame.sequence != self.next {
                    let (expected, found) = (self.next, frame.sequence);
                    received.push(Received::Gap { expected, found });
                }
                self.next = frame.sequence + 1;
                received.push(Received::Frame(frame));
            }
            Err(damage) => received.push(Received::Damaged(damage)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    fn frame(sequence: u64, text: &str) -> Frame {
        let bytes = text.as_bytes().to_vec();
        let message = Message::Output {
            program: 0,
            stream: Stream::Stdout,
            bytes,
        };
        Frame { sequence, message }
    }

    fn encoded(sequence: u64, text: &str) -> String {
        frame(sequence, text).encode().unwrap()
    }

    #[test]
    fn a_frame_survives_the_wire_in_pieces_of_one_byte() {
        let sent = frame(0, "every\nbyte \u{1F980} \\ \" counts");
        let mut reader = Reader::new();
        let mut received = Vec::new();
        for byte in sent.encode().unwrap().bytes() {
            received.extend(reader.push(&[byte]));
        }
        assert_eq!(received, [Received::Frame(sent)]);
    }

    #[test]
    fn frames_are_found_between_kernel_messages() {
        let mut reader = Reader::new();
        let text = format!(
            "[    1.0] usb: new device\r\n[    1.1] {}{}[ 2.0] bye\n",
            encoded(0, "a").replace('\n', "\r\n"),
            encoded(1, "b")
        );
        let expected = [
            Received::Frame(frame(0, "a")),
            Received::Frame(frame(1, "b")),
        ];
        assert_eq!(reader.push(text.as_bytes()), expected);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let line = encoded(0, "payload");
        for position in MARK.len()..line.len() - 1 {
            let mut bytes = line.clone().into_bytes();
            bytes[position] ^= 0x01;
            let received = Reader::new().push(&bytes);
            // Not even as another frame: a digit of the sequence number is covered too.
            assert!(
                matches!(received[..], [Received::Damaged(_)]),
                "byte {position} was changed: {received:?}"
            );
        }
    }

    #[test]
    fn a_lost_frame_is_reported_before_the_next() {
        let mut reader = Reader::new();
        reader.push(encoded(0, "a").as_bytes());
        let received = reader.push(encoded(2, "c").as_bytes());
        let gap = Received::Gap {
            expected: 1,
            found: 2,
        };
        assert_eq!(received, [gap, Received::Frame(frame(2, "c"))]);
    }

    #[test]
    fn an_endless_line_does_not_exhaust_memory_and_the_next_frame_is_read() {
        let mut reader = Reader::new();
        let noise = vec![b'x'; 4096];
        for _ in 0..(LONGEST_LINE / noise.len() + 2) {
            assert_eq!(reader.push(&noise), []);
        }
        assert!(reader.line.len() <= LONGEST_LINE);
        reader.push(b"\n");
        let received = reader.push(encoded(0, "a").as_bytes());
        assert_eq!(received, [Received::Frame(frame(0, "a"))]);
    }
}
