// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signals: news that come unasked, to one thread, without a call that waits for them.
//!
//! A driver that supports `O_ASYNC` sends a signal when a file becomes ready. A program says which
//! signal, and which of its threads shall have it; a signal then tells which file it is about, and
//! what that is ready for.
//!
//! # When to choose it
//!
//! When a thread has something else to do than to wait, and must be disturbed. Who has a loop takes
//! [`crate::eventfd`] or [`crate::readiness`](crate::poll) instead; signals can wait in that loop as
//! well, by [`crate::eventfd::SignalQueue`].
//!
//! # Contract
//!
//! `SIGIO` says that something is ready somewhere, and several become one. A
//! [real-time signal](Signal::real_time) tells of what and is queued, each by itself; when the queue
//! is full (`ulimit -i`), the kernel sends `SIGIO` instead. So whoever chooses one has to be ready for
//! both, and looks at the file for what there is.
//!
//! A thread that has not [blocked](Blocked) a signal is interrupted by it, and without a handler
//! ended. Blocked signals wait until they are taken. A child process inherits the mask, and a thread
//! that of its maker, but neither inherits what waits.
//!
//! # Safety
//!
//! Masks, the descriptor's owner and its signal are numbers, which are passed by value or in
//! structures that live as long as the call. Nothing runs in a handler, so there is nothing that has
//! to be safe there.
//!
//! # Minimum kernel
//!
//! 2.6.32, for signals to one thread (`F_SETOWN_EX`).
//!
//! # References
//!
//! `signal(7)`, `fcntl(2)`, `sigwaitinfo(2)`, `sigaction(2)`
//!
//! # Example
//!
//! ```
//! use std::os::unix::net::UnixStream;
//! use std::io::Write as _;
//! use std::time::Duration;
//! use kernel_channels::signal::{Blocked, Notification, Signal};
//!
//! let signal = Signal::real_time(0).unwrap();
//! let blocked = Blocked::new(&[signal])?;
//! let (mut near, far) = UnixStream::pair().unwrap();
//! let notification = Notification::to_this_thread(&far, signal)?;
//! near.write_all(b"x").unwrap();
//! let info = blocked.wait(Some(Duration::from_secs(5)))?.unwrap();
//! assert_eq!(info.signal, signal);
//! assert!(info.poll.unwrap().readiness.readable);
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::time::{Duration, Instant};

use crate::{Error, Operation, Readiness};

// What `libc` has not for every C library; `include/uapi/asm-generic/fcntl.h`.
const F_SETOWN: libc::c_int = 8;
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
const F_OWNER_TID: libc::c_int = 0;

/// `si_code` of signals about files: from `POLL_IN` to `POLL_HUP`.
const POLL_CODES: std::ops::RangeInclusive<i32> = 1..=6;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(libc::c_int);

impl Signal {
    /// Something is ready somewhere. `SIGIO`
    pub const IO: Self = Self(libc::SIGIO);
    /// For the program's own use. `SIGUSR1`
    pub const USER1: Self = Self(libc::SIGUSR1);
    /// A child has ended. `SIGCHLD`
    pub const CHILD: Self = Self(libc::SIGCHLD);
    /// Ctrl-C was pressed. `SIGINT`
    pub const INTERRUPT: Self = Self(libc::SIGINT);
    /// The program is asked to end. `SIGTERM`
    pub const TERMINATE: Self = Self(libc::SIGTERM);

    /// A signal that is queued, by its number from 0 on; none if there are not so many. `SIGRTMIN`
    pub fn real_time(number: u8) -> Option<Self> {
        let signal = libc::SIGRTMIN() + i32::from(number);
        (signal <= libc::SIGRTMAX()).then_some(Self(signal))
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            libc::SIGIO => f.pad("SIGIO"),
            libc::SIGUSR1 => f.pad("SIGUSR1"),
            libc::SIGCHLD => f.pad("SIGCHLD"),
            libc::SIGINT => f.pad("SIGINT"),
            libc::SIGTERM => f.pad("SIGTERM"),
            number if (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number) => {
                f.pad(&format!("SIGRTMIN+{}", number - libc::SIGRTMIN()))
            }
            number => f.pad(&format!("signal {number}")),
        }
    }
}

/// What a signal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Which signal.
    pub signal: Signal,
    /// Why it was sent, for example `POLL_IN` or `SI_USER`. `si_code`
    pub code: i32,
    /// Which file it is about, if the kernel says so.
    pub poll: Option<PollInfo>,
}

/// What a signal tells about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollInfo {
    /// The descriptor, as it was when the signal was asked for. `si_fd`
    pub descriptor: RawFd,
    /// What it is ready for. `si_band`
    pub readiness: Readiness,
}

impl Info {
    /// From the fields of `siginfo_t`, whose last two only signals about files have.
    pub(crate) fn new(signal: i32, code: i32, band: libc::c_long, descriptor: RawFd) -> Self {
        let has = |bit: libc::c_short| band & libc::c_long::from(bit) != 0;
        let poll = POLL_CODES.contains(&code).then(|| PollInfo {
            descriptor,
            readiness: Readiness {
                readable: has(libc::POLLIN),
                writable: has(libc::POLLOUT),
                priority: has(libc::POLLPRI),
                hang_up: has(libc::POLLHUP),
                error: has(libc::POLLERR),
            },
        });
        let signal = Signal(signal);
        // A child that has ended has a code of the same value.
        let poll = poll.filter(|_| signal != Signal::CHILD);
        Self { signal, code, poll }
    }
}

/// Some signals.
pub(crate) struct Set(libc::sigset_t);

impl Set {
    pub(crate) fn new(signals: &[Signal]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the set is valid for writes.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        for signal in signals {
            // SAFETY: the set was initialised above, and a signal is a valid one.
            unsafe { libc::sigaddset(set.as_mut_ptr(), signal.0) };
        }
        // SAFETY: `sigemptyset` has initialised it.
        Self(unsafe { set.assume_init() })
    }

    pub(crate) fn as_raw(&self) -> &libc::sigset_t {
        &self.0
    }
}

/// Signals that do not interrupt this thread, until this is dropped, but wait to be taken. Those that
/// have not been taken by then are lost.
#[must_use = "the signals interrupt the thread again when this is dropped"]
pub struct Blocked {
    set: Set,
    before: Set,
    // Each thread has its own mask.
    thread: PhantomData<*mut ()>,
}

impl fmt::Debug for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocked").finish_non_exhaustive()
    }
}

impl Blocked {
    /// Blocks signals in the calling thread.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `pthread_sigmask(3)` returned.
    pub fn new(signals: &[Signal]) -> Result<Self, Error> {
        let set = Set::new(signals);
        let mut before = Set::new(&[]);
        // SAFETY: both sets are initialised, and valid during the call.
        let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set.0, &mut before.0) };
        if failed != 0 {
            let source = io::Error::from_raw_os_error(failed);
            return Err(Error::object(Operation::Set, "the signal mask", source));
        }
        Ok(Self {
            set,
            before,
            thread: PhantomData,
        })
    }

    /// Waits until one of the signals has come, and takes it; none when `timeout` has passed.
    ///
    /// Of several, those with the lowest number are first. Other signals do not end the wait.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `sigtimedwait(2)` returned.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Info>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|end| timespec(end.saturating_duration_since(Instant::now())));
            let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
            let mut info = PollSignal::default();
            // SAFETY: the set is initialised, and the timeout null or valid. A `PollSignal` is as
            // long as a `siginfo_t`, at least as aligned, and valid with any content.
            let signal = unsafe { libc::sigtimedwait(&self.set.0, (&raw mut info).cast(), left) };
            if signal >= 0 {
                let PollSignal {
                    code,
                    band,
                    descriptor,
                    ..
                } = info;
                return Ok(Some(Info::new(signal, code, band, descriptor)));
            }
            let source = io::Error::last_os_error();
            match source.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(None),
                Some(libc::EINTR) => {}
                _ => return Err(Error::object(Operation::Read, "a signal", source)),
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // They were meant for who has blocked them, and would end the program that has no handler.
        while let Ok(Some(_)) = self.wait(Some(Duration::ZERO)) {}
        // SAFETY: the set is initialised; the old one is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before.0, ptr::null_mut()) };
    }
}

/// `siginfo_t` of a signal about a file.
#[derive(Default)]
#[repr(C)]
struct PollSignal {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    band: libc::c_long,
    descriptor: libc::c_int,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<PollSignal>() == size_of::<libc::siginfo_t>());
const _: () = assert!(align_of::<PollSignal>() >= align_of::<libc::siginfo_t>());

fn timespec(duration: Duration) -> libc::timespec {
    // SAFETY: all zero is a time.
    let mut time: libc::timespec = unsafe { MaybeUninit::zeroed().assume_init() };
    time.tv_sec = duration.as_secs().try_into().unwrap_or(libc::time_t::MAX);
    time.tv_nsec = duration.subsec_nanos().into();
    time
}

/// A file that sends signals, until this is dropped.
#[derive(Debug)]
#[must_use = "no signals are sent any more when this is dropped"]
pub struct Notification<'a> {
    file: BorrowedFd<'a>,
}

impl<'a> Notification<'a> {
    /// Has a file send `signal` to the calling thread, which has [blocked](Blocked) it.
    ///
    /// It is the open file that has one owner and one signal, whatever descriptors lead to it.
    ///
    /// # Errors
    ///
    /// [`Error::Descriptor`] with what `fcntl(2)` returned.
    pub fn to_this_thread(file: &'a impl AsFd, signal: Signal) -> Result<Self, Error> {
        // SAFETY: it only returns a number.
        let thread = unsafe { libc::gettid() };
        let owner = [F_OWNER_TID, thread];
        let notification = Self { file: file.as_fd() };
        // SAFETY: the owner is a `struct f_owner_ex`, two numbers, and valid during the call.
        notification.result(unsafe {
            libc::fcntl(notification.file.as_raw_fd(), F_SETOWN_EX, owner.as_ptr())
        })?;
        notification.start(signal)
    }

    /// Has a file send `signal` to a process, by its number: to any of its threads that has not
    /// blocked it, or else it waits for one that takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Descriptor`] with what `fcntl(2)` returned; `ESRCH` if there is no such process.
    pub fn to_process(file: &'a impl AsFd, process: u32, signal: Signal) -> Result<Self, Error> {
        let notification = Self { file: file.as_fd() };
        notification.control(F_SETOWN, i32::try_from(process).unwrap_or(i32::MAX))?;
        notification.start(signal)
    }

    fn start(self, signal: Signal) -> Result<Self, Error> {
        self.control(F_SETSIG, signal.0)?;
        let flags = self.control(libc::F_GETFL, 0)?;
        self.control(libc::F_SETFL, flags | libc::O_ASYNC)?;
        Ok(self)
    }

    fn control(&self, command: libc::c_int, argument: libc::c_int) -> Result<libc::c_int, Error> {
        // SAFETY: all commands here take a number.
        self.result(unsafe { libc::fcntl(self.file.as_raw_fd(), command, argument) })
    }

    fn result(&self, returned: libc::c_int) -> Result<libc::c_int, Error> {
        if returned < 0 {
            return Err(Error::Descriptor {
                operation: Operation::Control,
                descriptor: self.file.as_raw_fd(),
                source: io::Error::last_os_error(),
            });
        }
        Ok(returned)
    }
}

impl Drop for Notification<'_> {
    fn drop(&mut self) {
        // The file is open, so these can fail for nothing that could be mended here.
        if let Ok(flags) = self.control(libc::F_GETFL, 0) {
            let _ = self.control(libc::F_SETFL, flags & !libc::O_ASYNC);
        }
        let _ = self.control(F_SETOWN, 0);
        let _ = self.control(F_SETSIG, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use nix::sys::signal::SigSet;

    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_secs(10));
    const NOW: Option<Duration> = Some(Duration::ZERO);
    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn a_signal_tells_which_file_is_ready_for_what() {
        let signal = Signal::real_time(1).unwrap();
        let blocked = Blocked::new(&[signal]).unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        let notification = Notification::to_this_thread(&far, signal).unwrap();
        near.write_all(b"x").unwrap();
        let info = blocked.wait(SOON).unwrap().unwrap();
        assert_eq!(info.signal, signal);
        let poll = info.poll.unwrap();
        assert_eq!(poll.descriptor, far.as_raw_fd());
        assert!(poll.readiness.readable);

        drop(notification);
        near.write_all(b"x").unwrap();
        assert_eq!(blocked.wait(NOW).unwrap(), None);
    }

    #[test]
    fn a_signal_that_does_not_come_is_waited_for_as_long_as_asked() {
        let blocked = Blocked::new(&[Signal::real_time(5).unwrap()]).unwrap();
        let start = Instant::now();
        assert_eq!(blocked.wait(Some(SHORT)).unwrap(), None);
        assert!(start.elapsed() >= SHORT);
    }

    #[test]
    fn the_mask_is_what_it_was_when_the_last_one_is_dropped() {
        let mask = || SigSet::thread_get_mask().unwrap();
        let before = mask();
        let outer = Blocked::new(&[Signal::USER1]).unwrap();
        let one = mask();
        assert_ne!(one, before);
        let inner = Blocked::new(&[Signal::USER1, Signal::IO]).unwrap();
        assert_ne!(mask(), one);
        drop(inner);
        assert_eq!(mask(), one, "one of them was blocked already");
        drop(outer);
        assert_eq!(mask(), before);
    }

    #[test]
    fn a_signal_about_a_child_is_about_no_file() {
        // `CLD_EXITED` is as large as `POLL_IN`.
        let about = |signal: Signal, code| {
            let info = Info::new(signal.number(), code, libc::POLLIN.into(), 5);
            assert_eq!((info.signal, info.code), (signal, code));
            info.poll
        };
        assert_eq!(about(Signal::CHILD, libc::CLD_EXITED), None);
        assert_eq!(about(Signal::IO, libc::SI_USER), None);
        assert_eq!(about(Signal::IO, 1).unwrap().descriptor, 5);
    }

    #[test]
    fn a_file_that_cannot_send_signals_is_named() {
        let file = std::fs::File::open("/proc/self/maps").unwrap();
        let error = Notification::to_process(&file, u32::MAX, Signal::IO).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
        let descriptor = file.as_raw_fd();
        assert_eq!(
            error.to_string(),
            format!("cannot control file descriptor {descriptor}")
        );
    }

    #[test]
    fn there_are_only_so_many_signals() {
        assert_eq!(Signal::real_time(100), None);
        assert_eq!(Signal::real_time(2).unwrap().to_string(), "SIGRTMIN+2");
    }
}
