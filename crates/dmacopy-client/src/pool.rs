// SPDX-License-Identifier: MIT OR Apache-2.0

//! A buffer from which regions are had.

use std::fmt;
use std::sync::Arc;

use kernel_channels::mmap::dma_buf::DmaBuf;

use crate::memory::Memory;
use crate::{Error, GRANULE, Queue, Region};

/// A buffer of a session, from which regions are had.
///
/// No two regions overlap, and one that is dropped is free again. The buffer is given up when there
/// is neither a pool nor a region of it any more.
#[derive(Clone)]
pub struct Pool {
    memory: Arc<Memory>,
    /// Keeps what is in flight: a region that nobody waits for is free again when the queue has seen
    /// that it was completed, and no sooner.
    queue: Queue,
}

impl Pool {
    pub(crate) fn new(memory: Arc<Memory>, queue: Queue) -> Self {
        Self { memory, queue }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.memory.bytes
    }

    /// How many of them nobody has now.
    pub fn free_bytes(&self) -> usize {
        self.memory.free().bytes()
    }

    /// A region of `length` bytes. What is in it is zero, or what its last owner has left.
    ///
    /// # Errors
    ///
    /// [`Error::NoRegion`] when there is no room for it, also after a look for what has been
    /// completed meanwhile; [`Error::Device`], [`Error::Foreign`] when that fails.
    pub fn region(&self, length: usize) -> Result<Region, Error> {
        self.aligned_region(length, GRANULE)
    }

    /// A region of `length` bytes that begins at a multiple of `alignment` in its buffer, which is
    /// rounded up to a power of two and to [`GRANULE`].
    ///
    /// # Errors
    ///
    /// As [`Self::region`].
    pub fn aligned_region(&self, length: usize, alignment: usize) -> Result<Region, Error> {
        if let Some(region) = self.find(length, alignment) {
            return Ok(region);
        }
        self.queue.shared.look_once()?;
        self.find(length, alignment).ok_or_else(|| Error::NoRegion {
            device: self.queue.device().to_owned(),
            bytes: length,
            largest: self.memory.free().largest(),
        })
    }

    fn find(&self, length: usize, alignment: usize) -> Option<Region> {
        let whole = length.checked_next_multiple_of(GRANULE)?;
        let alignment = alignment.max(GRANULE).checked_next_power_of_two()?;
        if whole == 0 {
            return None;
        }
        let part = self.memory.free().take(whole, alignment)?;
        Some(Region::new(part, length, Arc::clone(&self.memory)))
    }

    /// A dma-buf of the whole buffer, for other programs and devices. It keeps the memory for as long
    /// as anybody has it. What they do to it is not kept out of regions.
    ///
    /// # Errors
    ///
    /// As [`Session::export_buffer`](crate::Session::export_buffer); `EINVAL` for a coherent buffer,
    /// whose memory is the device's.
    pub fn export(&self) -> Result<DmaBuf, Error> {
        self.memory.link.session.export_buffer(self.memory.number)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("device", &self.queue.device())
            .field("buffer", &self.memory.number.get())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
