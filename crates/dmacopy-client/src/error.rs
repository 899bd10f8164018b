// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong: which operation failed on which device, and why.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

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
