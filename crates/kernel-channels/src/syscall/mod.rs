// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls: the entry points themselves, by their numbers.
//!
//! Every other room ends here. What has a wrapper that says what it means should be called by that;
//! this is for what has none, for flags that only one call takes, and for measuring what it costs to
//! enter the kernel at all: [`floor`] is the floor of every other figure.
//!
//! [`call`] makes any system call and is unsafe. The others are safe, each one call with its types:
//! [`read`] and [`write`](fn@write) with flags for that call alone, [`copy`] from file to file within
//! the kernel, [`identify`] what a descriptor is, [`open_process`] and [`take_descriptor`] to get an
//! open file out of another process, [`close_on_exec`] to pass none on.
//!
//! # When to choose it
//!
//! When the room of the mechanism has no function for it: [`crate::chardev`] reads and writes,
//! [`crate::ioctl`] commands, [`crate::futex`] waits. Which calls a program makes is told by
//! [`crate::tracepoint`], system `syscalls`; which it may make is decided by a filter.
//!
//! # Contract
//!
//! A call returns a number, or an error number. Numbers of calls differ between architectures, and
//! never change; a call that the kernel has not fails with `ENOSYS`, and so does one that an old
//! container does not know. An unknown flag is refused and not ignored by the calls that are wrapped
//! here. A call that a signal interrupted before anything was moved is repeated by the functions that
//! move bytes, and by nothing else.
//!
//! # Safety
//!
//! The kernel takes arguments for addresses, descriptors and lengths by the number of the call only,
//! so [`call`] leaves all of that to its caller. The safe functions pass descriptors that are
//! borrowed, and addresses of memory that is borrowed, mutably if the kernel writes to it, for as long
//! as the call lasts; none of these calls keeps an address. A descriptor that a call returns is new,
//! and owned by nobody else.
//!
//! # Minimum kernel
//!
//! 5.11 for all of them: `preadv2` 4.6, `copy_file_range` between file systems 5.3, `statx` 4.11,
//! `pidfd_open` 5.3, `pidfd_getfd` 5.6, `close_range` with `CLOSE_RANGE_CLOEXEC` 5.11.
//!
//! # References
//!
//! `syscall(2)`, `syscalls(2)`, `preadv2(2)`, `copy_file_range(2)`, `statx(2)`, `pidfd_getfd(2)`,
//! `close_range(2)`, `Documentation/process/adding-syscalls.rst`
//!
//! # Example
//!
//! ```
//! use std::fs::File;
//! use kernel_channels::syscall::{self, Flags};
//!
//! let zero = File::open("/dev/zero").unwrap();
//! let mut bytes = [1; 4];
//! assert_eq!(syscall::read(&zero, &mut bytes, None, Flags::NONE)?, 4);
//! assert_eq!(bytes, [0; 4]);
//! assert_eq!(syscall::identify(&zero)?.device, (1, 5));
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod bytes;
mod calls;
mod process;
mod status;

use std::fmt;
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

pub use self::bytes::{Flags, copy, read, write};
pub use self::process::{close_on_exec, open_process, take_descriptor};
pub use self::status::{Status, identify};
use crate::Error;

/// A system call: its name, and its number on this architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    number: libc::c_long,
    name: &'static str,
}

impl Call {
    /// A call that has no constant here.
    pub const fn new(name: &'static str, number: libc::c_long) -> Self {
        Self { number, name }
    }

    /// Its name, as in `syscalls(2)`.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Its number.
    pub const fn number(self) -> libc::c_long {
        self.number
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// Makes a system call and returns what it returned. Arguments that it does not take are 0.
///
/// # Safety
///
/// With these arguments, the call does nothing that safe code may rely on not to happen: it accesses
/// no memory but what it may, and changes or closes no descriptor and no mapping that is not the
/// caller's to change.
///
/// # Errors
///
/// [`Error::SystemCall`] with the error number that it returned.
pub unsafe fn call(call: Call, arguments: [usize; 6]) -> Result<usize, Error> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller's promise.
    let returned = unsafe { libc::syscall(call.number, a, b, c, d, e, f) };
    if returned == -1 {
        let source = io::Error::last_os_error();
        let call = call.name;
        return Err(Error::SystemCall { call, source });
    }
    // Not the number of an error, so whatever it is, its bits are what was meant.
    Ok(returned as usize)
}

/// The same, again and again as long as a signal interrupts it.
///
/// # Safety
///
/// As [`call`], each time.
unsafe fn repeat(number: Call, arguments: [usize; 6]) -> Result<usize, Error> {
    loop {
        // SAFETY: the caller's promise.
        match unsafe { call(number, arguments) } {
            Err(Error::SystemCall { source, .. }) if source.kind() == ErrorKind::Interrupted => {}
            returned => return returned,
        }
    }
}

/// What it costs to enter the kernel, do next to nothing there and leave it: the mean of so many
/// calls of `getppid(2)`.
pub fn floor(rounds: NonZeroU32) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds.get() {
        // SAFETY: the call takes no arguments and changes nothing.
        let parent = unsafe { call(Call::GETPPID, [0; 6]) };
        // It cannot fail.
        let _ = parent;
    }
    start.elapsed() / rounds.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_returns_is_passed_on() {
        // SAFETY: the call takes no arguments and changes nothing.
        let id = unsafe { call(Call::GETPID, [0; 6]) }.unwrap();
        assert_eq!(id, std::process::id() as usize);
    }

    #[test]
    fn a_call_that_there_is_not_is_named() {
        const NONE: Call = Call::new("sit_down", 60_000);
        // SAFETY: the kernel has no such call.
        let error = unsafe { call(NONE, [0; 6]) }.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSYS));
        assert_eq!(error.to_string(), "system call sit_down failed");
    }

    #[test]
    fn entering_the_kernel_takes_time() {
        assert!(floor(NonZeroU32::MIN.saturating_add(999)) > Duration::ZERO);
    }
}
