// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the two sides of a bench's socket say before anything else. Programs of any build understand
//! it, so this must never change:
//!
//! The server says [`MAGIC`], its dialect and the number of its process: eight, eight and four bytes,
//! numbers with the lowest byte first. The user says what he wants in eight bytes: the dialect,
//! when they go on to talk, or [`END`] or [`END_IF_FREE`], which the server answers with one byte: 1 if
//! it ends, 0 if the board is held.

use std::io::{self, Read, Write};

use agent_wire::message::PROTOCOL;

/// How a server begins.
const MAGIC: [u8; 8] = *b"bringup\n";

/// End, whoever holds the board.
const END: u64 = u64::MAX;

/// End if nobody holds the board.
const END_IF_FREE: u64 = u64::MAX - 1;

/// What this build means by its messages: another one as soon as their definitions are others.
pub(crate) const DIALECT: u64 = {
    let hash = hash(FNV_OFFSET, include_bytes!("protocol.rs"));
    let hash = self::hash(hash, include_bytes!("hold.rs"));
    let hash = self::hash(hash, include_bytes!("../boots.rs"));
    let hash = self::hash(hash, include_bytes!("../stimulus.rs"));
    // Not one of the other wishes.
    self::hash(hash, &PROTOCOL.to_le_bytes()) >> 1
};

/// FNV-1a (`draft-eastlake-fnv`), offset and prime for 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

const fn hash(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(FNV_PRIME);
        index += 1;
    }
    hash
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// What it means by its messages.
    pub(crate) dialect: u64,
    /// Its process.
    pub(crate) pid: u32,
}

impl Greeting {
    /// This process's.
    pub(super) fn own() -> Self {
        Self {
            dialect: DIALECT,
            pid: std::process::id(),
        }
    }

    pub(super) fn send(self, mut to: impl Write) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.dialect.to_le_bytes());
        bytes.extend(self.pid.to_le_bytes());
        to.write_all(&bytes)?;
        to.flush()
    }

    /// What a server says of itself.
    pub(crate) fn receive(mut from: impl Read) -> io::Result<Self> {
        let (mut magic, mut dialect, mut pid) = ([0; 8], [0; 8], [0; 4]);
        for part in [&mut magic[..], &mut dialect, &mut pid] {
            from.read_exact(part)?;
        }
        if magic != MAGIC {
            let what = "who serves there is no bench of this kit, or one of an older version";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(Self {
            dialect: u64::from_le_bytes(dialect),
            pid: u32::from_le_bytes(pid),
        })
    }
}

/// What a user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To talk in a dialect.
    Talk(u64),
    /// That the server ends.
    End,
    /// That it ends unless somebody holds the board.
    EndIfFree,
}

impl Wish {
    pub(crate) fn send(self, mut to: impl Write) -> io::Result<()> {
        let word = match self {
            Self::Talk(dialect) => dialect,
            Self::End => END,
            Self::EndIfFree => END_IF_FREE,
        };
        to.write_all(&word.to_le_bytes())?;
        to.flush()
    }

    pub(super) fn receive(mut from: impl Read) -> io::Result<Self> {
        let mut word = [0; 8];
        from.read_exact(&mut word)?;
        Ok(match u64::from_le_bytes(word) {
            END => Self::End,
            END_IF_FREE => Self::EndIfFree,
            dialect => Self::Talk(dialect),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_same_for_ever() {
        let mut said = Vec::new();
        let greeting = Greeting {
            dialect: 0x0102_0304_0506_0708,
            pid: 77,
        };
        greeting.send(&mut said).unwrap();
        assert_eq!(said, b"bringup\n\x08\x07\x06\x05\x04\x03\x02\x01\x4d\0\0\0");
        assert_eq!(Greeting::receive(said.as_slice()).unwrap(), greeting);
        for (wish, word) in [
            (Wish::Talk(1), *b"\x01\0\0\0\0\0\0\0"),
            (Wish::EndIfFree, *b"\xfe\xff\xff\xff\xff\xff\xff\xff"),
            (Wish::End, [0xff; 8]),
        ] {
            let mut said = Vec::new();
            wish.send(&mut said).unwrap();
            assert_eq!(said, word);
            assert_eq!(Wish::receive(said.as_slice()).unwrap(), wish);
        }
        // As far as is known of FNV-1a.
        assert_eq!(hash(FNV_OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn what_is_no_bench_is_refused() {
        let error = Greeting::receive(b"SSH-2.0-OpenSSH_10.0\r\n".as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(Greeting::receive(b"bringup\n".as_slice()).is_err());
    }
}
