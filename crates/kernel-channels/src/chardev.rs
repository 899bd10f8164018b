// SPDX-License-Identifier: MIT OR Apache-2.0

//! Character devices: streams of bytes from and to a driver.
//!
//! A driver offers a node below `/dev`; a program opens it, and what it reads and writes is up to
//! the driver. An open file is also what [`crate::ioctl`] and [`crate::mmap`] work on.
//!
//! # When to choose it
//!
//! For data that arrives or leaves in order, and for waiting: a node works with `poll(2)`, with
//! a shell's `cat` and `dd`, and with every language. For single values take [`crate::sysfs`],
//! for commands with arguments [`crate::ioctl`], for bulk data without copies [`crate::mmap`].
//!
//! # Contract
//!
//! The driver defines what one read or write means. A short count is no error. With
//! [`Flags::nonblocking`] a call that would wait fails with `EAGAIN` instead; [`poll`] tells when
//! it is worth trying again. A call that a signal interrupted before anything was moved is
//! repeated here.
//!
//! # Minimum kernel
//!
//! Any.
//!
//! # References
//!
//! `open(2)`, `read(2)`, `write(2)`, `poll(2)`, `Documentation/driver-api/basics.rst`
//!
//! # Example
//!
//! ```
//! use kernel_channels::chardev::{Flags, Node};
//!
//! let zero = Node::open("/dev/zero", Flags::READ)?;
//! let mut bytes = [1; 4];
//! assert_eq!(zero.read(&mut bytes)?, 4);
//! assert_eq!(bytes, [0; 4]);
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::readiness::{Interest, Readiness, poll};
use crate::{Error, Operation};

/// How to open a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    read: bool,
    write: bool,
    nonblocking: bool,
}

impl Flags {
    /// For reading. `O_RDONLY`
    pub const READ: Self = Self {
        read: true,
        write: false,
        nonblocking: false,
    };
    /// For writing. `O_WRONLY`
    pub const WRITE: Self = Self {
        read: false,
        write: true,
        nonblocking: false,
    };
    /// For both. `O_RDWR`
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
        nonblocking: false,
    };

    /// The same, but a call that would wait fails with `EAGAIN` instead. `O_NONBLOCK`
    #[must_use]
    pub const fn nonblocking(self) -> Self {
        Self {
            nonblocking: true,
            ..self
        }
    }
}

/// An open device node.
#[derive(Debug)]
pub struct Node {
    file: File,
    path: PathBuf,
}

impl Node {
    /// Opens a node, which does not survive `execve(2)` and never becomes the controlling terminal.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `open(2)` returned.
    pub fn open(path: impl AsRef<Path>, flags: Flags) -> Result<Self, Error> {
        let path = path.as_ref();
        let nonblocking = if flags.nonblocking {
            libc::O_NONBLOCK
        } else {
            0
        };
        let file = OpenOptions::new()
            .read(flags.read)
            .write(flags.write)
            .custom_flags(libc::O_NOCTTY | nonblocking)
            .open(path)
            .map_err(|e| Error::path(Operation::Open, path, e))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which device the node leads to: its major and minor number, as in the attribute `dev` of
    /// [`crate::sysfs`]. None when it is no character device.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `fstat(2)` returned.
    pub fn device_number(&self) -> Result<Option<(u32, u32)>, Error> {
        let metadata = self
            .file
            .metadata()
            .map_err(|e| Error::path(Operation::Identify, &self.path, e))?;
        let number = metadata.rdev();
        let number = (libc::major(number), libc::minor(number));
        Ok(metadata.file_type().is_char_device().then_some(number))
    }

    /// Reads once and returns how many bytes there were.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `read(2)` returned.
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, Error> {
        repeat(|| (&self.file).read(bytes)).map_err(|e| Error::path(Operation::Read, &self.path, e))
    }

    /// Writes once and returns how many bytes the driver took.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `write(2)` returned.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        repeat(|| (&self.file).write(bytes))
            .map_err(|e| Error::path(Operation::Write, &self.path, e))
    }

    /// Waits until the node is ready; see [`poll`].
    ///
    /// # Errors
    ///
    /// As [`poll`].
    pub fn poll(&self, interest: Interest, timeout: Option<Duration>) -> Result<Readiness, Error> {
        poll(self, interest, timeout)
    }
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<Node> for OwnedFd {
    fn from(node: Node) -> Self {
        node.file.into()
    }
}

/// Calls again for as long as a signal interrupts the call.
fn repeat(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_node() {
        let error = Node::open("/dev/no-such-node", Flags::READ).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert_eq!(error.to_string(), "cannot open /dev/no-such-node");
    }

    #[test]
    fn a_node_opened_for_reading_cannot_be_written() {
        let node = Node::open("/dev/null", Flags::READ).unwrap();
        let error = node.write(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn a_node_tells_its_device_and_a_file_has_none() {
        let number = |path| Node::open(path, Flags::READ).unwrap().device_number();
        assert_eq!(number("/dev/null").unwrap(), Some((1, 3)));
        assert_eq!(number("/proc/self/maps").unwrap(), None);
    }

    #[test]
    fn an_interrupted_call_is_repeated() {
        let mut results = vec![Ok(3), Err(io::Error::from(ErrorKind::Interrupted))];
        assert_eq!(repeat(|| results.pop().unwrap()).unwrap(), 3);
    }
}
