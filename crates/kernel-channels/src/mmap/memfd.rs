// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory without a name, which whoever has its descriptor can map.
//!
//! # References
//!
//! `memfd_create(2)`, `fcntl(2)` on seals

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::Mapping;
use crate::{Error, Operation};

/// How it is called where the kernel lists what a program has open.
const NAME: &str = "kernel-channels";

/// Zeroed memory behind a file descriptor, of a size that never shrinks.
#[derive(Debug)]
pub struct MemFd {
    file: File,
}

impl MemFd {
    /// `bytes` bytes of memory.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `memfd_create(2)` returned, [`Error::Descriptor`] when the memory
    /// cannot have this size.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let descriptor = memfd_create(NAME, flags)
            .map_err(|errno| Error::path(Operation::Create, NAME.as_ref(), errno.into()))?;
        let file = File::from(descriptor);
        let failed = |source: io::Error| Error::Descriptor {
            operation: Operation::Create,
            descriptor: file.as_raw_fd(),
            source,
        };
        file.set_len(bytes).map_err(failed)?;
        // An access to what has been cut off would end the program.
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))
            .map_err(|errno| failed(errno.into()))?;
        Ok(Self { file })
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
}

impl AsFd for MemFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_and_shared_by_its_mappings() {
        let memory = MemFd::new(8192).unwrap();
        let mut one = memory.map(0, 8192).unwrap();
        let other = memory.map(4096, 4096).unwrap();
        assert_eq!(one.copy_to_vec(0, 8192).unwrap(), [0; 8192]);
        one.write(4096, b"seen").unwrap();
        assert_eq!(other.copy_to_vec(0, 4).unwrap(), b"seen");
    }

    #[test]
    fn memory_never_shrinks() {
        let memory = MemFd::new(8192).unwrap();
        let error = memory.file.set_len(4096).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        memory.file.set_len(12288).unwrap();
    }

    #[test]
    fn more_than_there_can_be_is_refused_with_its_descriptor() {
        let error = MemFd::new(u64::MAX).unwrap_err();
        let operation = Operation::Create;
        assert!(
            matches!(error, Error::Descriptor { operation: failed, .. } if failed == operation),
            "{error}"
        );
    }
}
