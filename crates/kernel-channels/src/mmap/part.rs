// SPDX-License-Identifier: MIT OR Apache-2.0

//! A mapping that is taken apart, so that each part can be somebody else's.

use std::sync::Arc;

use super::Mapping;
use crate::Error;

/// A part of a mapping, or all of it, that nobody else has.
///
/// Parts come from splitting a mapping and nothing else, so no two of them overlap, and each can be
/// written by another thread. The memory stays mapped as long as there is one of them.
///
/// ```
/// use kernel_channels::mmap::Part;
/// use kernel_channels::mmap::memfd::MemFd;
///
/// let whole = Part::from(MemFd::new(4096)?.map(0, 4096)?);
/// let (mut one, mut other) = whole.split_at(1000).map_err(|_| "too short")?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| one.fill(0, 1000, 1));
///     scope.spawn(|| other.write(0, b"the rest"));
/// });
/// assert_eq!(other.copy_to_vec(0, 8)?, b"the rest");
/// let whole = one.join(other).map_err(|_| "no neighbours")?;
/// assert_eq!(whole.len(), 4096);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// The bytes from `start` on, `length` many, lie within the mapping, and in no other part. Nobody has
/// the mapping but its parts.
#[derive(Debug)]
pub struct Part {
    mapping: Arc<Mapping>,
    start: usize,
    length: usize,
}

impl From<Mapping> for Part {
    fn from(mapping: Mapping) -> Self {
        Self {
            start: 0,
            length: mapping.len(),
            mapping: Arc::new(mapping),
        }
    }
}

impl Part {
    /// Where it begins in the mapping, in bytes.
    pub fn start(&self) -> usize {
        self.start
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none, as what [`Self::take`] leaves.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All of it; what is left has no bytes.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            mapping: Arc::clone(&self.mapping),
            start: self.start,
            length: std::mem::take(&mut self.length),
        }
    }

    /// The first `middle` bytes, and the others.
    ///
    /// # Errors
    ///
    /// The part as it is, when one of the two would have no bytes.
    pub fn split_at(self, middle: usize) -> Result<(Self, Self), Self> {
        if middle == 0 || middle >= self.length {
            return Err(self);
        }
        let rest = Self {
            mapping: Arc::clone(&self.mapping),
            start: self.start + middle,
            length: self.length - middle,
        };
        let first = Self {
            length: middle,
            ..self
        };
        Ok((first, rest))
    }

    /// This part and the one behind it in one.
    ///
    /// # Errors
    ///
    /// Both as they are, when `next` does not begin where this one ends, in the same mapping.
    pub fn join(self, next: Self) -> Result<Self, (Self, Self)> {
        let is_next =
            Arc::ptr_eq(&self.mapping, &next.mapping) && self.start + self.length == next.start;
        if !is_next {
            return Err((self, next));
        }
        Ok(Self {
            length: self.length + next.length,
            ..self
        })
    }

    /// Copies from the part.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the part.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let place = self.place(offset, bytes.len())?;
        self.mapping.read(place, bytes)
    }

    /// A copy of `length` bytes of the part.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the part.
    pub fn copy_to_vec(&self, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
        let place = self.place(offset, length)?;
        self.mapping.copy_to_vec(place, length)
    }

    /// Copies into the part.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the part. Nothing is written then.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let place = self.place(offset, bytes.len())?;
        // SAFETY: the bytes are of this part and, by the type invariants, of no other, and
        // `&mut self` keeps out who has this one.
        unsafe { self.mapping.store(place, bytes.len(), |index| bytes[index]) }
    }

    /// Sets each of `length` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the part. Nothing is written then.
    pub fn fill(&mut self, offset: usize, length: usize, byte: u8) -> Result<(), Error> {
        let place = self.place(offset, length)?;
        // SAFETY: as in `write`.
        unsafe { self.mapping.store(place, length, |_| byte) }
    }

    /// Where `offset` is in the mapping, after checking that `length` bytes from there are of this
    /// part.
    fn place(&self, offset: usize, length: usize) -> Result<usize, Error> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(self.start + offset),
            _ => Err(Error::Range {
                offset,
                length,
                mapped: self.length,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmap::memfd::MemFd;

    fn whole(bytes: usize) -> Part {
        let memory = MemFd::new(bytes as u64).unwrap();
        Part::from(memory.map(0, bytes).unwrap())
    }

    #[test]
    fn parts_have_their_own_bytes_only() {
        let (mut first, rest) = whole(4096).split_at(5).unwrap();
        let (mut second, mut third) = rest.split_at(6).unwrap();
        first.fill(0, 5, 1).unwrap();
        second.fill(0, 6, 2).unwrap();
        third.write(0, &[3; 4]).unwrap();
        assert_eq!((third.start(), third.len()), (11, 4085));
        for (part, byte) in [(&first, 1), (&second, 2)] {
            assert_eq!(
                part.copy_to_vec(0, part.len()).unwrap(),
                vec![byte; part.len()]
            );
        }
        let mut bytes = [0; 4];
        third.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [3; 4]);
        let whole = first.join(second).unwrap().join(third).unwrap();
        let all = [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 0];
        assert_eq!(whole.copy_to_vec(0, 16).unwrap(), all);
    }

    #[test]
    fn no_access_leaves_its_part() {
        let (mut first, second) = whole(4096).split_at(100).unwrap();
        assert!(first.write(99, &[0; 2]).is_err());
        assert!(first.fill(0, 101, 0).is_err());
        assert!(first.read(101, &mut []).is_err());
        assert!(second.copy_to_vec(usize::MAX, 1).is_err());
        let error = second.copy_to_vec(0, 3997).unwrap_err();
        let said = "3997 bytes at offset 0 do not lie within a mapping of 3996 bytes";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn what_has_no_bytes_is_not_split_off() {
        let part = whole(4096);
        let part = part.split_at(0).unwrap_err();
        let part = part.split_at(4096).unwrap_err();
        assert_eq!(part.split_at(5000).unwrap_err().len(), 4096);
    }

    #[test]
    fn only_neighbours_of_one_mapping_are_joined() {
        let (first, rest) = whole(4096).split_at(1000).unwrap();
        let (second, third) = rest.split_at(1000).unwrap();
        let (first, third) = first.join(third).unwrap_err();
        let (second, first) = second.join(first).unwrap_err();
        let (other, _) = whole(4096).split_at(1000).unwrap();
        let (_, second) = other.join(second).unwrap_err();
        assert_eq!(first.join(second).unwrap().join(third).unwrap().len(), 4096);
    }

    #[test]
    fn what_was_taken_leaves_nothing() {
        let mut part = whole(4096);
        assert_eq!(part.take().len(), 4096);
        assert!(part.is_empty() && part.write(0, &[1]).is_err());
    }
}
