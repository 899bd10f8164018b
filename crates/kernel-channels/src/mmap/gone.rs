// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory that goes while it is mapped, for programs that have something to say about it.
//!
//! # References
//!
//! `sigaction(2)`, `signal-safety(7)`

use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;

use crate::{Error, Operation};

/// `si_code` of an access to an address behind which there is no memory; `asm-generic/siginfo.h`.
const BUS_ADRERR: libc::c_int = 2;

/// The size of a page in bytes, for the handler.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// From here on, memory that has gone is replaced by zeroes when this program accesses it, instead
/// of ending it by `SIGBUS`: see [the room's contract](super#contract).
///
/// This is for a whole program, by whoever wrote it: what is read there is nothing that anybody
/// wrote, and what is written there reaches nobody. So the program has to ask the driver, after each
/// access that matters, whether the memory is there still.
///
/// # Errors
///
/// [`Error::Object`] with what `sigaction(2)` returned.
#[doc(alias = "SIGBUS")]
pub fn replace_by_zeroes() -> Result<(), Error> {
    // SAFETY: it takes a number and returns one.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It never fails, and no page is smaller.
    PAGE.store(usize::try_from(page).unwrap_or(4096), Ordering::Relaxed);
    // SAFETY: all fields are numbers, or an optional function that is not set.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = replace;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: the action lives as long as the call, and the old one is not asked for. The handler
    // has the arguments that `SA_SIGINFO` gives it, and calls only what may be called there.
    let set = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
    if set != 0 {
        let (object, source) = ("the handler of SIGBUS", io::Error::last_os_error());
        return Err(Error::object(Operation::Set, object, source));
    }
    Ok(())
}

/// The handler: after it the access is made once more.
extern "C" fn replace(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // What was interrupted may be about to look at it.
    let errno = Errno::last_raw();
    // SAFETY: the kernel has filled it in, and it is valid until the handler returns.
    let info = unsafe { &*info };
    let page = PAGE.load(Ordering::Relaxed);
    if info.si_code != BUS_ADRERR || !put_zeroes(info, page) {
        // SAFETY: it takes numbers.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: as above. The program ends when the handler has returned.
        unsafe { libc::raise(signal) };
    }
    Errno::set_raw(errno);
}

/// Maps zeroes in place of the page that was accessed, and says whether that worked.
fn put_zeroes(info: &libc::siginfo_t, page: usize) -> bool {
    // SAFETY: a `SIGBUS` with this code has an address.
    let address = unsafe { info.si_addr() };
    let start = address.wrapping_byte_sub(address.addr() % page);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: The page is mapped, or the access had raised `SIGSEGV`, and it stays so: who accesses
    // it has the mapping borrowed until the handler has returned, so nobody unmaps it and has
    // something else put there. It is one of a file or device that has no memory there; whoever has
    // mapped that has to expect that others change it, so nothing depends on what it holds.
    let mapped = unsafe { libc::mmap(start, page, protection, flags, -1, 0) };
    mapped != libc::MAP_FAILED
}
