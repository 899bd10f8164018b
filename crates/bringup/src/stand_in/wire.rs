// SPDX-License-Identifier: MIT OR Apache-2.0

//! A wire that does something to what it carries, the same each time.

/// One direction of a wire.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    /// A byte is harmed with one chance in so many; never, where there is none.
    chance: Option<u32>,
    numbers: fastrand::Rng,
}

impl Wire {
    /// One whose harm is another for each seed.
    pub(super) fn new(chance: Option<u32>, seed: u64) -> Self {
        Self {
            chance: chance.filter(|chance| *chance > 0),
            numbers: fastrand::Rng::with_seed(seed),
        }
    }

    /// What arrives of these bytes: some are lost, some doubled, of some a bit is another.
    pub(super) fn carry(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(chance) = self.chance else {
            return bytes.to_vec();
        };
        let mut arrived = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.numbers.u32(..chance) != 0 {
                arrived.push(byte);
                continue;
            }
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
        let arrived = Wire::new(Some(100), 1).carry(&sent);
        let garbled = arrived.iter().filter(|byte| **byte != 0x55).count();
        // About a third of a hundredth each.
        assert!((200..500).contains(&garbled), "{garbled}");
        assert!(
            arrived.len().abs_diff(sent.len()) < 200,
            "{}",
            arrived.len()
        );
        assert_eq!(Wire::new(Some(100), 1).carry(&sent), arrived);
    }
}
