// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a descriptor of a batch is to do, and what it has come to.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use dmacopy_uapi::ring::{self, Descriptor};

use crate::memory::{Link, Memory};
use crate::{Direction, Error, GRANULE, Operation, Region};

/// What a descriptor is to do, with all that it needs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Work {
    /// Nothing, in its turn.
    Nop,
    /// Copies all of the source to the start of the destination.
    Copy {
        /// What is read.
        source: Region,
        /// What is written, and at least as long.
        destination: Region,
    },
    /// Fills all of the destination.
    Fill {
        /// What is written.
        destination: Region,
        /// What is repeated from the first byte on.
        pattern: [u8; 8],
    },
}

impl Work {
    /// Its regions, the source first.
    pub fn into_regions(self) -> (Option<Region>, Option<Region>) {
        match self {
            Self::Nop => (None, None),
            Self::Copy {
                source,
                destination,
            } => (Some(source), Some(destination)),
            Self::Fill { destination, .. } => (None, Some(destination)),
        }
    }

    /// How many bytes it moves.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Nop => 0,
            Self::Copy { source, .. } => source.len(),
            Self::Fill { destination, .. } => destination.len(),
        }
    }

    /// Whether a session can do it.
    pub(crate) fn check(&self, link: &Arc<Link>, most: u64) -> Result<(), Misfit> {
        let (source, destination) = self.regions();
        for region in [source, destination].into_iter().flatten() {
            if !Arc::ptr_eq(&region.memory().link, link) {
                return Err(Misfit::OtherSession);
            }
        }
        let length = self.bytes();
        // The field of a descriptor has 32 bits.
        let most = most.min(u32::MAX.into());
        if length as u64 > most {
            return Err(Misfit::TooLong { length, most });
        }
        match destination {
            Some(destination) if destination.len() < length => Err(Misfit::ShortDestination {
                source: length,
                destination: destination.len(),
            }),
            _ => Ok(()),
        }
    }

    /// The descriptor, which comes back as `user_data`.
    pub(crate) fn descriptor(&self, user_data: u64) -> Descriptor {
        let nop = Descriptor {
            opcode: ring::NOP,
            user_data,
            ..Descriptor::default()
        };
        let (source, destination) = self.regions();
        let Some(destination) = destination.map(Region::place) else {
            return nop;
        };
        let to = Descriptor {
            destination_buffer: destination.buffer.get(),
            destination: destination.offset,
            // What is longer has been refused.
            length: u32::try_from(self.bytes()).unwrap_or(u32::MAX),
            ..nop
        };
        match (self, source.map(Region::place)) {
            (_, Some(source)) => Descriptor {
                opcode: ring::COPY,
                source_buffer: source.buffer.get(),
                source: source.offset,
                ..to
            },
            (Self::Fill { pattern, .. }, None) => Descriptor {
                opcode: ring::FILL,
                source: u64::from_le_bytes(*pattern),
                ..to
            },
            (_, None) => nop,
        }
    }

    /// What has to be passed to the device.
    pub(crate) fn passes(&self) -> impl Iterator<Item = Pass<'_>> {
        let (source, destination) = self.regions();
        let read = source.map(|region| (region, Direction::ToDevice));
        // What the engine does not overwrite stays.
        let written = destination.map(|region| (region, Direction::Bidirectional));
        [read, written]
            .into_iter()
            .flatten()
            .map(|(region, direction)| Pass {
                memory: region.memory(),
                direction,
                range: region.range(self.bytes()),
            })
    }

    /// Passes what was written to the program.
    pub(crate) fn take_back(&self) -> Result<(), Error> {
        match self.regions().1 {
            Some(written) => written
                .memory()
                .pass_to_program(written.range(self.bytes())),
            None => Ok(()),
        }
    }

    /// How an error calls it.
    pub(crate) fn operation(&self) -> Operation {
        let offset = |region: &Region| region.place().offset;
        match self {
            Self::Nop => Operation::Nop,
            Self::Copy {
                source,
                destination,
            } => Operation::Copy {
                source_offset: offset(source),
                destination_offset: offset(destination),
                length: source.len() as u64,
            },
            Self::Fill { destination, .. } => Operation::Fill {
                offset: offset(destination),
                length: destination.len() as u64,
            },
        }
    }

    fn regions(&self) -> (Option<&Region>, Option<&Region>) {
        match self {
            Self::Nop => (None, None),
            Self::Copy {
                source,
                destination,
            } => (Some(source), Some(destination)),
            Self::Fill { destination, .. } => (None, Some(destination)),
        }
    }
}

/// A part of a buffer that is passed to the device.
pub(crate) struct Pass<'a> {
    memory: &'a Arc<Memory>,
    direction: Direction,
    range: Range<u64>,
}

impl<'a> Pass<'a> {
    /// Does it for all, with one call for what lies side by side.
    pub(crate) fn all(passes: impl Iterator<Item = Pass<'a>>) -> Result<(), Error> {
        for pass in Self::joined(passes) {
            pass.memory.pass_to_device(pass.range, pass.direction)?;
        }
        Ok(())
    }

    fn joined(passes: impl Iterator<Item = Pass<'a>>) -> Vec<Pass<'a>> {
        let mut passes: Vec<_> = passes.collect();
        passes.sort_by_key(|pass| {
            let number = pass.memory.number.get();
            (
                pass.direction == Direction::ToDevice,
                number,
                pass.range.start,
            )
        });
        let mut joined: Vec<Pass<'a>> = Vec::new();
        for pass in passes {
            match joined.last_mut() {
                Some(last) if last.is_followed_by(&pass) => last.range.end = pass.range.end,
                _ => joined.push(pass),
            }
        }
        joined
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        let is_same = Arc::ptr_eq(self.memory, next.memory) && self.direction == next.direction;
        // What is in between is of the same region: see `GRANULE`.
        is_same && self.range.end.next_multiple_of(GRANULE as u64) == next.range.start
    }
}

/// Work that has come to its end, with all that was given to it.
#[derive(Debug)]
#[must_use = "its regions are free again when this is dropped"]
pub struct Done {
    /// What was to be done. The program owns the regions again.
    pub work: Work,
    /// Whether it was done. If not, the engine may have done some of it, and does no more.
    pub result: Result<(), Error>,
}

impl Done {
    /// Work with the error number that its completion told.
    pub(crate) fn new(device: &str, work: Work, errno: Option<i32>) -> Self {
        let result = match errno {
            None => work.take_back(),
            Some(errno) => {
                // Some of it may have been written. What the program finds there is up to the engine
                // anyhow, so it does not matter whether this works.
                let _ = work.take_back();
                Err(Error::Transfer {
                    device: device.to_owned(),
                    operation: work.operation(),
                    source: io::Error::from_raw_os_error(errno),
                })
            }
        };
        Self { work, result }
    }

    /// The work, if it was done; with an error, its regions are free again.
    ///
    /// # Errors
    ///
    /// What kept it from being done.
    pub fn ok(self) -> Result<Work, Error> {
        self.result.map(|()| self.work)
    }
}

/// Why a session cannot do some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misfit {
    /// A region is of another session.
    OtherSession,
    /// The destination has fewer bytes than the source.
    ShortDestination {
        /// How many the source has.
        source: usize,
        /// How many the destination has.
        destination: usize,
    },
    /// The engine does not take so many bytes at once.
    TooLong {
        /// How many there are.
        length: usize,
        /// How many it takes.
        most: u64,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSession => f.write_str("has a region of another session"),
            Self::ShortDestination {
                source,
                destination,
            } => write!(f, "copies {source} bytes to a region of {destination}"),
            Self::TooLong { length, most } => {
                write!(f, "moves {length} bytes, of which the engine takes {most}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel_channels::mmap::Part;
    use kernel_channels::mmap::memfd::MemFd;

    use super::*;
    use crate::memory::Kind;

    const BYTES: usize = 64 << 10;

    fn link() -> Arc<Link> {
        Arc::new(Link::new(crate::device::null_session()))
    }

    fn memory(link: &Arc<Link>) -> Arc<Memory> {
        let mapping = MemFd::new(BYTES as u64).unwrap().map(0, BYTES).unwrap();
        let whole = Part::from(mapping);
        Memory::new(Arc::clone(link), 0.into(), Kind::Coherent, whole)
    }

    fn region(memory: &Arc<Memory>, length: usize) -> Region {
        let part = memory
            .free()
            .take(length.next_multiple_of(GRANULE), GRANULE);
        Region::new(part.unwrap(), length, Arc::clone(memory))
    }

    #[test]
    fn a_descriptor_says_what_the_regions_are() {
        let memory = memory(&link());
        let _before = region(&memory, 1);
        let copy = Work::Copy {
            source: region(&memory, 100),
            destination: region(&memory, 200),
        };
        let expected = Descriptor {
            opcode: ring::COPY,
            length: 100,
            source: 128,
            destination: 256,
            user_data: 7,
            ..Descriptor::default()
        };
        assert_eq!(copy.descriptor(7), expected);
        let fill = Work::Fill {
            destination: copy.into_regions().1.unwrap(),
            pattern: *b"abcdefgh",
        };
        let expected = Descriptor {
            opcode: ring::FILL,
            length: 200,
            source: u64::from_le_bytes(*b"abcdefgh"),
            ..expected
        };
        assert_eq!(fill.descriptor(7), expected);
        assert!(ring::is_nop(&Work::Nop.descriptor(u64::MAX)));
    }

    #[test]
    fn work_that_a_session_cannot_do_is_told_why() {
        let (one, other) = (link(), link());
        let (memory, foreign) = (memory(&one), memory(&other));
        let copy = |source, destination| Work::Copy {
            source,
            destination,
        };
        let good = copy(region(&memory, 100), region(&memory, 100));
        assert_eq!(good.check(&one, 100), Ok(()));
        let too_long = Misfit::TooLong {
            length: 100,
            most: 99,
        };
        assert_eq!(good.check(&one, 99), Err(too_long));
        assert_eq!(good.check(&other, 100), Err(Misfit::OtherSession));
        let short = copy(region(&memory, 100), region(&memory, 99));
        let expected = Misfit::ShortDestination {
            source: 100,
            destination: 99,
        };
        assert_eq!(short.check(&one, 100), Err(expected));
        assert_eq!(expected.to_string(), "copies 100 bytes to a region of 99");
        for (source, destination) in [(&memory, &foreign), (&foreign, &memory)] {
            let mixed = copy(region(source, 1), region(destination, 1));
            assert_eq!(mixed.check(&one, 100), Err(Misfit::OtherSession));
        }
        assert_eq!(Work::Nop.check(&one, 0), Ok(()));
    }

    #[test]
    fn what_lies_side_by_side_is_passed_at_once_and_nothing_else_is() {
        let memory = memory(&link());
        let mut regions: Vec<_> = (0..6).map(|_| region(&memory, 100)).collect();
        // The one in between stays the program's.
        drop(regions.remove(3));
        let mut regions = regions.into_iter();
        let mut fill = || Work::Fill {
            destination: regions.next().unwrap(),
            pattern: [0; 8],
        };
        let mut works: Vec<_> = (0..5).map(|_| fill()).collect();
        works.reverse();
        works.push(Work::Copy {
            source: region(&memory, 100),
            destination: region(&memory, 300),
        });
        let joined = Pass::joined(works.iter().flat_map(Work::passes));
        let found: Vec<_> = joined
            .into_iter()
            .map(|pass| (pass.direction, pass.range))
            .collect();
        let both = Direction::Bidirectional;
        let expected = [
            (both, 0..356),
            (both, 512..868),
            (Direction::ToDevice, 384..484),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn regions_keep_to_their_own_bytes_and_are_free_again_when_dropped() {
        let memory = memory(&link());
        let mut one = region(&memory, 100);
        let two = region(&memory, 100);
        one.fill(0, 100, 0xff).unwrap();
        // There is room behind it, which is nobody's.
        assert!(one.fill(1, 100, 0xff).is_err());
        assert!(one.read(99, &mut [0; 2]).is_err());
        assert_eq!(two.to_vec().unwrap(), [0; 100]);
        let said = "Region { device: \"null\", buffer: 0, offset: 128, length: 100 }";
        assert_eq!(format!("{two:?}"), said);
        drop((one, two));
        assert_eq!(memory.free().largest(), BYTES);
    }

    #[test]
    fn regions_are_split_between_granules() {
        let memory = memory(&link());
        let region = region(&memory, 1000);
        let region = region.split_at(100).unwrap_err();
        let region = region.split_at(1024).unwrap_err();
        let region = region.split_at(0).unwrap_err();
        let (first, mut rest) = region.split_at(128).unwrap();
        assert_eq!((first.len(), rest.len()), (128, 872));
        assert_eq!(rest.place().offset, 128);
        rest.write(0, b"rest").unwrap();
        assert_eq!(first.to_vec().unwrap(), [0; 128]);
        drop((first, rest));
        assert_eq!(memory.free().largest(), BYTES);
    }

    #[test]
    fn coherent_memory_is_not_looked_for_once_its_device_is_known_to_have_gone() {
        let memory = memory(&link());
        let mut region = region(&memory, 100);
        memory.link.set_gone();
        let gone = Some(crate::memory::GONE);
        assert_eq!(region.to_vec().unwrap_err().raw_os_error(), gone);
        assert_eq!(region.write(0, &[1]).unwrap_err().raw_os_error(), gone);
    }
}
