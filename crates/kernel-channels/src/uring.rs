// SPDX-License-Identifier: MIT OR Apache-2.0

//! io_uring: calls that a program submits and does not wait for.
//!
//! No room of its own, but another door to some: what can be read, written and polled as a
//! [character device](crate::chardev), and what takes an [`ioctl`](crate::ioctl) if its driver takes
//! it here, too.
//!
//! # When to choose it
//!
//! When one thread has many calls under way at once, and wants to wait for all of them in one place,
//! without a thread for each.
//!
//! # Contract
//!
//! What was submitted is under way until its [`Completion`] is there, in whatever order they end. A
//! call that would wait is waited for by the kernel. A buffer belongs to the kernel meanwhile, and
//! comes back with the completion.
//!
//! # Safety
//!
//! The kernel reads and writes a buffer until the call has been completed, also when the ring has
//! been closed. So a [`Ring`] owns the buffers of all calls that are under way, and leaks those that
//! have not come back when it is dropped. A descriptor is looked up when the call is submitted, which
//! is before the function returns that borrows it.
//!
//! # Minimum kernel
//!
//! 5.19, for commands; 5.11 for the rest.
//!
//! # References
//!
//! `io_uring(7)`, `io_uring_enter(2)`
//!
//! # Example
//!
//! ```no_run
//! use kernel_channels::chardev::{Flags, Node};
//! use kernel_channels::uring::Ring;
//!
//! let zero = Node::open("/dev/zero", Flags::READ)?;
//! let mut ring = Ring::new(8)?;
//! ring.read(&zero, vec![1; 4], 7)?;
//! let completion = &ring.wait(1, None)?[0];
//! assert_eq!((completion.token, completion.result), (7, Ok(4)));
//! assert_eq!(completion.buffer, [0; 4]);
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use io_uring::squeue::Entry;
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};

use crate::{Error, Interest, Operation};

/// Calls that are under way.
pub struct Ring {
    ring: IoUring,
    /// By the number that the kernel has for them.
    calls: HashMap<u64, Call>,
    last: u64,
}

struct Call {
    token: u64,
    /// The kernel's, until the call is completed.
    buffer: Vec<u8>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What it was submitted with.
    pub token: u64,
    /// What it returned, or its error number.
    pub result: Result<u32, i32>,
    /// Its buffer, if it had one.
    pub buffer: Vec<u8>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.calls.len();
        f.debug_struct("Ring")
            .field("under_way", &under_way)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring of so many entries, which does not survive `execve(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `io_uring_setup(2)` returned; `EPERM` when the system forbids it.
    pub fn new(entries: u32) -> Result<Self, Error> {
        let ring = IoUring::new(entries)
            .map_err(|e| Error::object(Operation::Create, "an io_uring", e))?;
        let calls = HashMap::new();
        let last = 0;
        Ok(Self { ring, calls, last })
    }

    /// Reads into a buffer, at most its length.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `io_uring_enter(2)` returned. What the call returns is in its
    /// completion, here as below.
    pub fn read(&mut self, file: impl AsFd, buffer: Vec<u8>, token: u64) -> Result<(), Error> {
        let file = Fd(file.as_fd().as_raw_fd());
        self.submit(token, buffer, |buffer| {
            let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            opcode::Read::new(file, buffer.as_mut_ptr(), length)
                .offset(u64::MAX)
                .build()
        })
    }

    /// Writes a buffer.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn write(&mut self, file: impl AsFd, buffer: Vec<u8>, token: u64) -> Result<(), Error> {
        let file = Fd(file.as_fd().as_raw_fd());
        self.submit(token, buffer, |buffer| {
            let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            opcode::Write::new(file, buffer.as_ptr(), length)
                .offset(u64::MAX)
                .build()
        })
    }

    /// Waits until a file is ready; returns the bits of `poll(2)`.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn poll(&mut self, file: impl AsFd, interest: Interest, token: u64) -> Result<(), Error> {
        let file = Fd(file.as_fd().as_raw_fd());
        let flag = |wanted: bool, flag: libc::c_short| if wanted { flag } else { 0 };
        let flags = flag(interest.readable, libc::POLLIN)
            | flag(interest.writable, libc::POLLOUT)
            | flag(interest.priority, libc::POLLPRI);
        self.submit(token, Vec::new(), |_| {
            opcode::PollAdd::new(file, flags.unsigned_abs().into()).build()
        })
    }

    /// Sends a command of the driver's with an argument of up to 16 bytes.
    ///
    /// # Safety
    ///
    /// The driver takes nothing in the argument for the address of memory.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub unsafe fn command(
        &mut self,
        file: impl AsFd,
        operation: u32,
        argument: [u8; 16],
        token: u64,
    ) -> Result<(), Error> {
        let file = Fd(file.as_fd().as_raw_fd());
        self.submit(token, Vec::new(), |_| {
            opcode::UringCmd16::new(file, operation)
                .cmd(argument)
                .build()
        })
    }

    /// Ends a call that was submitted with a token, if it is under way: it returns `ECANCELED`,
    /// usually. Returns `ENOENT` if there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn cancel(&mut self, cancelled: u64, token: u64) -> Result<(), Error> {
        let mut calls = self.calls.iter();
        let number = calls.find_map(|(number, call)| (call.token == cancelled).then_some(*number));
        // 0 is none.
        let entry = opcode::AsyncCancel::new(number.unwrap_or(0)).build();
        self.submit(token, Vec::new(), |_| entry)
    }

    /// Waits until as many calls are completed, or `timeout` has passed, and returns all that are.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn wait(
        &mut self,
        count: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<Completion>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut found = Vec::new();
        loop {
            let calls = &mut self.calls;
            found.extend(self.ring.completion().filter_map(|entry| {
                let Call { token, buffer } = calls.remove(&entry.user_data())?;
                let result = u32::try_from(entry.result()).map_err(|_| -entry.result());
                Some(Completion {
                    token,
                    result,
                    buffer,
                })
            }));
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if found.len() >= count || left.is_some_and(|left| left.is_zero()) {
                return Ok(found);
            }
            let left = left.map(Timespec::from);
            let mut arguments = SubmitArgs::new();
            if let Some(left) = &left {
                arguments = arguments.timespec(left);
            }
            let missing = count - found.len();
            let waited = self.ring.submitter().submit_with_args(missing, &arguments);
            match waited.map_err(|e| (e.raw_os_error(), e)) {
                Ok(_) | Err((Some(libc::ETIME | libc::EINTR), _)) => {}
                Err((_, e)) => return Err(Error::object(Operation::Wait, "an io_uring", e)),
            }
        }
    }

    fn submit(
        &mut self,
        token: u64,
        mut buffer: Vec<u8>,
        entry: impl FnOnce(&mut Vec<u8>) -> Entry,
    ) -> Result<(), Error> {
        self.last += 1;
        let entry = entry(&mut buffer).user_data(self.last);
        // SAFETY: the buffer is on the heap, and belongs to `calls` until the call is completed, or
        // for ever. The file is open until this returns, and the kernel has looked it up by then.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        if pushed.is_err() {
            let full = io::Error::from_raw_os_error(libc::EBUSY);
            return Err(Error::object(Operation::Write, "an io_uring", full));
        }
        self.calls.insert(self.last, Call { token, buffer });
        loop {
            match self.ring.submit() {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::object(Operation::Write, "an io_uring", e)),
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        for call in mem::take(&mut self.calls).into_values() {
            mem::forget(call.buffer);
        }
    }
}
