// SPDX-License-Identifier: MIT OR Apache-2.0

//! Bytes that are not there by chance.

/// Pseudo-random bytes (xorshift64), the same for the same seed, which must not be zero.
pub(crate) fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(step).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_make_different_bytes_and_a_seed_the_same() {
        assert_eq!(pattern(1, 64), pattern(1, 64));
        assert_ne!(pattern(1, 64), pattern(2, 64));
        assert_eq!(pattern(1, 0).len(), 0);
    }

    #[test]
    fn a_pattern_does_not_repeat_within_a_page() {
        let bytes = pattern(1, 4096);
        let distinct: std::collections::BTreeSet<_> = bytes.chunks(8).collect();
        assert_eq!(distinct.len(), 512);
    }
}
