// SPDX-License-Identifier: MIT OR Apache-2.0

//! A wire that does something to what it carries, the same each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes some wires have harmed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Harmed(Arc<AtomicU64>);

impl Harmed {
    /// So many by now.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What harms bytes on their way: each with one chance in so many.
#[derive(Clone, Debug)]
pub(super) struct Harm {
    pub(super) chance: u32,
    pub(super) harmed: Harmed,
}

/// One direction of a wire.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    /// A good wire has none.
    harm: Option<Harm>,
    numbers: fastrand::Rng,
}

impl Wire {
    /// One whose harm is another for each seed.
    pub(super) fn new(harm: Option<Harm>, seed: u64) -> Self {
        Self {
            harm: harm.filter(|harm| harm.chance > 0),
            numbers: fastrand::Rng::with_seed(seed),
        }
    }

    /// What arrives of these bytes: some are lost, some doubled, of some a bit is another.
    pub(super) fn carry(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(Harm { chance, harmed }) = &self.harm else {
            return bytes.to_vec();
        };
        let mut arrived = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.numbers.u32(..*chance) != 0 {
                arrived.push(byte);
                continue;
            }
            harmed.0.fetch_add(1, Ordering::Relaxed);
            match self.numbers.u8(..3) {
                0 => {}
                1 => arrived.extend([byte, byte]),
                _ => arrived.push(byte ^ (1 << self.numbers.u8(..8))),
            }
        }
        arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_wire_carries_everything_and_a_bad_one_nearly() {
        let sent = vec![0x55; 100_000];
        assert_eq!(Wire::new(None, 1).carry(&sent), sent);
        let harmed = Harmed::default();
        let harm = Harm {
            chance: 100,
            harmed: harmed.clone(),
        };
        let arrived = Wire::new(Some(harm.clone()), 1).carry(&sent);
        assert!((700..1300).contains(&harmed.bytes()), "{harmed:?}");
        let garbled = arrived.iter().filter(|byte| **byte != 0x55).count();
        // About a third of a hundredth each.
        assert!((200..500).contains(&garbled), "{garbled}");
        assert!(
            arrived.len().abs_diff(sent.len()) < 200,
            "{}",
            arrived.len()
        );
        assert_eq!(Wire::new(Some(harm), 1).carry(&sent), arrived);
    }
}
