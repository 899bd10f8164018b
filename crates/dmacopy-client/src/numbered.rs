// SPDX-License-Identifier: MIT OR Apache-2.0

//! The buffers of a session besides its first one, by their numbers.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd as _};

use dmacopy_uapi::ioctl::{
    self, CreateBuffer, ExportBuffer, FreeBuffer, ImportBuffer, Sync, map_offset,
};
use kernel_channels::mmap::Mapping;
use kernel_channels::mmap::dma_buf::DmaBuf;

use crate::error::Context;
use crate::session::{Completion, Session};
use crate::{Buffer, Error, Operation, request};

/// The number of a buffer of a session.
///
/// The number is all that this is: another session has other buffers by the same numbers, and one
/// that was given up is given to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferNumber(u8);

impl BufferNumber {
    /// The coherent buffer that each session has.
    pub const FIRST: Self = Self(0);

    /// The number, as descriptors name it.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl From<u8> for BufferNumber {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

/// Who writes to a part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The program writes, transfers read.
    ToDevice,
    /// Transfers write, the program reads.
    FromDevice,
    /// Both write.
    Bidirectional,
}

/// A place in a buffer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which buffer.
    pub buffer: BufferNumber,
    /// Where, in bytes from its start.
    pub offset: u64,
}

impl Session {
    /// Makes a cached buffer of `bytes` bytes, in whole pages, all of them zero.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for a size that no buffer can have; `ENOSPC` when the session has
    /// as many as it can; `ENOMEM`; `ENODEV` when the device has gone.
    pub fn create_buffer(&self, bytes: u64) -> Result<BufferNumber, Error> {
        let mut create = CreateBuffer {
            bytes,
            ..CreateBuffer::default()
        };
        request::CREATE_BUFFER
            .read_write(self.node(), &mut create)
            .on(self.device(), Operation::CreateBuffer)?;
        Ok(BufferNumber(number(create.buffer)))
    }

    /// Makes the memory of a dma-buf a buffer; returns its number and its size in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for a file that is no dma-buf, and what its exporter returns;
    /// else as [`Self::create_buffer`].
    pub fn import_buffer(&self, dma_buf: impl AsFd) -> Result<(BufferNumber, u64), Error> {
        let mut import = ImportBuffer {
            fd: dma_buf.as_fd().as_raw_fd(),
            ..ImportBuffer::default()
        };
        request::IMPORT_BUFFER
            .read_write(self.node(), &mut import)
            .on(self.device(), Operation::ImportBuffer)?;
        Ok((BufferNumber(number(import.buffer)), import.bytes))
    }

    /// Makes a dma-buf of a buffer that is not the first one.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` when there is no such buffer.
    pub fn export_buffer(&self, buffer: BufferNumber) -> Result<DmaBuf, Error> {
        let mut export = ExportBuffer {
            buffer: buffer.0.into(),
            ..ExportBuffer::default()
        };
        request::EXPORT_BUFFER
            .read_write(self.node(), &mut export)
            .on(self.device(), Operation::ExportBuffer)?;
        DmaBuf::from_fd(request::exported(&export)).on(self.device(), Operation::ExportBuffer)
    }

    /// Gives a buffer up; mappings and dma-bufs of it keep the memory.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` when there is no such buffer.
    pub fn free_buffer(&self, buffer: BufferNumber) -> Result<(), Error> {
        let mut free = FreeBuffer {
            buffer: buffer.0.into(),
            flags: 0,
        };
        request::FREE_BUFFER
            .read_write(self.node(), &mut free)
            .on(self.device(), Operation::FreeBuffer)
    }

    /// Maps the first `length` bytes of a buffer that was made by [`Self::create_buffer`].
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with what the kernel returned.
    pub fn map_buffer(&self, buffer: BufferNumber, length: usize) -> Result<Buffer, Error> {
        let mapping = Mapping::map(self.node(), map_offset(buffer.0), length)
            .on(self.device(), Operation::MapBuffer)?;
        Ok(Buffer::new(mapping, self.device().to_owned()))
    }

    /// Passes bytes of a buffer to the device, before transfers access them.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` when they do not lie within, or there are none.
    pub fn sync_for_device(
        &self,
        buffer: BufferNumber,
        bytes: Range<u64>,
        direction: Direction,
    ) -> Result<(), Error> {
        self.sync(buffer, bytes, direction, ioctl::SYNC_FOR_DEVICE)
    }

    /// Passes bytes of a buffer to the program, before it accesses them.
    ///
    /// # Errors
    ///
    /// As [`Self::sync_for_device`].
    pub fn sync_for_cpu(
        &self,
        buffer: BufferNumber,
        bytes: Range<u64>,
        direction: Direction,
    ) -> Result<(), Error> {
        self.sync(buffer, bytes, direction, ioctl::SYNC_FOR_CPU)
    }

    fn sync(
        &self,
        buffer: BufferNumber,
        bytes: Range<u64>,
        direction: Direction,
        side: u32,
    ) -> Result<(), Error> {
        let mut sync = Sync {
            offset: bytes.start,
            length: bytes.end.saturating_sub(bytes.start),
            buffer: buffer.0.into(),
            direction: match direction {
                Direction::ToDevice => ioctl::DIRECTION_TO_DEVICE,
                Direction::FromDevice => ioctl::DIRECTION_FROM_DEVICE,
                Direction::Bidirectional => ioctl::DIRECTION_BIDIRECTIONAL,
            },
            side,
            flags: 0,
        };
        request::SYNC
            .read_write(self.node(), &mut sync)
            .on(self.device(), Operation::SyncBuffer)
    }

    /// Copies from one buffer to another, or within one, and waits for the completion.
    ///
    /// # Errors
    ///
    /// As [`Self::copy`]; `EINVAL` also when there is no such buffer.
    pub fn copy_between(
        &self,
        source: Place,
        destination: Place,
        length: u64,
    ) -> Result<Completion, Error> {
        self.send_copy(ioctl::Copy {
            source_offset: source.offset,
            destination_offset: destination.offset,
            length,
            source_buffer: source.buffer.0,
            destination_buffer: destination.buffer.0,
            ..ioctl::Copy::default()
        })
    }
}

/// The number that the driver has returned, which has eight bits.
fn number(number: u32) -> u8 {
    u8::try_from(number).unwrap_or_default()
}
