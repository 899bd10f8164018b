// SPDX-License-Identifier: GPL-2.0

//! Coherent memory that an engine and user space share.

use kernel::{
    mm::virt::VmaNew,
    prelude::*,
    sync::Arc, //
};

use crate::sys::{
    binding::Binding,
    compat::{
        dma_address,
        io_project,
        Io, //
    },
    dma::RevocableMemory,
    miscdevice::Closed,
    shared::Shared, //
};

/// A part of a buffer that is contiguous for the device.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// Where the device finds it.
    pub(crate) address: u64,
    /// How many bytes, at least one.
    pub(crate) length: usize,
}

/// Zeroed coherent memory, allocated on first use.
///
/// After [`Self::revoke`], everything that needs the memory fails with `ENODEV`.
///
/// User space may map it and write to it at any time. So its contents are only ever copied, never
/// referenced, and no decision is based on them.
#[derive(Clone)]
pub(crate) struct Buffer(Arc<RevocableMemory>);

impl Buffer {
    /// A buffer of `bytes` bytes.
    pub(crate) fn new(binding: &Arc<Binding>, bytes: usize) -> Result<Self> {
        Ok(Self(RevocableMemory::new(binding.clone(), bytes)?))
    }

    /// The size of the buffer, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Makes sure that the buffer has its memory.
    pub(crate) fn allocate(&self) -> Result {
        self.0.allocate()
    }

    /// Copies from the buffer, from `offset` on.
    pub(crate) fn read(&self, offset: usize, data: &mut [u8]) -> Result {
        let end = offset.checked_add(data.len()).ok_or(EINVAL)?;
        self.0.access(|memory| {
            io_project!(memory, [try: offset..end]).copy_to_slice(data);
            Ok(())
        })
    }

    /// Copies to the buffer, from `offset` on.
    pub(crate) fn write(&self, offset: usize, data: &[u8]) -> Result {
        let end = offset.checked_add(data.len()).ok_or(EINVAL)?;
        self.0.access(|memory| {
            io_project!(memory, [try: offset..end]).copy_from_slice(data);
            Ok(())
        })
    }

    /// Copies `length` bytes from `source` to `destination`, by the processor.
    pub(crate) fn copy_within(&self, source: usize, destination: usize, length: usize) -> Result {
        self.0.copy_within(source, destination, length)
    }

    /// Fills `length` bytes from `destination` on with `pattern`, repeated, by the processor.
    pub(crate) fn fill(&self, destination: usize, length: usize, pattern: [u8; 8]) -> Result {
        self.0.fill(destination, length, pattern)
    }

    /// What is contiguous for the device from `offset` on.
    ///
    /// The addresses are valid until the buffer is revoked or freed. So an engine may use them for a
    /// transfer that it has taken and not completed, and no longer.
    pub(crate) fn segment(&self, offset: usize) -> Result<Segment> {
        self.0.access(|memory| {
            let length = memory.size().checked_sub(offset).filter(|&left| left > 0);
            Ok(Segment {
                length: length.ok_or(EINVAL)?,
                // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
                // OVERFLOW: All of the memory has DMA addresses, and `offset` lies in it.
                address: dma_address(memory) + offset as u64,
            })
        })
    }

    /// Calls `f` with the buffer as memory that user space changes at any time. It cannot be revoked
    /// meanwhile; `f` must not access user memory by its addresses.
    pub(crate) fn shared<R>(&self, f: impl FnOnce(&Shared<'_>) -> Result<R>) -> Result<R> {
        self.0.access(|memory| f(&Shared::new(memory)))
    }

    /// Maps the buffer into user space, until it is revoked.
    pub(crate) fn map(&self, area: &VmaNew) -> Result {
        self.0.map(area)
    }

    /// Frees the memory. The engine must not be using it; user space that does gets a `SIGBUS`.
    pub(crate) fn revoke(&self) {
        self.0.revoke();
    }

    /// Frees the memory; for when the file of the session has been closed.
    pub(crate) fn free(&self, file: &Closed<'_>) {
        self.0.free(file);
    }
}
