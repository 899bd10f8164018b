// SPDX-License-Identifier: MIT OR Apache-2.0

//! One open file of a device.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use dmacopy_uapi::ioctl::{self, Info};
use dmacopy_uapi::ring;
use kernel_channels::chardev::{Flags, Node};
use kernel_channels::mmap::Mapping;
use kernel_channels::{Interest, Readiness};

use crate::error::Context;
use crate::{Buffer, Device, Error, Operation, Rings, request};

/// One open file of a device: a buffer and a stream that no other session sees.
#[derive(Debug)]
pub struct Session {
    node: Node,
    device: String,
}

/// A copy that the engine has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The transfer's number on its device, counted from 1.
    pub sequence: u64,
    /// From submission to completion, as the kernel measured it.
    pub duration: Duration,
}

impl Session {
    pub(crate) fn open(device: &Device, flags: Flags) -> Result<Self, Error> {
        let node = Node::open(device.node(), flags).on(device.name(), Operation::OpenSession)?;
        // The path may lead anywhere, and what `request` promises is true of the driver alone.
        let number = node
            .device_number()
            .on(device.name(), Operation::OpenSession)?;
        if number.is_none() || number != device.number()? {
            let path = device.node().to_owned();
            return Err(Error::NotADevice { path });
        }
        let device = device.name().to_owned();
        Ok(Self { node, device })
    }

    /// What the device can do, and what this session has.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `ENODEV` when the device has gone.
    pub fn info(&self) -> Result<Info, Error> {
        request::INFO
            .read(&self.node)
            .on(&self.device, Operation::QueryInfo)
    }

    /// Copies within the session's buffer and waits for the completion; all values in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for ranges that overlap, are empty or do not lie within the
    /// buffer; `ETIMEDOUT` when the engine has stalled; `ENODEV` when the device has gone;
    /// `EINTR` when a signal came first.
    pub fn copy(
        &self,
        source_offset: u64,
        destination_offset: u64,
        length: u64,
    ) -> Result<Completion, Error> {
        self.send_copy(ioctl::Copy {
            source_offset,
            destination_offset,
            length,
            ..ioctl::Copy::default()
        })
    }

    pub(crate) fn send_copy(&self, mut argument: ioctl::Copy) -> Result<Completion, Error> {
        let operation = Operation::Copy {
            source_offset: argument.source_offset,
            destination_offset: argument.destination_offset,
            length: argument.length,
        };
        request::COPY
            .read_write(&self.node, &mut argument)
            .on(&self.device, operation)?;
        Ok(Completion {
            sequence: argument.sequence,
            duration: Duration::from_nanos(argument.duration_ns),
        })
    }

    /// Resets the device's engine; what it was moving, of any session, it moves once more.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EPERM` without `CAP_SYS_ADMIN`, `EIO` when the engine does not obey,
    /// `ENODEV` when the device has gone.
    pub fn reset_engine(&self) -> Result<(), Error> {
        request::RESET
            .read_write(&self.node, &mut ioctl::Reset::default())
            .on(&self.device, Operation::Reset)
    }

    /// Sends a request by its bare code and returns what the driver returned.
    ///
    /// This is for those who want to see how the driver takes a code, a size or a value that
    /// [`Self::info`] and [`Self::copy`] would not send. Without an argument the driver gets a null
    /// pointer.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `ENOTTY` for a code that the driver does not know. An argument that has
    /// not the size that the code announces never reaches the kernel.
    pub fn request(&self, code: u32, argument: Option<&mut [u8]>) -> Result<i32, Error> {
        request::send(&self.node, code, argument).on(&self.device, Operation::Request(code))
    }

    /// Maps the session's buffer whole. Each call makes another view of the same memory.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with what the kernel returned.
    pub fn buffer(&self) -> Result<Buffer, Error> {
        let bytes = self.info()?.buffer_bytes;
        // Too long for this program's addresses is too long for the kernel as well.
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mapping = Mapping::map(&self.node, 0, length).on(&self.device, Operation::MapBuffer)?;
        Ok(Buffer::new(mapping, self.device.clone()))
    }

    /// Maps the session's rings, which one thread is to use at a time.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with what the kernel returned.
    pub fn rings(&self) -> Result<Rings, Error> {
        let info = self.info()?;
        let length = ring::bytes(info.ring_entries);
        let mapping = Mapping::map(&self.node, info.rings_offset, length)
            .on(&self.device, Operation::AccessRings)?;
        Rings::new(mapping, self.device.clone(), info.ring_entries)
    }

    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Gives bytes to the stream and returns how many the driver took.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EAGAIN` when a session that does not wait would have to.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        self.node
            .write(bytes)
            .on(&self.device, Operation::WriteStream)
    }

    /// Takes bytes from the stream, in the order in which they were written, and returns how many;
    /// none when all that was written has been read.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EAGAIN` when a session that does not wait would have to.
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, Error> {
        self.node
            .read(bytes)
            .on(&self.device, Operation::ReadStream)
    }

    /// Waits until the stream can be read or written.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when `poll(2)` fails.
    pub fn poll(&self, interest: Interest, timeout: Option<Duration>) -> Result<Readiness, Error> {
        self.node
            .poll(interest, timeout)
            .on(&self.device, Operation::PollStream)
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}
