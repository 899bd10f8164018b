// SPDX-License-Identifier: MIT OR Apache-2.0

//! Descriptors of processes, and those that processes have.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use super::bytes::descriptor;
use super::{Call, call};
use crate::Error;

/// A descriptor of a process, which cannot come to mean another one, and is readable once it has
/// ended. `pidfd_open(2)`
///
/// # Errors
///
/// [`Error::SystemCall`]: `ESRCH` when there is no such process, `EINVAL` for 0.
pub fn open_process(id: u32) -> Result<OwnedFd, Error> {
    // SAFETY: the call accesses no memory.
    let opened = unsafe { call(Call::PIDFD_OPEN, [id as usize, 0, 0, 0, 0, 0]) }?;
    Ok(owned(opened))
}

/// A duplicate of a descriptor that another process has, by its number there. Both are the same open
/// file, as after `dup(2)`, also when the other process has ended. `pidfd_getfd(2)`
///
/// # Errors
///
/// [`Error::SystemCall`]: `EBADF` when it has no such descriptor, `ESRCH` when it has ended, `EPERM`
/// for who may not trace it (`ptrace(2)`).
pub fn take_descriptor(process: impl AsFd, number: RawFd) -> Result<OwnedFd, Error> {
    // A negative one is refused.
    let arguments = [descriptor(&process), number as usize, 0, 0, 0, 0];
    // SAFETY: the call accesses no memory, and leaves the other process as it is.
    let taken = unsafe { call(Call::PIDFD_GETFD, arguments) }?;
    Ok(owned(taken))
}

/// Has `execve(2)` close all descriptors of this process from this number on. None is closed now.
/// `close_range(2)` with `CLOSE_RANGE_CLOEXEC`
///
/// # Errors
///
/// [`Error::SystemCall`]: `EINVAL` for a kernel without that flag.
pub fn close_on_exec(first: u32) -> Result<(), Error> {
    /// Not in `libc` for every C library.
    const CLOEXEC: usize = 1 << 2;
    let arguments = [first as usize, u32::MAX as usize, CLOEXEC, 0, 0, 0];
    // SAFETY: the call accesses no memory, and with the flag it closes nothing. That a descriptor is
    // not passed on breaks no promise: no program can count on that.
    unsafe { call(Call::CLOSE_RANGE, arguments) }.map(drop)
}

fn owned(number: usize) -> OwnedFd {
    // SAFETY: the kernel has just opened it, and nobody else knows of it. Descriptors are small.
    unsafe { OwnedFd::from_raw_fd(number as RawFd) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    #[test]
    fn a_descriptor_that_was_taken_is_the_same_open_file() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let this = open_process(std::process::id()).unwrap();
        let taken = take_descriptor(&this, writer.as_raw_fd()).unwrap();
        assert_ne!(taken.as_raw_fd(), writer.as_raw_fd());
        drop(writer);
        File::from(taken).write_all(b"taken").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "taken");
    }

    #[test]
    fn what_is_not_there_cannot_be_taken() {
        assert_eq!(
            open_process(0).unwrap_err().raw_os_error(),
            Some(libc::EINVAL)
        );
        let beyond = open_process(1 << 30).unwrap_err();
        assert_eq!(beyond.raw_os_error(), Some(libc::ESRCH));
        let this = open_process(std::process::id()).unwrap();
        for number in [-1, 1 << 20] {
            let error = take_descriptor(&this, number).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{number}");
        }
    }

    #[test]
    fn descriptors_are_marked_and_stay_open() {
        let file = tempfile::tempfile().unwrap();
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        close_on_exec(file.as_raw_fd().unsigned_abs()).unwrap();
        let flags = fcntl(&file, FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
    }
}
