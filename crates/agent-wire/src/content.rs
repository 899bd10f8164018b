// SPDX-License-Identifier: MIT OR Apache-2.0

//! A part of a file on its way to the board. A serial line takes minutes for a program, so what can
//! be made smaller is: as DEFLATE (RFC 1951), each part for itself, so that a transfer can go on
//! from any of them.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::message::CHUNK;

/// How hard it is tried, of 10. More takes twice as long and saves a hundredth.
const EFFORT: u8 = 6;

/// A part of a file, at most [`CHUNK`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// As it is.
    Plain(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Deflated.
    Deflated(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// What claims to be deflated and is not, or is more than a part.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it cannot be inflated: {0}")]
pub struct Damaged(String);

impl Content {
    /// The shorter form of these bytes.
    pub fn pack(bytes: Vec<u8>) -> Self {
        let deflated = compress_to_vec(&bytes, EFFORT);
        if deflated.len() < bytes.len() {
            Self::Deflated(deflated)
        } else {
            Self::Plain(bytes)
        }
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// When this was not made by [`pack`](Self::pack) from a part of a file.
    pub fn unpack(self) -> Result<Vec<u8>, Damaged> {
        match self {
            Self::Plain(bytes) => Ok(bytes),
            Self::Deflated(bytes) => decompress_to_vec_with_limit(&bytes, CHUNK)
                .map_err(|error| Damaged(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_as_it_went_and_never_gets_longer() {
        let same = vec![7; CHUNK];
        let packed = Content::pack(same.clone());
        assert!(matches!(&packed, Content::Deflated(bytes) if bytes.len() < 100));
        assert_eq!(packed.unpack(), Ok(same));
        // A generator of Knuth's: nothing repeats.
        let next = |n: &u32| Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let numbers = std::iter::successors(Some(1_u32), next);
        let random: Vec<u8> = numbers.map(|n| n.to_be_bytes()[0]).take(CHUNK).collect();
        for plain in [random, vec![1], Vec::new()] {
            assert_eq!(Content::pack(plain.clone()), Content::Plain(plain));
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        let garbage = Content::Deflated(vec![0xff; 9]).unpack().unwrap_err();
        assert!(garbage.to_string().contains("cannot be inflated"));
        let bomb = Content::Deflated(compress_to_vec(&vec![0; CHUNK + 1], EFFORT));
        assert!(bomb.unpack().is_err(), "more than a part");
    }
}
