// SPDX-License-Identifier: MIT OR Apache-2.0

//! Moving bytes, with flags for one call.

use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::{Call, repeat};
use crate::Error;

/// How to read or write, this time. A set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(i32);

impl Flags {
    /// As the file was opened.
    pub const NONE: Self = Self(0);
    /// Poll for the completion. `RWF_HIPRI`
    pub const POLLED: Self = Self(libc::RWF_HIPRI);
    /// Do not return before the data are on the medium. `RWF_DSYNC`
    pub const DATA_SYNC: Self = Self(libc::RWF_DSYNC);
    /// Nor before all about the file is. `RWF_SYNC`
    pub const SYNC: Self = Self(libc::RWF_SYNC);
    /// Fail with `EAGAIN` rather than wait. `RWF_NOWAIT`
    pub const NO_WAIT: Self = Self(libc::RWF_NOWAIT);
    /// Write to the end of the file. `RWF_APPEND`
    pub const APPEND: Self = Self(libc::RWF_APPEND);

    /// Flags as the kernel has them, for those that have no name here.
    pub const fn from_bits(bits: i32) -> Self {
        Self(bits)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Reads from an offset, or from where the file is without one, and returns how many bytes.
/// `preadv2(2)`
///
/// # Errors
///
/// [`Error::SystemCall`]: `EAGAIN` when it would have to wait and must not, `EOPNOTSUPP` for flags
/// that the file does not support, `ESPIPE` for an offset in a stream, `EINVAL` for one above
/// `i64::MAX`, and what the driver returns.
pub fn read(
    fd: impl AsFd,
    bytes: &mut [u8],
    offset: Option<u64>,
    flags: Flags,
) -> Result<usize, Error> {
    let part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let arguments = arguments(Call::PREADV2, &fd, &part, offset, flags)?;
    // SAFETY: the kernel reads one part, which is borrowed, and writes to its bytes, which are
    // borrowed mutably; both for longer than the call.
    unsafe { repeat(Call::PREADV2, arguments) }
}

/// Writes to an offset, or to where the file is without one, and returns how many bytes.
/// `pwritev2(2)`
///
/// # Errors
///
/// As [`read`].
pub fn write(
    fd: impl AsFd,
    bytes: &[u8],
    offset: Option<u64>,
    flags: Flags,
) -> Result<usize, Error> {
    let part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let arguments = arguments(Call::PWRITEV2, &fd, &part, offset, flags)?;
    // SAFETY: the kernel reads one part and its bytes, which are borrowed for longer than the call.
    unsafe { repeat(Call::PWRITEV2, arguments) }
}

fn arguments(
    call: Call,
    fd: &impl AsFd,
    part: &libc::iovec,
    offset: Option<u64>,
    flags: Flags,
) -> Result<[usize; 6], Error> {
    /// -1 in both halves. With words of 64 bits the kernel looks at the first only.
    const NONE: u64 = u64::MAX;

    if offset == Some(NONE) {
        // As the kernel does with all others of that size.
        let call = call.name();
        let source = io::Error::from_raw_os_error(libc::EINVAL);
        return Err(Error::SystemCall { call, source });
    }
    let offset = offset.unwrap_or(NONE);
    let (low, high) = (offset as usize, (offset >> 32) as usize);
    let part = ptr::from_ref(part).expose_provenance();
    Ok([descriptor(fd), part, 1, low, high, flags.0 as usize])
}

/// Copies from where one file is to where another one is, at most so many bytes, and returns how
/// many; they need not come by here. `copy_file_range(2)`
///
/// # Errors
///
/// [`Error::SystemCall`]: `EINVAL` when one of them is no regular file, `EBADF` when they are not
/// open for that.
pub fn copy(from: impl AsFd, to: impl AsFd, length: usize) -> Result<usize, Error> {
    let arguments = [descriptor(&from), 0, descriptor(&to), 0, length, 0];
    // SAFETY: without addresses of offsets the call accesses no memory, and the descriptors are
    // borrowed.
    unsafe { repeat(Call::COPY_FILE_RANGE, arguments) }
}

pub(super) fn descriptor(fd: &impl AsFd) -> usize {
    // Open ones are not negative.
    fd.as_fd().as_raw_fd() as usize
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn offsets_are_those_of_the_file() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(write(&file, b"abcdef", Some(2), Flags::NONE).unwrap(), 6);
        let mut bytes = [9; 8];
        assert_eq!(read(&file, &mut bytes, Some(1), Flags::NONE).unwrap(), 7);
        assert_eq!(&bytes[..7], b"\0abcdef");
        assert_eq!(read(&file, &mut bytes, None, Flags::NONE).unwrap(), 8);
        let beyond = u64::from(u32::MAX) + 1;
        assert_eq!(
            read(&file, &mut bytes, Some(beyond), Flags::NONE).unwrap(),
            0
        );
    }

    #[test]
    fn an_offset_that_no_file_has_is_refused_and_does_not_stand_for_none() {
        let file = tempfile::tempfile().unwrap();
        for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let read = read(&file, &mut [0], Some(offset), Flags::NONE).unwrap_err();
            assert_eq!(read.raw_os_error(), Some(libc::EINVAL), "{offset}");
            let written = write(&file, b"x", Some(offset), Flags::NONE).unwrap_err();
            assert_eq!(written.raw_os_error(), Some(libc::EINVAL), "{offset}");
        }
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[test]
    fn a_flag_is_for_one_call() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut byte = [0];
        let empty = read(&near, &mut byte, None, Flags::NO_WAIT).unwrap_err();
        assert_eq!(empty.raw_os_error(), Some(libc::EAGAIN));
        far.write_all(b"x").unwrap();
        assert_eq!(read(&near, &mut byte, None, Flags::NO_WAIT).unwrap(), 1);
        let flags = Flags::from_bits(1 << 30) | Flags::APPEND;
        let unknown = write(&near, b"x", None, flags).unwrap_err();
        assert_eq!(unknown.raw_os_error(), Some(libc::EOPNOTSUPP));
    }

    #[test]
    fn bytes_go_from_file_to_file() {
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(b"from file to file").unwrap();
        from.rewind().unwrap();
        let mut to = tempfile::tempfile().unwrap();
        assert_eq!(copy(&from, &to, 9).unwrap(), 9);
        to.rewind().unwrap();
        let mut text = String::new();
        to.read_to_string(&mut text).unwrap();
        assert_eq!(text, "from file");
        let null = File::options().write(true).open("/dev/null").unwrap();
        let error = copy(&from, &null, 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert!(fs::metadata("/dev/null").unwrap().len() == 0);
    }
}
