// SPDX-License-Identifier: MIT OR Apache-2.0

//! A session's memory, which the engine reads and writes.

use kernel_channels::mmap::Mapping;

use crate::error::Context;
use crate::{Error, Operation};

/// A view of a session's buffer. It stays valid when the session is closed.
#[derive(Debug)]
pub struct Buffer {
    mapping: Mapping,
    device: String,
}

impl Buffer {
    pub(crate) fn new(mapping: Mapping, device: String) -> Self {
        Self { mapping, device }
    }

    /// The memory without the device's name.
    pub(crate) fn into_mapping(self) -> Mapping {
        self.mapping
    }

    /// Its size in bytes, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "a buffer is never empty")]
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// Copies `bytes` into the buffer.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when they do not fit. Nothing is written then.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.mapping
            .write(offset, bytes)
            .on(&self.device, Operation::AccessBuffer)
    }

    /// Sets each of `length` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when they do not lie within the buffer. Nothing is written then.
    pub fn fill(&mut self, offset: usize, length: usize, byte: u8) -> Result<(), Error> {
        self.mapping
            .fill(offset, length, byte)
            .on(&self.device, Operation::AccessBuffer)
    }

    /// Copies from the buffer into `bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the buffer has not that many there.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.mapping
            .read(offset, bytes)
            .on(&self.device, Operation::AccessBuffer)
    }

    /// A copy of `length` bytes of the buffer.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the buffer has not that many there.
    pub fn copy_to_vec(&self, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
        self.mapping
            .copy_to_vec(offset, length)
            .on(&self.device, Operation::AccessBuffer)
    }
}
