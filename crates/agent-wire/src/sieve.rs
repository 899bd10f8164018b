// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tells frames from the other text on the same line.

use crate::frame::{Damage, Frame, MARK};

/// The longest frame that is waited for, in bytes; what is longer is noise.
const LONGEST: usize = 128 << 10;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole frame.
    Frame(Frame),
    /// Something that began like a frame and was damaged, as it came.
    Damaged(Damage, Vec<u8>),
    /// Bytes that belong to no frame.
    Text(Vec<u8>),
}

/// Takes a stream of bytes apart into frames and text.
#[derive(Debug, Default)]
pub struct Sieve {
    /// What may become a frame: nothing, the beginning of a mark, or a mark and what followed.
    held: Vec<u8>,
}

impl Sieve {
    /// Takes the next bytes and returns what they complete, in order. Text is not kept until its
    /// line ends: it may be a prompt.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.held.extend(bytes);
        loop {
            let start = find(&self.held, MARK.as_bytes());
            let text = start.unwrap_or_else(|| self.held.len() - self.begun());
            if text > 0 {
                heard.push(Heard::Text(self.held.drain(..text).collect()));
            }
            if start.is_none() {
                return heard;
            }
            let Some(length) = self.held.iter().position(|byte| *byte == b'\n') else {
                if self.held.len() > LONGEST {
                    // Without its first byte it is text.
                    heard.push(Heard::Text(self.held.drain(..1).collect()));
                    continue;
                }
                return heard;
            };
            let line: Vec<u8> = self.held.drain(..=length).collect();
            heard.extend(read(&line));
        }
    }

    /// How many bytes at the end of what is held could be the beginning of a mark.
    fn begun(&self) -> usize {
        let longest = (MARK.len() - 1).min(self.held.len());
        let could_be = |length: &usize| {
            let end = &self.held[self.held.len() - length..];
            MARK.as_bytes().starts_with(end)
        };
        (1..=longest).rev().find(could_be).unwrap_or(0)
    }
}

/// Reads a line that begins with a mark. The last mark in it counts: a kernel message may have cut
/// an earlier frame short.
fn read(line: &[u8]) -> Vec<Heard> {
    let mut start = 0;
    while let Some(next) = find(&line[start + 1..], MARK.as_bytes()) {
        start += 1 + next;
    }
    let (cut_short, line) = line.split_at(start);
    let mut heard = Vec::new();
    if !cut_short.is_empty() {
        heard.push(Heard::Damaged(Damage::Text, cut_short.to_vec()));
    }
    heard.push(match Frame::decode(line[MARK.len()..].trim_ascii_end()) {
        Ok(frame) => Heard::Frame(frame),
        Err(damage) => Heard::Damaged(damage, line.to_vec()),
    });
    heard
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    // The first byte is rare, so this looks at little more than that.
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|byte| *byte == first)?;
        if text[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;

    fn frame(sequence: u32) -> Frame {
        Frame {
            kind: Kind::Last,
            from: 1,
            to: 2,
            sequence,
            awaited: 0,
            payload: b"payload ~BRINGUP inside".to_vec(),
        }
    }

    /// Text in one piece, whatever the pieces were in which it came.
    fn joined(heard: Vec<Heard>) -> Vec<Heard> {
        let mut all: Vec<Heard> = Vec::new();
        for next in heard {
            match (all.last_mut(), next) {
                (Some(Heard::Text(before)), Heard::Text(more)) => before.extend(more),
                (_, next) => all.push(next),
            }
        }
        all
    }

    fn text(text: &str) -> Heard {
        Heard::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn frames_are_found_between_kernel_messages_however_the_bytes_arrive() {
        let mut stream = b"[    1.0] usb: ~new device\r\n[    1.1] ".to_vec();
        stream.extend(frame(0).encode());
        // A terminal driver may have made two of one.
        stream.extend(frame(1).encode().strip_suffix(b"\n").unwrap());
        stream.extend(b"\r\n[ 2.0] bye~BRIN\n");
        let expected = [
            text("[    1.0] usb: ~new device\r\n[    1.1] "),
            Heard::Frame(frame(0)),
            Heard::Frame(frame(1)),
            text("[ 2.0] bye~BRIN\n"),
        ];
        for step in [1, 2, 3, 7, 64, stream.len()] {
            let mut sieve = Sieve::default();
            let heard = stream.chunks(step).flat_map(|bytes| sieve.push(bytes));
            assert_eq!(joined(heard.collect()), expected, "in steps of {step}");
        }
    }

    #[test]
    fn a_prompt_is_not_kept_until_its_line_ends() {
        assert_eq!(Sieve::default().push(b"login: "), [text("login: ")]);
    }

    #[test]
    fn a_frame_that_was_cut_short_is_damaged_and_the_next_in_its_line_is_read() {
        let line = frame(0).encode();
        let mut stream = line[..20].to_vec();
        stream.extend(b"[ 3.0] oops ");
        stream.extend(&line);
        let mut damaged = line[..20].to_vec();
        damaged.extend(b"[ 3.0] oops ");
        let expected = [
            Heard::Damaged(Damage::Text, damaged),
            Heard::Frame(frame(0)),
        ];
        assert_eq!(Sieve::default().push(&stream), expected);
    }

    #[test]
    fn an_endless_line_does_not_exhaust_memory_and_the_next_frame_is_read() {
        let mut sieve = Sieve::default();
        sieve.push(MARK.as_bytes());
        let noise = [b'x'; 4096];
        for _ in 0..(2 * LONGEST / noise.len()) {
            sieve.push(&noise);
            assert!(sieve.held.len() <= LONGEST + noise.len());
        }
        sieve.push(b"\n");
        let heard = sieve.push(&frame(0).encode());
        assert_eq!(heard.last(), Some(&Heard::Frame(frame(0))));
    }
}
