// SPDX-License-Identifier: MIT OR Apache-2.0

//! A part of a buffer that the program owns.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use kernel_channels::mmap::Part;

use crate::error::Context;
use crate::memory::{Kind, Memory};
use crate::{Error, Operation, Place};

/// Regions begin at multiples of this, in bytes, and nobody else has what is between the end of one
/// and the next such multiple.
///
/// No cache line has more bytes than that. So when hardware that does not keep the caches coherent
/// makes the lines of one region invalid, nothing of another is lost.
pub const GRANULE: usize = 128;

/// A part of a buffer that the program owns, and nobody else.
///
/// It can be read and written as long as the program has it. A transfer takes it: it is moved into a
/// [`Batch`](crate::Batch), and what has been submitted belongs to the device. It comes back with its
/// completion, in a [`Done`](crate::Done); the caches are taken care of on the way there and back.
///
/// A region that is dropped is free again in its [`Pool`](crate::Pool), with whatever is in it.
///
/// # What the compiler refuses
///
/// What is in flight cannot be touched, because there is nothing left to touch it by:
///
/// ```compile_fail,E0382
/// # fn example(queue: dmacopy_client::Queue, pool: dmacopy_client::Pool)
/// # -> Result<(), dmacopy_client::Error> {
/// let (mut source, destination) = (pool.region(64)?, pool.region(64)?);
/// let pending = queue.batch().copy(source, destination).submit()?;
/// source.write(0, b"too late")?; // it was moved into the batch
/// # drop(pending);
/// # Ok(())
/// # }
/// ```
///
/// The same for reading what has not come yet:
///
/// ```compile_fail,E0382
/// # fn example(queue: dmacopy_client::Queue, pool: dmacopy_client::Pool)
/// # -> Result<(), dmacopy_client::Error> {
/// let (source, destination) = (pool.region(64)?, pool.region(64)?);
/// let pending = queue.batch().copy(source, destination).submit()?;
/// let early = destination.copy_to_vec(0, 64)?; // it comes back with the completion
/// # drop((pending, early));
/// # Ok(())
/// # }
/// ```
///
/// And it cannot be given to two transfers:
///
/// ```compile_fail,E0382
/// # fn example(queue: dmacopy_client::Queue, pool: dmacopy_client::Pool)
/// # -> Result<(), dmacopy_client::Error> {
/// let region = pool.region(64)?;
/// let batch = queue.batch().fill(region, 1).fill(region, 2);
/// # drop(batch);
/// # Ok(())
/// # }
/// ```
pub struct Region {
    /// At least as long as the region.
    part: Part,
    length: usize,
    memory: Arc<Memory>,
}

impl Region {
    /// The first `length` bytes of a part of this memory.
    pub(crate) fn new(part: Part, length: usize, memory: Arc<Memory>) -> Self {
        Self {
            part,
            length,
            memory,
        }
    }

    /// Its size in bytes, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Where the device finds it.
    pub fn place(&self) -> Place {
        Place {
            buffer: self.memory.number,
            offset: self.part.start() as u64,
        }
    }

    /// Copies from the region.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when it has not that many bytes there. [`Error::Transfer`] when it is a part
    /// of a coherent buffer whose device is known to have gone.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.part
            .read(offset, bytes)
            .on(self.device(), Operation::AccessBuffer)
    }

    /// A copy of `length` bytes of the region.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn copy_to_vec(&self, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
        self.check(offset, length)?;
        self.part
            .copy_to_vec(offset, length)
            .on(self.device(), Operation::AccessBuffer)
    }

    /// A copy of all of it.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn to_vec(&self) -> Result<Vec<u8>, Error> {
        self.copy_to_vec(0, self.length)
    }

    /// Copies `bytes` into the region.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]. Nothing is written then.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.part
            .write(offset, bytes)
            .on(self.memory.link.session.device(), Operation::AccessBuffer)
    }

    /// Sets each of `length` bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]. Nothing is written then.
    pub fn fill(&mut self, offset: usize, length: usize, byte: u8) -> Result<(), Error> {
        self.check(offset, length)?;
        self.part
            .fill(offset, length, byte)
            .on(self.memory.link.session.device(), Operation::AccessBuffer)
    }

    /// Its first `middle` bytes, and the others.
    ///
    /// # Errors
    ///
    /// The region as it is, when `middle` is no multiple of [`GRANULE`] within it, and when it is of
    /// an imported buffer, which is passed from one side to the other as a whole.
    pub fn split_at(mut self, middle: usize) -> Result<(Self, Self), Self> {
        let is_possible = middle % GRANULE == 0 && middle < self.length;
        if !is_possible || self.memory.kind == Kind::Imported {
            return Err(self);
        }
        match self.part.take().split_at(middle) {
            Ok((first, rest)) => {
                let memory = &self.memory;
                let rest = Self::new(rest, self.length - middle, Arc::clone(memory));
                Ok((Self::new(first, middle, Arc::clone(memory)), rest))
            }
            Err(whole) => {
                self.part = whole;
                Err(self)
            }
        }
    }

    /// The first `length` bytes of it, as the engine counts them.
    pub(crate) fn range(&self, length: usize) -> Range<u64> {
        let start = self.place().offset;
        start..start + length as u64
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    fn device(&self) -> &str {
        self.memory.link.session.device()
    }

    /// Whether bytes are of the region, and still there.
    fn check(&self, offset: usize, length: usize) -> Result<(), Error> {
        if self.memory.kind == Kind::Coherent && self.memory.link.is_gone() {
            return Err(self.memory.link.gone(Operation::AccessBuffer));
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            // The part may have more bytes than the region.
            _ => Err(kernel_channels::Error::Range {
                offset,
                length,
                mapped: self.length,
            })
            .on(self.device(), Operation::AccessBuffer),
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.memory.free().give(self.part.take());
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { buffer, offset } = self.place();
        f.debug_struct("Region")
            .field("device", &self.device())
            .field("buffer", &buffer.get())
            .field("offset", &offset)
            .field("length", &self.length)
            .finish()
    }
}
