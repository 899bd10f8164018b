// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls that no safe API offers, each for one test.

use std::ffi::c_void;
use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use dmacopy_client::{Buffer, Session};
use dmacopy_uapi::ioctl;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use kernel_channels::uring::Ring;
use nix::errno::Errno;
use nix::sys::mman::{
    MRemapFlags, MapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, mremap, munmap,
};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, pipe};
use zerocopy::IntoBytes;

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

/// Asks the kernel to make a mapping twice as long as it is, and gives it back.
///
/// # Errors
///
/// What `mmap(2)`, `mremap(2)` or `munmap(2)` returned.
pub fn try_enlarging(fd: impl AsFd, length: usize) -> nix::Result<()> {
    let whole = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses a place where nothing is mapped.
    let address = unsafe { mmap(None, whole, protection, MapFlags::MAP_SHARED, fd, 0) }?;
    // SAFETY: this is what was mapped above, whole, and nobody has seen its address.
    let moved = unsafe {
        mremap(
            address,
            length,
            2 * length,
            MRemapFlags::MREMAP_MAYMOVE,
            None,
        )
    };
    let (address, length) = moved.map_or((address, length), |address| (address, 2 * length));
    // SAFETY: it is there now, as long as that, and nobody has seen its address.
    unsafe { munmap(address, length) }?;
    moved.map(drop)
}

/// Asks the kernel to let a mapping be executed, and gives it back.
///
/// # Errors
///
/// What `mmap(2)`, `mprotect(2)` or `munmap(2)` returned.
pub fn try_making_executable(fd: impl AsFd, length: usize) -> nix::Result<()> {
    let whole = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
    let (readable, flags) = (ProtFlags::PROT_READ, MapFlags::MAP_SHARED);
    // SAFETY: the kernel chooses a place where nothing is mapped.
    let address = unsafe { mmap(None, whole, readable, flags, fd, 0) }?;
    // SAFETY: this is what was mapped above, whole, and nobody has seen its address.
    let changed = unsafe { mprotect(address, length, readable | ProtFlags::PROT_EXEC) };
    // SAFETY: as above.
    unsafe { munmap(address, length) }?;
    changed
}

/// One page of a file, mapped as long as this is there.
#[derive(Debug)]
struct Page(NonNull<c_void>);

impl Page {
    /// As much as the smallest page has.
    const BYTES: usize = 4096;

    fn map(fd: impl AsFd, offset: i64) -> nix::Result<Self> {
        let length = NonZeroUsize::new(Self::BYTES).ok_or(Errno::EINVAL)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses a place where nothing is mapped.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, offset) }?;
        Ok(Self(start))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, and its address has not left this. A failure would leave it
        // mapped, which harms nobody.
        let _ = unsafe { munmap(self.0, Self::BYTES) };
    }
}

/// The first bytes of a file, which the kernel takes from a mapping without a copy, by the pages
/// themselves: what direct I/O needs.
///
/// # Errors
///
/// What `mmap(2)`, `pipe(2)` or `vmsplice(2)` returned; `EFAULT` when the mapping has no pages that
/// can be referred to.
pub fn spliced(fd: impl AsFd, offset: i64, length: usize) -> nix::Result<Vec<u8>> {
    let page = Page::map(fd, offset)?;
    let (reader, writer) = pipe()?;
    let iov = libc::iovec {
        iov_base: page.0.as_ptr(),
        iov_len: length.min(Page::BYTES),
    };
    // SAFETY: the range is mapped as long as `page` is there. The kernel reads it, now and until the
    // pipe has been read, which is below.
    let spliced = unsafe { libc::vmsplice(writer.as_raw_fd(), &raw const iov, 1, 0) };
    let spliced = Errno::result(spliced)?.unsigned_abs();
    let mut bytes = vec![0; spliced];
    let read = nix::unistd::read(&reader, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Waits until the first word of a file, which processes share, is not `value` any more; whether it
/// was woken up and not just late.
///
/// # Errors
///
/// What `mmap(2)` or `futex(2)` returned: `EFAULT` for memory that processes cannot wait on
/// together, `EAGAIN` when the word is another already, `ETIMEDOUT`.
pub fn wait_on_shared_word(fd: impl AsFd, value: u32, timeout: Duration) -> nix::Result<()> {
    let page = Page::map(fd, 0)?;
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the word is mapped and aligned as long as `page` is there, and the timeout lives as long
    // as the call.
    let waited = unsafe {
        libc::syscall(
            libc::SYS_futex,
            page.0.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            &raw const timeout,
        )
    };
    Errno::result(waited).map(drop)
}

/// Wakes who waits on the first word of a file; how many did.
///
/// # Errors
///
/// What `mmap(2)` or `futex(2)` returned.
pub fn wake_shared_word(fd: impl AsFd) -> nix::Result<usize> {
    let page = Page::map(fd, 0)?;
    // SAFETY: the word is mapped and aligned as long as `page` is there, and not accessed.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            page.0.as_ptr(),
            libc::FUTEX_WAKE,
            libc::c_int::MAX,
        )
    };
    Errno::result(woken).map(|woken| usize::try_from(woken).unwrap_or(0))
}

/// Memory with an edge, beyond which nothing can be accessed.
#[derive(Debug)]
struct Edge(NonNull<c_void>);

impl Edge {
    /// The bytes on either side, whole pages of any size.
    const HALF: usize = 64 << 10;

    /// Memory that the kernel may access as `protection` says, with `bytes` up to the edge.
    fn new(bytes: &[u8], protection: ProtFlags) -> nix::Result<Self> {
        let whole = NonZeroUsize::new(2 * Self::HALF).ok_or(Errno::EINVAL)?;
        let flags = MapFlags::MAP_PRIVATE;
        // SAFETY: the kernel chooses a place where nothing is mapped.
        let start = unsafe { mmap_anonymous(None, whole, ProtFlags::PROT_NONE, flags) }?;
        let edge = Self(start);
        let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: this is the first half of what was mapped above, and nobody refers to it.
        unsafe { mprotect(start, Self::HALF, writable) }?;
        let target = edge.before(bytes.len())?;
        // SAFETY: as many bytes lie between there and the edge, and nobody refers to them.
        unsafe { target.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        // SAFETY: as above.
        unsafe { mprotect(start, Self::HALF, protection) }?;
        Ok(edge)
    }

    /// The address as many bytes before the edge.
    fn before(&self, length: usize) -> nix::Result<NonNull<u8>> {
        let offset = Self::HALF.checked_sub(length).ok_or(Errno::EINVAL)?;
        // SAFETY: the offset is at most half of the memory.
        Ok(unsafe { self.0.cast::<u8>().add(offset) })
    }

    /// The bytes up to the edge, which must be readable.
    fn bytes(&self, length: usize) -> nix::Result<Vec<u8>> {
        let start = self.before(length)?;
        let mut bytes = vec![0; length];
        // SAFETY: as many bytes lie between there and the edge, readable as the caller says, and
        // the vector is as long.
        unsafe { start.copy_to_nonoverlapping(NonNull::from(&mut bytes[..]).cast(), length) };
        Ok(bytes)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, whole, and addresses of it are used in this file only,
        // as long as this exists.
        let unmapped = unsafe { munmap(self.0, 2 * Self::HALF) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// Writes `bytes` and as many more as `length` says, which cannot be read.
///
/// # Errors
///
/// What `write(2)` returned.
pub fn write_beyond(fd: impl AsFd, bytes: &[u8], length: usize) -> nix::Result<usize> {
    let edge = Edge::new(bytes, ProtFlags::PROT_READ)?;
    let start = edge.before(bytes.len())?.as_ptr().cast();
    // SAFETY: `write(2)` only reads from there, and fails where nothing can be read.
    let written = unsafe { libc::write(fd.as_fd().as_raw_fd(), start, bytes.len() + length) };
    Errno::result(written).map(isize::unsigned_abs)
}

/// Reads into `room` bytes and as many more as `length` says, which cannot be written. Returns what
/// was read.
///
/// # Errors
///
/// What `read(2)` returned.
pub fn read_beyond(fd: impl AsFd, room: usize, length: usize) -> nix::Result<Vec<u8>> {
    let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let edge = Edge::new(&[], writable)?;
    let start = edge.before(room)?.as_ptr().cast();
    // SAFETY: nobody refers to the memory there, and `read(2)` fails where nothing can be written.
    let read = unsafe { libc::read(fd.as_fd().as_raw_fd(), start, room + length) };
    let read = Errno::result(read)?.unsigned_abs();
    let mut bytes = edge.bytes(room)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads, unless that would wait: the flag is for this call alone. `RWF_NOWAIT`
///
/// # Errors
///
/// What `preadv2(2)` returned.
pub fn read_without_waiting(fd: impl AsFd, bytes: &mut [u8]) -> nix::Result<usize> {
    let iov = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let descriptor = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel writes as many bytes as there are, which are borrowed until it has.
    let read = unsafe { libc::preadv2(descriptor, &raw const iov, 1, -1, libc::RWF_NOWAIT) };
    Errno::result(read).map(isize::unsigned_abs)
}

/// Sends a command of the driver's by an io_uring, whatever it is.
///
/// # Errors
///
/// When it cannot be submitted there.
pub fn command(
    ring: &mut Ring,
    session: &Session,
    operation: u32,
    argument: [u8; 16],
    token: u64,
) -> std::result::Result<(), kernel_channels::Error> {
    // SAFETY: the file is the driver's, which has no command whose argument holds an address.
    unsafe { ring.command(session, operation, argument, token) }
}

/// Sends a doorbell by an io_uring of its own, with an argument of zeros, and with other bytes at
/// some places of its entry; its result, or the negative error number.
///
/// # Errors
///
/// What `io_uring_setup(2)` or `io_uring_enter(2)` returned; `ETIME` when it is not completed.
pub fn command_with(session: &Session, bytes: &[(usize, u8)]) -> io::Result<i32> {
    /// As long as nothing takes that is not stuck.
    const PATIENCE: Timespec = Timespec::new().sec(10);
    let mut ring = IoUring::new(1)?;
    let file = Fd(session.as_fd().as_raw_fd());
    let entry = opcode::UringCmd16::new(file, ioctl::SUBMIT).build();
    // SAFETY: an entry is a structure of integers without gaps, which the kernel defines.
    let mut raw: [u8; 64] = unsafe { mem::transmute(entry) };
    for (place, byte) in bytes {
        *raw.get_mut(*place).ok_or(io::ErrorKind::InvalidInput)? = *byte;
    }
    // SAFETY: any bytes are an entry.
    let entry: Entry = unsafe { mem::transmute(raw) };
    // SAFETY: the file is the driver's, which has no command that refers to memory of the program, and
    // it is open until this returns.
    let pushed = unsafe { ring.submission().push(&entry) };
    pushed.map_err(|_| io::ErrorKind::OutOfMemory)?;
    let arguments = SubmitArgs::new().timespec(&PATIENCE);
    ring.submitter().submit_with_args(1, &arguments)?;
    let completion = ring.completion().next();
    Ok(completion.ok_or(io::ErrorKind::TimedOut)?.result())
}

/// Asks for a copy with an argument that can be read and not written.
///
/// # Errors
///
/// What `ioctl(2)` returned.
pub fn copy_without_answer(session: &Session, copy: &ioctl::Copy) -> nix::Result<()> {
    // SAFETY: the file is the session's.
    unsafe { ask_for_copy(session.as_fd(), copy) }
}

/// A session's file by another descriptor, for who has given the session away.
#[derive(Debug)]
pub struct Beside(OwnedFd);

impl Beside {
    /// Makes the descriptor.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` returned.
    pub fn of(session: &Session) -> io::Result<Self> {
        session.as_fd().try_clone_to_owned().map(Self)
    }

    /// As [`copy_without_answer`].
    ///
    /// # Errors
    ///
    /// What `ioctl(2)` returned.
    pub fn copy_without_answer(&self, copy: &ioctl::Copy) -> nix::Result<()> {
        // SAFETY: the file is that of the session that this was made of.
        unsafe { ask_for_copy(self.0.as_fd(), copy) }
    }
}

/// Asks for a copy with an argument that can be read and not written.
///
/// # Safety
///
/// The file must be the driver's.
unsafe fn ask_for_copy(file: BorrowedFd<'_>, copy: &ioctl::Copy) -> nix::Result<()> {
    let bytes = copy.as_bytes();
    let edge = Edge::new(bytes, ProtFlags::PROT_READ)?;
    let argument = edge.before(bytes.len())?.as_ptr();
    let descriptor = file.as_raw_fd();
    #[allow(
        clippy::cast_lossless,
        reason = "`Ioctl` is an `unsigned long`, but an `int` with musl"
    )]
    let request = ioctl::COPY as libc::Ioctl;
    // SAFETY: the file is the driver's, which accesses as many bytes there as the request announces,
    // and fails where nothing can be written.
    let returned = unsafe { libc::ioctl(descriptor, request, argument) };
    Errno::result(returned).map(drop)
}

/// Calls something in a thread that has every capability of this one but `CAP_SYS_ADMIN`.
///
/// # Errors
///
/// What `capget(2)` or `capset(2)` returned.
pub fn without_admin<T: Send>(call: impl FnOnce() -> T + Send) -> nix::Result<T> {
    thread::scope(|scope| {
        let called = scope.spawn(|| drop_admin().map(|()| call()));
        called.join().unwrap_or(Err(Errno::ECANCELED))
    })
}

/// Takes `CAP_SYS_ADMIN` from this thread, for good.
fn drop_admin() -> nix::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`, and this thread.
    const HEADER: [u32; 2] = [0x2008_0522, 0];
    const ADMIN: u32 = 1 << 21;
    let mut header = HEADER;
    // Effective, permitted and inheritable ones, the lower halves first.
    let mut sets = [0_u32; 6];
    // SAFETY: the call reads and writes two words in the one and writes six words to the other.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
    Errno::result(got)?;
    for set in &mut sets[..3] {
        *set &= !ADMIN;
    }
    header = HEADER;
    // SAFETY: the call reads as many words as above, and changes this thread only.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()) };
    Errno::result(set).map(drop)
}

/// Writes to a file as root of a user namespace that was made for it, with all capabilities there.
/// Returns how the child ended that did so: with the error number as its exit status.
///
/// # Errors
///
/// What `fork(2)` or `waitpid(2)` returned.
pub fn writes_as_root_of_a_namespace(file: impl AsFd, text: &[u8]) -> nix::Result<WaitStatus> {
    let descriptor = file.as_fd().as_raw_fd();
    // SAFETY: the child has this thread only, and does nothing with it that waits for another or
    // takes memory: it makes two system calls and ends.
    match unsafe { fork() }? {
        ForkResult::Child => {
            // SAFETY: a process with one thread may have a user namespace of its own.
            let mut returned = unsafe { libc::unshare(libc::CLONE_NEWUSER) } as isize;
            if returned == 0 {
                // SAFETY: the call reads the text, which is as long as it says.
                returned = unsafe { libc::write(descriptor, text.as_ptr().cast(), text.len()) };
            }
            let errno = if returned < 0 { Errno::last_raw() } else { 0 };
            // SAFETY: ending a process needs nothing of it.
            unsafe { libc::_exit(errno) }
        }
        ForkResult::Parent { child } => waitpid(child, None),
    }
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
    handle(signal, SaFlags::empty())
}

/// Lets a signal interrupt system calls in this process, which are restarted, and do nothing else.
///
/// # Errors
///
/// What `sigaction(2)` returned.
pub fn restarted_after(signal: Signal) -> nix::Result<()> {
    handle(signal, SaFlags::SA_RESTART)
}

fn handle(signal: Signal, flags: SaFlags) -> nix::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = SigHandler::Handler(nothing);
    let action = SigAction::new(handler, flags, SigSet::empty());
    // SAFETY: the handler does nothing, which it may at any time.
    unsafe { sigaction(signal, &action) }.map(drop)
}
