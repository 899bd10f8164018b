// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mappings: memory that a program shares with a driver and its device.
//!
//! A driver that supports `mmap(2)` lets a program see a buffer of the driver as its own memory.
//!
//! Memory that several drivers and programs share has a file descriptor of its own: see
//! [`dma_buf`], and [`memfd`] for memory that no driver has made. A mapping can be taken apart into
//! [`Part`]s, each of which belongs to somebody else.
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
//! reference into it: the content is copied in and out by atomic accesses, a word at once where the
//! address allows. Only what was copied out may be checked and relied on: an access is whole for
//! each byte, not for several of them.
//! Reading after the device has completed a transfer needs no barrier when the completion was
//! learned by a system call.
//!
//! Memory that has gone meanwhile cannot be accessed: the kernel then ends the program by `SIGBUS`.
//! So it is with a regular file that was truncated, and with a driver that takes its buffer back. A
//! program that would rather say why it ends has zeroes put there, by [`gone::replace_by_zeroes`].
//!
//! # Safety
//!
//! A mapping owns its addresses from `mmap(2)` to `munmap(2)`, and every access is checked to lie
//! within. Nothing else in this program accesses memory by these addresses, as no pointer leaves
//! this room. What other mappings, processes and devices do to the memory by other addresses is, to
//! the language, a change from outside, which atomic accesses allow at any time. By the same
//! addresses several threads may read at once, even with accesses of different sizes, as long as
//! none writes: that is why writing takes the mapping mutably. Parts of one mapping never overlap,
//! and an access of a part is one of its own bytes only, so each of them is written as if it were
//! alone.
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

pub mod dma_buf;
pub mod gone;
pub mod memfd;
mod part;

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::{Error, Operation};

pub use part::Part;

/// A shared mapping that can be read only.
#[derive(Debug)]
pub struct View {
    memory: MmapRaw,
}

impl View {
    /// Maps `length` bytes of a file or device from `offset` on; both in bytes, and the offset a
    /// multiple of the page size.
    ///
    /// # Errors
    ///
    /// [`Error::Descriptor`] with what `mmap(2)` returned; `EINVAL` for a length of zero.
    pub fn map(fd: impl AsFd, offset: u64, length: usize) -> Result<Self, Error> {
        let descriptor = fd.as_fd().as_raw_fd();
        let memory = options(descriptor, offset, length)?
            .map_raw_read_only(descriptor)
            .map_err(|e| refused(descriptor, e))?;
        Ok(Self { memory })
    }

    /// How many bytes are mapped, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    #[inline]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Copies from the mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let start = self.start(offset, bytes.len())?;
        let body = body(start.addr(), bytes.len());
        let mut index = 0;
        while index < bytes.len() {
            let from = start.wrapping_add(index);
            if body.contains(&index) {
                // SAFETY: `start` checked that the range is mapped, where it stays until `self` is
                // dropped, and `body` that this word lies within the range and is aligned. Any
                // bytes are a word, and changes from outside are allowed by it being atomic.
                let word = unsafe { &*from.cast::<AtomicUsize>() };
                let word = word.load(Ordering::Relaxed).to_ne_bytes();
                bytes[index..index + WORD].copy_from_slice(&word);
                index += WORD;
            } else {
                // SAFETY: as above, and a byte is always aligned.
                let byte = unsafe { &*from.cast::<AtomicU8>() };
                bytes[index] = byte.load(Ordering::Relaxed);
                index += 1;
            }
        }
        Ok(())
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

    /// The address of `offset`, after checking that `length` bytes from there are mapped.
    #[inline]
    fn start(&self, offset: usize, length: usize) -> Result<*mut u8, Error> {
        match offset.checked_add(length) {
            Some(end) if end <= self.len() => Ok(self.memory.as_mut_ptr().wrapping_add(offset)),
            _ => Err(self.misfit(offset, length)),
        }
    }

    #[cold]
    fn misfit(&self, offset: usize, length: usize) -> Error {
        Error::Range {
            offset,
            length,
            mapped: self.len(),
        }
    }
}

/// A shared mapping that can be read and written.
#[derive(Debug)]
pub struct Mapping {
    // Its pages are writable, unlike those of other views.
    view: View,
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
        let memory = options(descriptor, offset, length)?
            .map_raw(descriptor)
            .map_err(|e| refused(descriptor, e))?;
        let view = View { memory };
        Ok(Self { view })
    }

    /// How many bytes are mapped, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    #[inline]
    pub fn len(&self) -> usize {
        self.view.len()
    }

    /// Copies from the mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.view.read(offset, bytes)
    }

    /// Copies into the mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping. Nothing is written then.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        // SAFETY: `&mut self` keeps all others out.
        unsafe { self.store(offset, bytes.len(), |index| bytes[index]) }
    }

    /// Sets each of `length` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping. Nothing is written then.
    pub fn fill(&mut self, offset: usize, length: usize, byte: u8) -> Result<(), Error> {
        // SAFETY: `&mut self` keeps all others out.
        unsafe { self.store(offset, length, |_| byte) }
    }

    /// A copy of `length` bytes of the mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the bytes do not all lie within the mapping.
    pub fn copy_to_vec(&self, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
        self.view.copy_to_vec(offset, length)
    }

    /// An index that the other side writes: whatever it wrote before the index is read after this.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when four bytes at `offset` do not lie within the mapping, or are not
    /// aligned.
    #[inline]
    pub fn load_acquire(&self, offset: usize) -> Result<u32, Error> {
        Ok(self.index(offset)?.load(Ordering::Acquire))
    }

    /// Writes an index that the other side reads: who reads it finds what was written before.
    ///
    /// # Errors
    ///
    /// As [`Self::load_acquire`]. Nothing is written then.
    #[inline]
    pub fn store_release(&mut self, offset: usize, value: u32) -> Result<(), Error> {
        self.index(offset)?.store(value, Ordering::Release);
        Ok(())
    }

    /// Copies whole words from the mapping: nothing that lies at `offset` needs fewer instructions.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when the words do not all lie within the mapping, or are not aligned.
    #[inline]
    pub fn load_words<const N: usize>(&self, offset: usize) -> Result<[u64; N], Error> {
        let words = self.words::<N>(offset)?;
        Ok(std::array::from_fn(|index| {
            words[index].load(Ordering::Relaxed)
        }))
    }

    /// Copies whole words into the mapping.
    ///
    /// # Errors
    ///
    /// As [`Self::load_words`]. Nothing is written then.
    #[inline]
    pub fn store_words<const N: usize>(
        &mut self,
        offset: usize,
        values: [u64; N],
    ) -> Result<(), Error> {
        for (word, value) in self.words::<N>(offset)?.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        Ok(())
    }

    #[inline]
    fn words<const N: usize>(&self, offset: usize) -> Result<&[AtomicU64; N], Error> {
        let length = size_of::<[u64; N]>();
        let start = self.view.start(offset, length)?;
        if !start.cast::<u64>().is_aligned() {
            return Err(self.view.misfit(offset, length));
        }
        // SAFETY: `start` checked that the words are mapped, where they stay until `self` is
        // dropped, and they are aligned. The pages are writable; changes from outside are allowed
        // by the words being atomic, and `store_words` takes `&mut self`, as all writing does.
        Ok(unsafe { &*start.cast() })
    }

    /// An aligned word, for this room and [`crate::futex`], which only reads it.
    #[inline]
    pub(crate) fn index(&self, offset: usize) -> Result<&AtomicU32, Error> {
        let length = size_of::<u32>();
        let start = self.view.start(offset, length)?;
        if !start.cast::<u32>().is_aligned() {
            return Err(self.view.misfit(offset, length));
        }
        // SAFETY: `start` checked that the word is mapped, where it stays until `self` is dropped,
        // and it is aligned. The pages are writable; changes from outside are allowed by it being
        // atomic, and `store_release` takes `&mut self`, as all writing does.
        Ok(unsafe { AtomicU32::from_ptr(start.cast()) })
    }

    /// Writes `length` bytes, each as `byte_at` says for its index.
    ///
    /// # Safety
    ///
    /// By the addresses of this mapping, nobody else accesses these bytes meanwhile.
    unsafe fn store(
        &self,
        offset: usize,
        length: usize,
        byte_at: impl Fn(usize) -> u8,
    ) -> Result<(), Error> {
        let start = self.view.start(offset, length)?;
        let body = body(start.addr(), length);
        let mut index = 0;
        while index < length {
            let to = start.wrapping_add(index);
            if body.contains(&index) {
                let word = std::array::from_fn::<u8, WORD, _>(|place| byte_at(index + place));
                // SAFETY: as in `View::read`. The pages are writable, and the caller keeps other
                // threads from accessing the same word by its bytes.
                let place = unsafe { AtomicUsize::from_ptr(to.cast()) };
                place.store(usize::from_ne_bytes(word), Ordering::Relaxed);
                index += WORD;
            } else {
                // SAFETY: as above, and a byte is always aligned.
                let place = unsafe { AtomicU8::from_ptr(to) };
                place.store(byte_at(index), Ordering::Relaxed);
                index += 1;
            }
        }
        Ok(())
    }
}

/// The unit of most accesses, in bytes.
const WORD: usize = size_of::<usize>();

/// The part of a range that consists of whole, aligned words, counted from the range's start.
fn body(address: usize, length: usize) -> Range<usize> {
    let start = (address.next_multiple_of(WORD) - address).min(length);
    let words = (length - start) / WORD;
    start..start + words * WORD
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
