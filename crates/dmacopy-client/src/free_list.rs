// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which parts of a buffer nobody has.

use std::collections::BTreeMap;

use kernel_channels::mmap::Part;

/// The parts that can be had. None of them touches another.
#[derive(Debug)]
pub(crate) struct FreeList {
    /// By where they begin.
    parts: BTreeMap<usize, Part>,
}

impl FreeList {
    /// All of a buffer.
    pub(crate) fn new(whole: Part) -> Self {
        let mut list = Self {
            parts: BTreeMap::new(),
        };
        list.give(whole);
        list
    }

    /// Takes `length` bytes, which is not zero, where a multiple of `alignment` is: as near to the
    /// start as there is room.
    pub(crate) fn take(&mut self, length: usize, alignment: usize) -> Option<Part> {
        let (start, before) = self.parts.iter().find_map(|(start, part)| {
            let before = start.checked_next_multiple_of(alignment)? - start;
            let end = before.checked_add(length)?;
            (end <= part.len()).then_some((*start, before))
        })?;
        let mut part = self.parts.remove(&start)?;
        // Refused where there is nothing to split off.
        match part.split_at(before) {
            Ok((first, rest)) => {
                self.parts.insert(first.start(), first);
                part = rest;
            }
            Err(whole) => part = whole,
        }
        match part.split_at(length) {
            Ok((first, rest)) => {
                self.parts.insert(rest.start(), rest);
                Some(first)
            }
            Err(whole) => Some(whole),
        }
    }

    /// Takes a part back, and makes it one with what is free beside it.
    pub(crate) fn give(&mut self, mut part: Part) {
        if part.is_empty() {
            return;
        }
        let before = self.parts.range(..part.start()).next_back();
        if let Some(before) = before.map(|(start, _)| *start) {
            if let Some(first) = self.parts.remove(&before) {
                match first.join(part) {
                    Ok(joined) => part = joined,
                    Err((first, alone)) => {
                        self.parts.insert(before, first);
                        part = alone;
                    }
                }
            }
        }
        if let Some(next) = self.parts.remove(&(part.start() + part.len())) {
            match part.join(next) {
                Ok(joined) => part = joined,
                Err((alone, next)) => {
                    self.parts.insert(next.start(), next);
                    part = alone;
                }
            }
        }
        self.parts.insert(part.start(), part);
    }

    /// How many bytes are free.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.values().map(Part::len).sum()
    }

    /// The most that can be had in one piece.
    pub(crate) fn largest(&self) -> usize {
        self.parts.values().map(Part::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use kernel_channels::mmap::memfd::MemFd;
    use proptest::prelude::*;

    use super::*;

    const BYTES: usize = 8192;

    fn list() -> FreeList {
        let memory = MemFd::new(BYTES as u64).unwrap();
        FreeList::new(Part::from(memory.map(0, BYTES).unwrap()))
    }

    #[test]
    fn parts_are_taken_from_the_start_and_where_they_fit() {
        let mut list = list();
        let places: Vec<_> = [(100, 1), (100, 64), (28, 4), (28, 1), (4096, 4096)]
            .into_iter()
            .map(|(length, alignment)| list.take(length, alignment).unwrap())
            .map(|part| (part.start(), part.len()))
            .collect();
        let expected = [(0, 100), (128, 100), (100, 28), (228, 28), (4096, 4096)];
        assert_eq!(places, expected);
        assert!(list.take(1, 8192).is_none());
        assert!(list.take(3841, 1).is_none());
        assert_eq!((list.bytes(), list.largest()), (3840, 3840));
    }

    #[test]
    fn what_nobody_can_have_is_not_found() {
        let mut list = list();
        assert!(list.take(BYTES + 1, 1).is_none());
        assert!(list.take(usize::MAX, 1 << 63).is_none());
        assert!(list.take(BYTES, 1).is_some());
        assert!(list.take(1, 1).is_none());
        assert_eq!(list.largest(), 0);
    }

    /// What is done to the list.
    #[derive(Clone, Debug)]
    enum Step {
        Take { length: usize, alignment: usize },
        Give { index: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_usize..2000, 0_u32..10).prop_map(|(length, shift)| Step::Take {
                length,
                alignment: 1 << shift,
            }),
            any::<usize>().prop_map(|index| Step::Give { index }),
        ]
    }

    proptest! {
        #[test]
        fn no_byte_has_two_owners_and_none_is_lost(
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let mut list = list();
            let mut taken: Vec<Part> = Vec::new();
            for step in steps {
                match step {
                    Step::Take { length, alignment } => match list.take(length, alignment) {
                        Some(part) => {
                            prop_assert_eq!(part.len(), length);
                            prop_assert_eq!(part.start() % alignment, 0);
                            taken.push(part);
                        }
                        // Only for want of room: with all alignments, that much is wasted at most.
                        None => prop_assert!(list.largest() < length + alignment - 1),
                    },
                    Step::Give { index } if !taken.is_empty() => {
                        let index = index % taken.len();
                        list.give(taken.swap_remove(index));
                    }
                    Step::Give { .. } => {}
                }
                let mut all: Vec<_> = Iterator::chain(taken.iter(), list.parts.values())
                    .map(|part| (part.start(), part.len()))
                    .collect();
                all.sort_unstable();
                let end = all.iter().try_fold(0, |end, (start, length)| {
                    (*start == end).then_some(start + length)
                });
                prop_assert_eq!(end, Some(BYTES));
            }
            for part in taken {
                list.give(part);
            }
            // In one piece again.
            prop_assert_eq!((list.parts.len(), list.largest()), (1, BYTES));
        }

        #[test]
        fn each_owner_finds_the_bytes_that_it_wrote(
            lengths in proptest::collection::vec(1_usize..500, 1..40),
        ) {
            let mut list = list();
            let mut taken = Vec::new();
            for (byte, length) in (1..).zip(lengths) {
                if let Some(mut part) = list.take(length, 1) {
                    part.fill(0, length, byte).unwrap();
                    taken.push((byte, part));
                }
            }
            for (byte, part) in taken {
                let content = part.copy_to_vec(0, part.len()).unwrap();
                prop_assert!(content.iter().all(|found| *found == byte));
            }
        }
    }
}
