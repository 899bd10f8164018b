// SPDX-License-Identifier: MIT OR Apache-2.0

//! dma-bufs: memory that devices and programs share by a file descriptor.
//!
//! A driver exports its memory as a dma-buf, others import it, and whoever has the descriptor can
//! map it. The driver behind `/dev/udmabuf` makes one of a [`MemFd`]: ordinary memory, in which
//! futexes and direct I/O work as everywhere, and that a device moves bytes in as well.
//!
//! # Contract
//!
//! On hardware that does not keep the caches coherent, who accesses a mapping says so before and
//! after, by [`DmaBuf::begin`] and [`DmaBuf::end`]. What others do to it at the same time is not
//! kept out by that.
//!
//! # Minimum kernel
//!
//! 3.3; `/dev/udmabuf` 4.20, with `CONFIG_UDMABUF`.
//!
//! # References
//!
//! `Documentation/driver-api/dma-buf.rst`, `include/uapi/linux/dma-buf.h`,
//! `include/uapi/linux/udmabuf.h`

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::Mapping;
use super::memfd::MemFd;
use crate::chardev::{Flags, Node};
use crate::ioctl::{Request, call};
use crate::{Error, Operation};

/// `DMA_BUF_IOCTL_SYNC`, `_IOW('b', 0, struct dma_buf_sync)`.
// SAFETY: only a `DmaBuf` sends it, whose file is one: it was made here, or `from_fd` has checked it.
// Of a dma-buf, the kernel reads one `u64`, which is no address.
const SYNC: Request<u64> = unsafe { Request::new(0x4008_6200) };
/// `DMA_BUF_SYNC_END`; its opposite is 0.
const SYNC_END: u64 = 1 << 2;

/// `UDMABUF_CREATE`, `_IOW('u', 0x42, struct udmabuf_create)`.
const UDMABUF_CREATE: u32 = 0x4018_7542;
/// `UDMABUF_FLAGS_CLOEXEC`.
const UDMABUF_CLOEXEC: u32 = 1;
/// The device that makes dma-bufs of memory.
const UDMABUF: &str = "/dev/udmabuf";

/// What a program does with a mapping of a dma-buf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads. `DMA_BUF_SYNC_READ`
    Read,
    /// It writes. `DMA_BUF_SYNC_WRITE`
    Write,
    /// Both. `DMA_BUF_SYNC_RW`
    ReadWrite,
}

impl Access {
    const fn bits(self) -> u64 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::ReadWrite => 3,
        }
    }
}

/// A dma-buf.
#[derive(Debug)]
pub struct DmaBuf {
    file: File,
}

impl DmaBuf {
    /// A dma-buf of the memory of a [`MemFd`], from `offset` on; both in bytes, whole pages.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when there is no `/dev/udmabuf`, [`Error::Request`] with what it returned.
    #[doc(alias = "UDMABUF_CREATE")]
    pub fn of(memory: &MemFd, offset: u64, bytes: u64) -> Result<Self, Error> {
        let node = Node::open(UDMABUF, Flags::READ_WRITE)?;
        // Descriptors are never negative.
        let memfd = memory.as_fd().as_raw_fd().unsigned_abs();
        let mut argument = [0; 24];
        argument[..4].copy_from_slice(&memfd.to_ne_bytes());
        argument[4..8].copy_from_slice(&UDMABUF_CLOEXEC.to_ne_bytes());
        argument[8..16].copy_from_slice(&offset.to_ne_bytes());
        argument[16..].copy_from_slice(&bytes.to_ne_bytes());
        // SAFETY: the driver of /dev/udmabuf reads a `struct udmabuf_create`, which is as long as the
        // code announces and holds no address.
        let descriptor = unsafe { call(&node, UDMABUF_CREATE, Some(&mut argument)) }?;
        // SAFETY: the kernel has just made this descriptor, for nobody else.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let file = File::from(descriptor);
        Ok(Self { file })
    }

    /// A dma-buf that another room or program has made.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] when the kernel says that the file is something else, [`Error::Path`] when it
    /// says nothing.
    pub fn from_fd(descriptor: OwnedFd) -> Result<Self, Error> {
        let path = format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd());
        let text = fs::read_to_string(&path)
            .map_err(|source| Error::path(Operation::Identify, path.as_ref(), source))?;
        // What no other file has.
        if !text.lines().any(|line| line.starts_with("exp_name:")) {
            return Err(Error::Value {
                path: path.into(),
                text,
                expected: "a dma-buf",
            });
        }
        let file = File::from(descriptor);
        Ok(Self { file })
    }

    /// Its size in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Descriptor`] with what `lseek(2)` returned.
    pub fn bytes(&self) -> Result<u64, Error> {
        let end = (&self.file).seek(SeekFrom::End(0));
        end.map_err(|source| self.error(Operation::Identify, source))
    }

    /// Maps `length` bytes of it from `offset` on; both in bytes, and the offset a multiple of the
    /// page size.
    ///
    /// # Errors
    ///
    /// As [`Mapping::map`].
    pub fn map(&self, offset: u64, length: usize) -> Result<Mapping, Error> {
        Mapping::map(&self.file, offset, length)
    }

    /// Says that an access by this program follows: what devices have written is seen.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] with what the exporter returned.
    #[doc(alias = "DMA_BUF_SYNC_START")]
    pub fn begin(&self, access: Access) -> Result<(), Error> {
        SYNC.read_write(&self.file, &mut access.bits())
    }

    /// Says that the access has ended: devices see what has been written.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] with what the exporter returned.
    #[doc(alias = "DMA_BUF_SYNC_END")]
    pub fn end(&self, access: Access) -> Result<(), Error> {
        SYNC.read_write(&self.file, &mut (access.bits() | SYNC_END))
    }

    fn error(&self, operation: Operation, source: io::Error) -> Error {
        Error::Descriptor {
            operation,
            descriptor: self.file.as_raw_fd(),
            source,
        }
    }
}

impl AsFd for DmaBuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_is_no_dma_buf() {
        let memory = MemFd::new(4096).unwrap();
        let descriptor = memory.as_fd().try_clone_to_owned().unwrap();
        let error = DmaBuf::from_fd(descriptor).unwrap_err();
        assert!(
            error.to_string().contains("instead of a dma-buf"),
            "{error}"
        );
    }
}
