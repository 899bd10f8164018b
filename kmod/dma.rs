// SPDX-License-Identifier: GPL-2.0

//! Coherent memory that an engine and user space share.

use kernel::{
    device::{
        self,
        Bound, //
    },
    io::{
        io_project,
        Io, //
    },
    mm::virt::VmaNew,
    prelude::*,
    sync::Arc, //
};

use crate::sys::dma::CoherentMemory;

/// Zeroed coherent memory.
///
/// User space may map it and write to it at any time. So its contents are only ever copied, never
/// referenced, and no decision is based on them.
#[derive(Clone)]
pub(crate) struct Buffer(Arc<CoherentMemory>);

impl Buffer {
    /// Allocates `bytes` bytes for `device`.
    pub(crate) fn new(device: &device::Device<Bound>, bytes: usize) -> Result<Self> {
        Ok(Self(Arc::new(
            CoherentMemory::zeroed(device, bytes)?,
            GFP_KERNEL,
        )?))
    }

    /// The size of the buffer, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.memory().size()
    }

    /// Copies from the buffer, from `offset` on.
    pub(crate) fn read(&self, offset: usize, data: &mut [u8]) -> Result {
        let end = offset.checked_add(data.len()).ok_or(EINVAL)?;
        io_project!(self.0.memory(), [try: offset..end]).copy_to_slice(data);
        Ok(())
    }

    /// Copies to the buffer, from `offset` on.
    pub(crate) fn write(&self, offset: usize, data: &[u8]) -> Result {
        let end = offset.checked_add(data.len()).ok_or(EINVAL)?;
        io_project!(self.0.memory(), [try: offset..end]).copy_from_slice(data);
        Ok(())
    }

    /// Copies `length` bytes from `source` to `destination`, by the processor.
    pub(crate) fn copy_within(&self, source: usize, destination: usize, length: usize) -> Result {
        self.0.copy_within(source, destination, length)
    }

    /// Maps the buffer into user space; the mapping keeps it alive.
    pub(crate) fn map(&self, area: &VmaNew) -> Result {
        self.0.map(area)
    }
}
