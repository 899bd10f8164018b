// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls that no safe API offers, each for one test.

use std::num::NonZeroUsize;
use std::os::fd::AsFd;

use dmacopy_client::Buffer;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// A kind of mapping that a driver of a shared buffer has reason to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusable {
    /// One whose pages are copied when written. `MAP_PRIVATE`
    Private,
    /// One that can be executed. `PROT_EXEC`
    Executable,
}

/// Asks the kernel for a mapping that it should refuse, and gives it back at once.
///
/// # Errors
///
/// What `mmap(2)` returned.
pub fn try_mapping(fd: impl AsFd, kind: Refusable, length: usize) -> nix::Result<()> {
    let length = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
    let (protection, flags) = match kind {
        Refusable::Private => (ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE),
        Refusable::Executable => (ProtFlags::PROT_EXEC, MapFlags::MAP_SHARED),
    };
    // SAFETY: the kernel chooses a place where nothing is mapped.
    let address = unsafe { mmap(None, length, protection, flags, fd, 0) }?;
    // SAFETY: this is what was mapped above, whole, and nobody has seen its address.
    unsafe { munmap(address, length.get()) }
}

/// Reads a byte of a buffer in a child that `fork(2)` makes, and returns how the child ended: with
/// exit status 0 if it could.
///
/// # Errors
///
/// What `fork(2)` or `waitpid(2)` returned.
pub fn child_reads(buffer: &Buffer) -> nix::Result<WaitStatus> {
    // SAFETY: the child has this thread only, and does nothing with it that waits for another or
    // takes memory: it copies a byte and ends.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let failed = buffer.read(0, &mut [0]).is_err();
            // SAFETY: ending a process needs nothing of it.
            unsafe { libc::_exit(failed.into()) }
        }
        ForkResult::Parent { child } => waitpid(child, None),
    }
}

/// Lets a signal interrupt system calls in this process, which are not restarted, and do nothing
/// else.
///
/// # Errors
///
/// What `sigaction(2)` returned.
pub fn interrupted_by(signal: Signal) -> nix::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = SigHandler::Handler(nothing);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, which it may at any time.
    unsafe { sigaction(signal, &action) }.map(drop)
}
