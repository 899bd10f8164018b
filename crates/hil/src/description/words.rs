// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reads a command: a list of words. Whoever writes it as a shell has it is told how it is meant.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};

/// For serde's `deserialize_with`.
pub(crate) fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_seq(Words)
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a command as a list of words, such as [\"uhubctl\", \"--action\", \"on\"]: no shell \
             takes it apart",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = sequence.next_element()? {
            words.push(word);
        }
        Ok(words)
    }
}
