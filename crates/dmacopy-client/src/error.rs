// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong: which operation failed on which device, and why.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::Misfit;

/// An operation that failed, the device it was attempted on, and the cause.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no device.
    #[error("no dmacopy device found")]
    NoDevice,
    /// The system's devices cannot be listed.
    #[error("cannot look for dmacopy devices")]
    List(#[source] kernel_channels::Error),
    /// The driver's events cannot be received.
    #[error("cannot receive events of dmacopy devices")]
    Events(#[source] kernel_channels::Error),
    /// A path that does not lead to a device of this driver.
    #[error("{} is no dmacopy device", path.display())]
    NotADevice {
        /// The path.
        path: PathBuf,
    },
    /// An operation on a device.
    #[error("{device}: cannot {operation}")]
    Device {
        /// The device's name.
        device: String,
        /// What was attempted.
        operation: Operation,
        /// Why it failed.
        source: kernel_channels::Error,
    },
    /// A transfer that the driver has taken.
    #[error("{device}: cannot {operation}")]
    Transfer {
        /// The device's name.
        device: String,
        /// What was to be done.
        operation: Operation,
        /// What its completion said.
        source: io::Error,
    },
    /// A batch that the ring has no room for now, or never.
    #[error("{device}: no room for {wanted} descriptors, with {room} of {entries} free")]
    Full {
        /// The device's name.
        device: String,
        /// How many descriptors the batch has.
        wanted: usize,
        /// How many there was room for.
        room: usize,
        /// How many there can be room for.
        entries: usize,
    },
    /// A piece of work that the session cannot do.
    #[error("{device}: number {index} of the batch {misfit}")]
    Misfit {
        /// The device's name.
        device: String,
        /// Which of the batch, counted from 0.
        index: usize,
        /// Why it cannot do it.
        misfit: Misfit,
    },
    /// A region that a pool has no room for.
    #[error("{device}: no region of {bytes} bytes, with {largest} free in one piece")]
    NoRegion {
        /// The device's name.
        device: String,
        /// How long it was to be.
        bytes: usize,
        /// How long it could have been.
        largest: usize,
    },
    /// A session in whose rings there is something already.
    #[error("{device}: there is something in the session's rings")]
    InUse {
        /// The device's name.
        device: String,
    },
    /// A completion that does not belong to what was submitted: somebody else writes to the rings.
    /// The queue does nothing any more, and keeps what is in flight.
    #[error("{device}: completion {user_data} came instead of {expected:?}")]
    Foreign {
        /// The device's name.
        device: String,
        /// What it said.
        user_data: u64,
        /// What it had to say.
        expected: Option<u64>,
    },
    /// There is no runtime in which to wait for a device.
    #[error("{device}: there is no tokio runtime here")]
    NoRuntime {
        /// The device's name.
        device: String,
    },
    /// The device is in a state that this library does not know.
    #[error("{device}: unknown state {text:?}")]
    UnknownState {
        /// The device's name.
        device: String,
        /// What the attribute holds.
        text: String,
    },
}

impl Error {
    /// The error number that the kernel returned, if this error comes from the kernel.
    #[doc(alias = "errno")]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::List(source) | Self::Events(source) | Self::Device { source, .. } => {
                source.raw_os_error()
            }
            Self::Transfer { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Finding the device's attributes.
    FindAttributes,
    /// Asking for the device over netlink.
    QueryStatus,
    /// Finding the device's files in debugfs.
    FindDebugFiles,
    /// Opening a session.
    OpenSession,
    /// Asking what the device can do.
    QueryInfo,
    /// Copying within the session's buffer; all values in bytes.
    Copy {
        /// Where to read.
        source_offset: u64,
        /// Where to write.
        destination_offset: u64,
        /// How much.
        length: u64,
    },
    /// Filling a part of a buffer; both values in bytes.
    Fill {
        /// Where to write.
        offset: u64,
        /// How much.
        length: u64,
    },
    /// Doing nothing, in its turn.
    Nop,
    /// Resetting the engine.
    Reset,
    /// Sending a request by its bare code.
    Request(u32),
    /// Making a cached buffer.
    CreateBuffer,
    /// Making the memory of a dma-buf a buffer.
    ImportBuffer,
    /// Making a dma-buf of a buffer.
    ExportBuffer,
    /// Giving a buffer up.
    FreeBuffer,
    /// Passing a part of a buffer to the device or the program.
    SyncBuffer,
    /// Mapping the session's buffer.
    MapBuffer,
    /// Accessing the mapped buffer.
    AccessBuffer,
    /// Mapping or accessing the rings.
    AccessRings,
    /// Having the driver take what is in the ring.
    Submit,
    /// Setting which eventfd is told.
    SetEventfd,
    /// Having signals sent.
    AskForSignals,
    /// Setting of how many completions the client is told together.
    Coalesce,
    /// Writing to the stream.
    WriteStream,
    /// Reading from the stream.
    ReadStream,
    /// Waiting for the stream.
    PollStream,
    /// Reading an attribute.
    ReadAttribute(&'static str),
    /// Setting an attribute.
    SetAttribute(&'static str),
    /// Reading a file in debugfs.
    ReadDebugFile(&'static str),
    /// Writing a file in debugfs.
    WriteDebugFile(&'static str),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FindAttributes => f.write_str("find its attributes"),
            Self::QueryStatus => f.write_str("query its status"),
            Self::FindDebugFiles => f.write_str("find its debugfs files"),
            Self::OpenSession => f.write_str("open a session"),
            Self::QueryInfo => f.write_str("query what it can do"),
            Self::Copy {
                source_offset,
                destination_offset,
                length,
            } => write!(
                f,
                "copy {length} bytes from offset {source_offset} to {destination_offset}"
            ),
            Self::Fill { offset, length } => write!(f, "fill {length} bytes from offset {offset}"),
            Self::Nop => f.write_str("do nothing"),
            Self::Reset => f.write_str("reset the engine"),
            Self::Request(code) => write!(f, "send request {code:#010x}"),
            Self::CreateBuffer => f.write_str("make a buffer"),
            Self::ImportBuffer => f.write_str("import a dma-buf"),
            Self::ExportBuffer => f.write_str("export a buffer"),
            Self::FreeBuffer => f.write_str("give a buffer up"),
            Self::SyncBuffer => f.write_str("pass a part of a buffer to the other side"),
            Self::MapBuffer => f.write_str("map the buffer"),
            Self::AccessBuffer => f.write_str("access the buffer"),
            Self::AccessRings => f.write_str("access the rings"),
            Self::Submit => f.write_str("submit descriptors"),
            Self::SetEventfd => f.write_str("set the eventfd"),
            Self::AskForSignals => f.write_str("have signals sent"),
            Self::Coalesce => f.write_str("set the coalescing"),
            Self::WriteStream => f.write_str("write to the stream"),
            Self::ReadStream => f.write_str("read from the stream"),
            Self::PollStream => f.write_str("wait for the stream"),
            Self::ReadAttribute(name) => write!(f, "read attribute {name}"),
            Self::SetAttribute(name) => write!(f, "set attribute {name}"),
            Self::ReadDebugFile(name) => write!(f, "read debugfs file {name}"),
            Self::WriteDebugFile(name) => write!(f, "write debugfs file {name}"),
        }
    }
}

/// Adds device and operation to what a room returned.
pub(crate) trait Context<T> {
    /// The result with a failure of `operation` on `device`.
    fn on(self, device: &str, operation: Operation) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, kernel_channels::Error> {
    #[inline]
    fn on(self, device: &str, operation: Operation) -> Result<T, Error> {
        self.map_err(|source| failed(device, operation, source))
    }
}

#[cold]
fn failed(device: &str, operation: Operation, source: kernel_channels::Error) -> Error {
    Error::Device {
        device: device.to_owned(),
        operation,
        source,
    }
}
