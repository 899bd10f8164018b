// SPDX-License-Identifier: MIT OR Apache-2.0

//! ioctl requests: commands with a structure for an argument.
//!
//! A request is a number that a driver defines. By the scheme of `_IOR()` and its like the number
//! tells in which direction the argument goes, which driver it is meant for, and how long the
//! argument is.
//!
//! # When to choose it
//!
//! For commands that take several values at once or answer in the same call. For one value that
//! people should see too take [`crate::sysfs`], for a stream of bytes [`crate::chardev`].
//!
//! # Contract
//!
//! A driver that does not know a request returns `ENOTTY`. A request is not repeated here when a
//! signal interrupts it, because only the caller knows whether it may be done twice.
//!
//! # Safety
//!
//! `ioctl(2)` gives the kernel a bare pointer, and what a driver does with it is for the driver to
//! know. So making a [`Request`] is unsafe, and so is [`call`]; sending a request that has been
//! made is not. What this room adds to the promises of who made it is:
//!
//! - The argument has exactly the size that the request code announces, which [`Request::new`]
//!   checks when the program is compiled, and [`call`] each time. The driver writes that many
//!   bytes at most, into memory that is borrowed mutably for as long as the call lasts.
//! - Any bytes are a valid value of a type that is [`FromBytes`], so whatever the driver writes,
//!   and however little, leaves a valid value; and a type that is [`IntoBytes`] has no padding
//!   through which uninitialised memory would reach the kernel.
//! - Codes that announce no size, as those from before the scheme, get a null pointer.
//!
//! Drivers whose structures hold the addresses of more memory (`I2C_RDWR` and `SPI_IOC_MESSAGE`
//! are known ones) need a typed function of their own, in place of this room's.
//!
//! # Minimum kernel
//!
//! Any, on an architecture with the generic encoding of `include/uapi/asm-generic/ioctl.h`
//! (not MIPS, PowerPC and SPARC).
//!
//! # References
//!
//! `ioctl(2)`, `Documentation/driver-api/ioctl.rst`,
//! `Documentation/userspace-api/ioctl/ioctl-number.rst`
//!
//! # Example
//!
//! ```no_run
//! use kernel_channels::chardev::{Flags, Node};
//! use kernel_channels::ioctl::Request;
//!
//! /// `RNDGETENTCNT`, `_IOR('R', 0x00, int)`.
//! // SAFETY: the driver of /dev/random, which alone gets this request, writes one `int`.
//! const ENTROPY_COUNT: Request<i32> = unsafe { Request::new(0x8004_5200) };
//!
//! let random = Node::open("/dev/random", Flags::READ)?;
//! assert!(ENTROPY_COUNT.read(&random)? >= 0);
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::Error;

/// The size in bytes that a request code announces for its argument.
#[doc(alias = "_IOC_SIZE")]
pub const fn announced_size(code: u32) -> usize {
    ((code >> 16) & 0x3fff) as usize
}

/// A request whose argument is a `T`.
pub struct Request<T> {
    code: u32,
    argument: PhantomData<fn(T) -> T>,
}

impl<T: FromBytes + IntoBytes + Immutable> Request<T> {
    /// A request by its code.
    ///
    /// # Safety
    ///
    /// For every file that the request is sent to:
    ///
    /// - The driver takes `code` for a request whose argument is a `T`.
    /// - It accesses no more memory than the code announces, and none after the call.
    /// - It takes nothing in a `T` for the address of other memory.
    ///
    /// # Panics
    ///
    /// When the code announces another size than `T` has: in a `const`, as requests should be,
    /// that is an error of the compiler.
    pub const unsafe fn new(code: u32) -> Self {
        assert!(
            announced_size(code) == size_of::<T>() && size_of::<T>() > 0,
            "the request code announces another size than its argument has"
        );
        let argument = PhantomData;
        Self { code, argument }
    }

    /// Asks the driver to fill in a `T`, all zero before.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] with what `ioctl(2)` returned.
    pub fn read(self, fd: impl AsFd) -> Result<T, Error> {
        let mut argument = T::new_zeroed();
        self.read_write(fd, &mut argument)?;
        Ok(argument)
    }

    /// Passes a `T`, which the driver may change.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] with what `ioctl(2)` returned.
    pub fn read_write(self, fd: impl AsFd, argument: &mut T) -> Result<(), Error> {
        let argument = Some(argument.as_mut_bytes());
        // SAFETY: who made the request has promised all that `call` asks for.
        unsafe { call(fd, self.code, argument) }.map(drop)
    }
}

impl<T> Request<T> {
    /// The request code.
    pub const fn code(self) -> u32 {
        self.code
    }
}

// Derived implementations would ask the same of `T`, of which a request holds none.
impl<T> Clone for Request<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Request<T> {}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:#010x})", self.code)
    }
}

/// Sends a request by its code and returns what the driver returned.
///
/// This is for requests that have no type: those that test how a driver refuses a code or a size
/// that it does not know. Without an argument the driver gets a null pointer.
///
/// # Safety
///
/// The driver accesses no more memory by the argument's address than the code announces, and none
/// after the call; it takes nothing in the argument for the address of other memory.
///
/// # Errors
///
/// [`Error::ArgumentSize`] when the argument has not the size that the code announces, and
/// [`Error::Request`] with what `ioctl(2)` returned.
pub unsafe fn call(fd: impl AsFd, code: u32, argument: Option<&mut [u8]>) -> Result<i32, Error> {
    let descriptor = fd.as_fd().as_raw_fd();
    let pointer = match argument {
        None => ptr::null_mut(),
        Some(argument) if argument.len() == announced_size(code) && !argument.is_empty() => {
            argument.as_mut_ptr()
        }
        Some(argument) => {
            return Err(Error::ArgumentSize {
                request: code,
                announced: announced_size(code),
                actual: argument.len(),
            });
        }
    };
    #[allow(
        clippy::cast_lossless,
        reason = "`Ioctl` is an `unsigned long`, but an `int` with musl"
    )]
    let request = code as libc::Ioctl;
    // SAFETY: the descriptor is open, as `fd` lives until the end of this function. The pointer is
    // null, or leads to as many bytes as the code announces, which are borrowed mutably as long
    // and may take any value; that the driver accesses no others is the caller's promise.
    let returned = unsafe { libc::ioctl(descriptor, request, pointer) };
    if returned < 0 {
        return Err(Error::Request {
            request: code,
            descriptor,
            source: io::Error::last_os_error(),
        });
    }
    Ok(returned)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use zerocopy_derive::{FromBytes, Immutable, IntoBytes};

    use super::*;

    /// `RNDGETENTCNT`, `_IOR('R', 0x00, int)`.
    const ENTROPY_COUNT: u32 = 0x8004_5200;

    #[derive(FromBytes, IntoBytes, Immutable)]
    #[repr(C)]
    struct Pair {
        a: u32,
        b: u32,
    }

    #[test]
    fn a_driver_fills_in_the_argument() {
        let random = File::open("/dev/urandom").unwrap();
        // SAFETY: the request goes to /dev/urandom only, whose driver writes one `int`.
        let request = unsafe { Request::<i32>::new(ENTROPY_COUNT) };
        let count = request.read(&random).unwrap();
        assert!((1..=4096).contains(&count), "{count} bits of entropy");
    }

    #[test]
    fn the_size_is_read_from_the_code() {
        assert_eq!(announced_size(ENTROPY_COUNT), 4);
        assert_eq!(announced_size(0xffff_ffff), 0x3fff);
        assert_eq!(announced_size(0x5401), 0);
    }

    #[test]
    #[should_panic(expected = "another size")]
    fn a_code_for_another_size_is_no_request() {
        // SAFETY: the request is sent to no file.
        let _ = unsafe { Request::<Pair>::new(ENTROPY_COUNT) };
    }

    #[test]
    #[should_panic(expected = "another size")]
    fn a_code_without_a_size_is_no_request() {
        // SAFETY: the request is sent to no file.
        let _ = unsafe { Request::<()>::new(0x5401) };
    }

    #[test]
    fn a_short_argument_never_reaches_the_kernel() {
        let null = File::open("/dev/null").unwrap();
        // SAFETY: /dev/null has no requests.
        let result = unsafe { call(&null, ENTROPY_COUNT, Some(&mut [0; 3])) };
        let error = result.unwrap_err();
        assert!(matches!(
            error,
            Error::ArgumentSize {
                announced: 4,
                actual: 3,
                ..
            }
        ));
        assert_eq!(error.raw_os_error(), None);
    }

    #[test]
    fn an_unknown_request_is_refused_with_its_code() {
        let null = File::open("/dev/null").unwrap();
        // SAFETY: /dev/null has no requests.
        let result = unsafe { call(&null, ENTROPY_COUNT, Some(&mut [0; 4])) };
        let error = result.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        assert!(error.to_string().contains("0x80045200"), "{error}");
    }

    #[test]
    fn a_missing_argument_is_a_null_pointer() {
        let random = File::open("/dev/urandom").unwrap();
        // SAFETY: the driver writes one `int`, to the null pointer, which the kernel refuses.
        let error = unsafe { call(&random, ENTROPY_COUNT, None) }.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
    }
}
