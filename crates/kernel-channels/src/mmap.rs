// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mappings: memory that a program shares with a driver and its device.
//!
//! A driver that supports `mmap(2)` lets a program see a buffer of the driver as its own memory.
//!
//! # When to choose it
//!
//! For bulk data and for rings that are polled: no system call and no copy per access. Commands
//! still need [`crate::ioctl`], and waiting needs [`crate::chardev`]. A buffer of a device that
//! does not look into the processor's caches may be mapped uncached: then it is slow to read.
//!
//! # Contract
//!
//! The kernel, the device and other processes change the memory at any time. So there is never a
//! reference into it: the content is copied in and out by volatile accesses, eight bytes at once
//! where the address allows. Only what was copied out may be checked and relied on. Writing takes
//! the mapping mutably, which keeps the threads of one program from racing for the same bytes.
//! Reading after the device has completed a transfer needs no barrier when the completion was
//! learned by a system call.
//!
//! The memory of a mapped regular file that was truncated meanwhile cannot be accessed: the
//! kernel then ends the program by `SIGBUS`.
//!
//! # Minimum kernel
//!
//! Any.
//!
//! # References
//!
//! `mmap(2)`, `Documentation/core-api/dma-api.rst`
//!
//! # Example
//!
//! ```no_run
//! use kernel_channels::chardev::{Flags, Node};
//! use kernel_channels::mmap::Mapping;
//!
//! let node = Node::open("/dev/fb0", Flags::READ_WRITE)?;
//! let mut pixels = Mapping::map(&node, 0, 4096)?;
//! pixels.write(16, &[0xff; 4])?;
//! assert_eq!(pixels.copy_to_vec(16, 4)?, [0xff; 4]);
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use memmap2::{MmapOptions, MmapRaw};

use crate::{Error, Operation};

/// A shared mapping that can be read and written.
#[derive(Debug)]
pub struct Mapping {
    memory: MmapRaw,
}

impl Mapping {
    /// Maps `length` bytes of a file or device from `offset` on; both in bytes, and the offset a
    /// multiple of the page size.
    ///
    /// # Errors
    ///
    /// [`Error::Descriptor`] with what `mmap(2)` returned; `EINVAL` for a length of zero.
    pub fn map(fd: impl AsFd, offset: u64, length: usize) -> Result<Self, Error> {
        let descriptor = fd.as_fd().as_raw_fd();
        let options = options(descriptor, offset, length)?;
        let memory = options
            .map_raw(descriptor)
            .map_err(|e| refused(descriptor, e))?;
        Ok(Self { memory })
    }

    /// How many bytes are mapped, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Copies from the mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let start = self.start(offset, bytes.len())?.cast_const();
        let body = body(start.addr(), bytes.len());
        let mut index = 0;
        while index < bytes.len() {
            let from = start.wrapping_add(index);
            if body.contains(&index) {
                // SAFETY: `start` checked that the range is mapped, where it stays until `self` is
                // dropped, and `body` that this word lies within the range and is aligned. Any
                // eight bytes are a `u64`. No reference to the memory exists, and who else changes
                // it does so outside of this program.
                let word = unsafe { from.cast::<u64>().read_volatile() };
                bytes[index..index + WORD].copy_from_slice(&word.to_ne_bytes());
                index += WORD;
            } else {
                // SAFETY: as above, and a byte is always aligned.
                bytes[index] = unsafe { from.read_volatile() };
                index += 1;
            }
        }
        Ok(())
    }

    /// Copies into the mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping. Nothing is written then.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.store(offset, bytes.len(), |index| bytes[index])
    }

    /// Sets each of `length` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping. Nothing is written then.
    pub fn fill(&mut self, offset: usize, length: usize, byte: u8) -> Result<(), Error> {
        self.store(offset, length, |_| byte)
    }

    /// A copy of `length` bytes of the mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping.
    pub fn copy_to_vec(&self, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
        // Before memory is taken for what cannot be there.
        self.start(offset, length)?;
        let mut bytes = vec![0; length];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes `length` bytes, each as `byte_at` says for its index.
    fn store(
        &mut self,
        offset: usize,
        length: usize,
        byte_at: impl Fn(usize) -> u8,
    ) -> Result<(), Error> {
        let start = self.start(offset, length)?;
        let body = body(start.addr(), length);
        let mut index = 0;
        while index < length {
            let to = start.wrapping_add(index);
            if body.contains(&index) {
                let word = std::array::from_fn::<u8, WORD, _>(|place| byte_at(index + place));
                let word = u64::from_ne_bytes(word);
                // SAFETY: as in `read`; and `&mut self` keeps other threads from this mapping.
                unsafe { to.cast::<u64>().write_volatile(word) };
                index += WORD;
            } else {
                // SAFETY: as above, and a byte is always aligned.
                unsafe { to.write_volatile(byte_at(index)) };
                index += 1;
            }
        }
        Ok(())
    }

    /// The address of `offset`, after checking that `length` bytes from there are mapped.
    fn start(&self, offset: usize, length: usize) -> Result<*mut u8, Error> {
        match offset.checked_add(length) {
            Some(end) if end <= self.len() => Ok(self.memory.as_mut_ptr().wrapping_add(offset)),
            _ => Err(Error::Range {
                offset,
                length,
                mapped: self.len(),
            }),
        }
    }
}

/// The unit of volatile accesses, in bytes.
const WORD: usize = size_of::<u64>();

/// The part of a range that consists of whole, aligned words, counted from the range's start.
fn body(address: usize, length: usize) -> Range<usize> {
    let start = (address.next_multiple_of(WORD) - address).min(length);
    let words = (length - start) / WORD;
    start..start + words * WORD
}

/// A kind of mapping that a driver of a shared buffer has reason to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusable {
    /// One whose pages are copied when written. `MAP_PRIVATE`
    Private,
    /// One that can be executed. `PROT_EXEC`
    Executable,
}

/// Asks the kernel for a mapping that it should refuse, and gives it back at once.
///
/// # Errors
///
/// [`Error::Descriptor`] with what `mmap(2)` returned.
pub fn probe(fd: impl AsFd, kind: Refusable, offset: u64, length: usize) -> Result<(), Error> {
    let descriptor = fd.as_fd().as_raw_fd();
    let options = options(descriptor, offset, length)?;
    match kind {
        // SAFETY: the mapping is dropped without any access to its memory.
        Refusable::Private => unsafe { options.map_copy(descriptor) }.map(drop),
        // SAFETY: the mapping is dropped without any access to its memory.
        Refusable::Executable => unsafe { options.map_exec(descriptor) }.map(drop),
    }
    .map_err(|e| refused(descriptor, e))
}

/// `memmap2` takes a length of zero for one byte, where the kernel has `EINVAL`.
fn options(descriptor: i32, offset: u64, length: usize) -> Result<MmapOptions, Error> {
    if length == 0 {
        let invalid = io::Error::from_raw_os_error(libc::EINVAL);
        return Err(refused(descriptor, invalid));
    }
    let mut options = MmapOptions::new();
    options.offset(offset).len(length);
    Ok(options)
}

fn refused(descriptor: i32, source: io::Error) -> Error {
    Error::Descriptor {
        operation: Operation::Map,
        descriptor,
        source,
    }
}
