// SPDX-License-Identifier: MIT OR Apache-2.0

//! The memory that the function can reach: windows that the emulator opens to the guest's RAM.
//!
//! The guest accesses the same memory at any time, so no reference is ever formed to it: bytes
//! are copied out before they are looked at, by `vm-memory`, which needs no unsafe code here.

use std::fs::File;
use std::ops::Range;
use std::sync::atomic::Ordering;

use vm_memory::mmap::MmapRegionError;
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

/// An access that the memory did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes at {address:#x} are no memory that the function can reach")]
pub struct Refused {
    /// The first address.
    pub address: u64,
    /// How many bytes.
    pub length: u64,
}

/// A window that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is longer than this PC's addresses, or ends behind the last address.
    #[error("a window of {length} bytes at {address:#x} has no room")]
    Size {
        /// Where it would begin.
        address: u64,
        /// How long it would be.
        length: u64,
    },
    /// It overlaps one that is open.
    #[error("a window of {length} bytes at {address:#x} overlaps another")]
    Overlap {
        /// Where it would begin.
        address: u64,
        /// How long it would be.
        length: u64,
    },
    /// The file ends before the window does: an access there would end this process.
    #[error("the file of the window at {address:#x} ends before its {length} bytes")]
    Short {
        /// Where it would begin.
        address: u64,
        /// How long it would be.
        length: u64,
    },
    /// The memory could not be mapped.
    #[error("cannot map {length} bytes of the guest's memory at {address:#x}")]
    Map {
        /// Where the window would begin.
        address: u64,
        /// How long it would be.
        length: u64,
        /// Why not.
        source: MmapRegionError,
    },
}

/// A part of the guest's memory.
#[derive(Debug)]
struct Window {
    addresses: Range<u64>,
    is_writable: bool,
    region: MmapRegion,
}

/// All memory that the function can reach now.
#[derive(Debug, Default)]
pub struct Memory {
    windows: Vec<Window>,
    is_master: bool,
    refused: Vec<Range<u64>>,
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl Memory {
    /// Opens a window: from `address` on, the function sees `length` bytes of `file` from `offset` on.
    ///
    /// # Errors
    ///
    /// When the window is no range of addresses, overlaps another, or cannot be mapped.
    pub fn map(
        &mut self,
        address: u64,
        length: u64,
        file: File,
        offset: u64,
        is_writable: bool,
    ) -> Result<(), Error> {
        let end = address.checked_add(length);
        let (Some(end), Ok(size)) = (end, usize::try_from(length)) else {
            return Err(Error::Size { address, length });
        };
        let addresses = address..end;
        let mut windows = self.windows.iter();
        if windows.any(|window| overlap(&window.addresses, &addresses)) {
            return Err(Error::Overlap { address, length });
        }
        let held = file.metadata().map_or(0, |metadata| metadata.len());
        if offset.checked_add(length).is_none_or(|end| end > held) {
            return Err(Error::Short { address, length });
        }
        let region = MmapRegion::from_file(FileOffset::new(file, offset), size);
        let region = region.map_err(|source| Error::Map {
            address,
            length,
            source,
        })?;
        self.windows.push(Window {
            addresses,
            is_writable,
            region,
        });
        Ok(())
    }

    /// Closes the windows within a range.
    pub fn unmap(&mut self, address: u64, length: u64) {
        let end = address.saturating_add(length);
        let is_inside = |range: &Range<u64>| address <= range.start && range.end <= end;
        self.windows.retain(|window| !is_inside(&window.addresses));
    }

    /// Closes all windows.
    pub fn unmap_all(&mut self) {
        self.windows.clear();
    }

    /// Whether the function may access memory at all: Bus Master of the PCI command register.
    pub fn set_master(&mut self, is_master: bool) {
        self.is_master = is_master;
    }

    /// Whether the function may access memory at all.
    pub fn is_master(&self) -> bool {
        self.is_master
    }

    /// Refuses a range although it is memory.
    pub fn refuse(&mut self, address: u64, length: u64) {
        self.refused.push(address..address.saturating_add(length));
    }

    /// Refuses only what is no memory.
    pub fn refuse_nothing(&mut self) {
        self.refused.clear();
    }

    /// The ranges that are refused although they are memory.
    pub fn refused(&self) -> &[Range<u64>] {
        &self.refused
    }

    /// Whether a range can be read.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn check_read(&self, address: u64, length: u64) -> Result<(), Refused> {
        self.slice(address, length, Access::Read).map(drop)
    }

    /// Whether a range can be written.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn check_write(&self, address: u64, length: u64) -> Result<(), Refused> {
        self.slice(address, length, Access::Write).map(drop)
    }

    /// Reads.
    ///
    /// # Errors
    ///
    /// When the range is not wholly memory that can be read.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Refused> {
        let length = bytes.len() as u64;
        let slice = self.slice(address, length, Access::Read)?;
        let refused = |_| Refused { address, length };
        slice.read_slice(bytes, 0).map_err(refused)
    }

    /// Writes.
    ///
    /// # Errors
    ///
    /// When the range is not wholly memory that can be written.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Refused> {
        let length = bytes.len() as u64;
        let slice = self.slice(address, length, Access::Write)?;
        let refused = |_| Refused { address, length };
        slice.write_slice(bytes, 0).map_err(refused)
    }

    /// Writes eight aligned bytes at once, behind all that was written before.
    ///
    /// # Errors
    ///
    /// When they are no memory that can be written, or not aligned.
    pub fn publish(&self, address: u64, value: u64) -> Result<(), Refused> {
        let length = 8;
        let slice = self.slice(address, length, Access::Write)?;
        let refused = |_| Refused { address, length };
        slice.store(value, 0, Ordering::Release).map_err(refused)
    }

    /// Copies from one range to another.
    ///
    /// # Errors
    ///
    /// When one of the ranges is not wholly memory that can be read, or written.
    pub fn copy(&self, source: u64, destination: u64, length: u64) -> Result<(), Refused> {
        let from = self.slice(source, length, Access::Read)?;
        let to = self.slice(destination, length, Access::Write)?;
        from.copy_to_volatile_slice(to);
        Ok(())
    }

    /// A range of one window.
    fn slice(
        &self,
        address: u64,
        length: u64,
        access: Access,
    ) -> Result<VolatileSlice<'_>, Refused> {
        let refused = Refused { address, length };
        let end = address.checked_add(length).ok_or(refused)?;
        let range = address..end;
        let is_refused = self.refused.iter().any(|other| overlap(other, &range));
        if !self.is_master || is_refused {
            return Err(refused);
        }
        let holds = |window: &&Window| {
            let Range { start, end } = window.addresses;
            start <= range.start && range.end <= end
        };
        let window = self.windows.iter().find(holds).ok_or(refused)?;
        if access == Access::Write && !window.is_writable {
            return Err(refused);
        }
        let place = |value: u64| usize::try_from(value).map_err(|_| refused);
        let (offset, count) = (place(address - window.addresses.start)?, place(length)?);
        let slice = window.region.get_slice(offset, count);
        slice.map_err(|_| refused)
    }
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn file(length: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        file
    }

    fn memory() -> Memory {
        let mut memory = Memory::default();
        memory.set_master(true);
        let file = file(4 * PAGE);
        let rom = file.try_clone().unwrap();
        memory.map(PAGE, 2 * PAGE, file, PAGE, true).unwrap();
        memory.map(8 * PAGE, PAGE, rom, 0, false).unwrap();
        memory
    }

    #[test]
    fn a_range_must_lie_within_one_window() {
        let memory = memory();
        let mut bytes = [0; 16];
        for (address, is_there) in [
            (PAGE - 1, false),
            (PAGE, true),
            (3 * PAGE - 16, true),
            (3 * PAGE - 15, false),
            (3 * PAGE, false),
            (u64::MAX - 3, false),
        ] {
            assert_eq!(
                memory.read(address, &mut bytes).is_ok(),
                is_there,
                "{address:#x}"
            );
            assert_eq!(
                memory.write(address, &bytes).is_ok(),
                is_there,
                "{address:#x}"
            );
        }
    }

    #[test]
    fn a_window_shows_the_file_from_its_offset_on() {
        let mut memory = memory();
        memory.write(PAGE, b"first").unwrap();
        memory.unmap(PAGE, 2 * PAGE);
        let mut bytes = [0; 5];
        let gone = memory.read(PAGE, &mut bytes).unwrap_err();
        assert_eq!(
            gone,
            Refused {
                address: PAGE,
                length: 5
            }
        );
        let file = file(2 * PAGE);
        let other = file.try_clone().unwrap();
        memory.map(PAGE, PAGE, file, PAGE, true).unwrap();
        memory.map(32 * PAGE, 2 * PAGE, other, 0, true).unwrap();
        memory.write(PAGE, b"again").unwrap();
        memory.read(33 * PAGE, &mut bytes).unwrap();
        assert_eq!(&bytes, b"again");
    }

    #[test]
    fn what_is_read_only_refused_or_masterless_is_not_written() {
        let mut memory = memory();
        assert_eq!(memory.check_read(8 * PAGE, 8), Ok(()));
        assert!(memory.check_write(8 * PAGE, 8).is_err());
        assert!(memory.publish(8 * PAGE, 1).is_err());
        memory.refuse(PAGE + 8, 8);
        assert_eq!(memory.check_write(PAGE, 8), Ok(()));
        assert!(memory.check_write(PAGE, 9).is_err());
        assert!(memory.check_read(PAGE + 15, 1).is_err());
        assert!(memory.copy(PAGE + 16, PAGE, 9).is_err());
        memory.refuse_nothing();
        assert_eq!(memory.check_write(PAGE, 9), Ok(()));
        memory.set_master(false);
        assert!(memory.check_read(PAGE, 1).is_err());
    }

    #[test]
    fn windows_neither_overlap_nor_pass_the_end() {
        let mut memory = memory();
        let overlap = memory.map(2 * PAGE, 2 * PAGE, file(2 * PAGE), 0, true);
        assert!(matches!(overlap, Err(Error::Overlap { .. })), "{overlap:?}");
        let size = memory.map(u64::MAX - 1, PAGE, file(2 * PAGE), 0, true);
        assert!(matches!(size, Err(Error::Size { .. })), "{size:?}");
        let longer = memory.map(64 * PAGE, 4 * PAGE, file(2 * PAGE), 0, true);
        assert!(matches!(longer, Err(Error::Short { .. })), "{longer:?}");
    }

    #[test]
    fn only_aligned_words_are_published() {
        let memory = memory();
        memory.publish(PAGE + 8, 0x0102_0304_0506_0708).unwrap();
        let mut bytes = [0; 8];
        memory.read(PAGE + 8, &mut bytes).unwrap();
        assert_eq!(bytes, [8, 7, 6, 5, 4, 3, 2, 1]);
        assert!(memory.publish(PAGE + 4, 1).is_err());
    }
}
