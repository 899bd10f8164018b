// SPDX-License-Identifier: MIT OR Apache-2.0

//! Futexes: threads that sleep until somebody says that a word of memory has changed.
//!
//! A thread says which value it has seen, and sleeps unless there is another one by now. Whoever
//! changes the word says so, and costs nobody a system call when nobody sleeps.
//!
//! # When to choose it
//!
//! Between threads or processes that share memory already, such as an index of a ring: it is what
//! locks are made of, and the only way to wait for a word. A driver cannot wake up who sleeps on a
//! futex; it tells by [`crate::eventfd`], and who is told passes it on.
//!
//! # Contract
//!
//! The word is compared and the thread put to sleep in one step, so no wake-up is lost. Whoever is
//! woken up looks at the word again: it may have changed back, and a wake-up may be meant for another
//! use of the same word.
//!
//! [`Scope::Private`] is for threads of one process and goes by the address. [`Scope::Shared`] is
//! for all processes and goes by the page of a file: memory of a driver has none, and is refused with
//! `EFAULT`. A [`Mapping`](crate::mmap::Mapping) of `memfd_create(2)` has.
//!
//! # Safety
//!
//! The kernel reads the word, atomically, and does not write to it. It is an [`AtomicU32`] that is
//! borrowed as long as the call lasts; one in a mapping is checked to lie in it.
//!
//! # Minimum kernel
//!
//! 2.6.25.
//!
//! # References
//!
//! `futex(2)`, `futex(7)`
//!
//! # Example
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::thread;
//! use kernel_channels::futex::{Scope, Word};
//!
//! static DONE: AtomicU32 = AtomicU32::new(0);
//! let word = Word::new(&DONE, Scope::Private);
//! thread::scope(|scope| {
//!     scope.spawn(|| {
//!         DONE.store(1, Ordering::Release);
//!         word.wake(1)
//!     });
//!     while DONE.load(Ordering::Acquire) == 0 {
//!         word.wait(0, None)?;
//!     }
//!     Ok::<(), kernel_channels::Error>(())
//! })?;
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::mmap::Mapping;
use crate::{Error, Operation};

/// Who can wait for a word and wake up others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The threads of this process. `FUTEX_PRIVATE_FLAG`
    Private,
    /// All processes that have mapped the same page of a file.
    Shared,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Somebody has woken this thread up.
    Woken,
    /// The word had another value already.
    Changed,
    /// The time has passed.
    TimedOut,
}

/// A word of memory that threads wait for.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    word: &'a AtomicU32,
    scope: Scope,
}

impl<'a> Word<'a> {
    /// A word of the program's own memory.
    pub fn new(word: &'a AtomicU32, scope: Scope) -> Self {
        Self { word, scope }
    }

    /// A word of a mapping.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when four bytes at `offset` do not lie within the mapping, or are not
    /// aligned.
    pub fn in_mapping(mapping: &'a Mapping, offset: usize, scope: Scope) -> Result<Self, Error> {
        Ok(Self::new(mapping.index(offset)?, scope))
    }

    /// Its value; what was written before it is read after this.
    pub fn load(self) -> u32 {
        self.word.load(Ordering::Acquire)
    }

    /// Sleeps while the word has this value, until somebody wakes this thread up or `timeout` has
    /// passed. A signal does not end the wait, nor prolong it.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `futex(2)` returned; `EFAULT` for [`Scope::Shared`] in memory that
    /// no other process can share.
    pub fn wait(self, expected: u32, timeout: Option<Duration>) -> Result<Waited, Error> {
        let deadline = timeout.and_then(|timeout| now()?.checked_add(timeout));
        let deadline = deadline.map(timespec);
        let deadline = deadline.as_ref().map_or(ptr::null(), ptr::from_ref);
        loop {
            // The plain call has a timeout that begins anew after a signal.
            // SAFETY: the word lives and can be read until the end of the call, and the deadline is
            // null or valid.
            let returned = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.word.as_ptr(),
                    self.operation(libc::FUTEX_WAIT_BITSET),
                    expected,
                    deadline,
                    ptr::null::<u32>(),
                    libc::FUTEX_BITSET_MATCH_ANY,
                )
            };
            if returned == 0 {
                return Ok(Waited::Woken);
            }
            let source = io::Error::last_os_error();
            match source.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(Waited::Changed),
                Some(libc::ETIMEDOUT) => return Ok(Waited::TimedOut),
                Some(libc::EINTR) => {}
                _ => return Err(Error::object(Operation::Wait, "a futex", source)),
            }
        }
    }

    /// Wakes up at most `count` threads that sleep, and returns how many there were.
    ///
    /// # Errors
    ///
    /// As [`Self::wait`].
    pub fn wake(self, count: u32) -> Result<u32, Error> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        // SAFETY: the word lives until the end of the call, which does not even read it.
        let woken = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                self.operation(libc::FUTEX_WAKE),
                count,
            )
        };
        u32::try_from(woken).map_err(|_| {
            let source = io::Error::last_os_error();
            Error::object(Operation::Wake, "the waiters of a futex", source)
        })
    }

    fn operation(self, operation: libc::c_int) -> libc::c_int {
        match self.scope {
            Scope::Private => operation | libc::FUTEX_PRIVATE_FLAG,
            Scope::Shared => operation,
        }
    }
}

/// The time of `CLOCK_MONOTONIC`, which deadlines are in.
fn now() -> Option<Duration> {
    let mut time = timespec(Duration::ZERO);
    // SAFETY: the time is valid for writes.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
    (failed == 0).then(|| Duration::new(seconds, nanoseconds))
}

fn timespec(duration: Duration) -> libc::timespec {
    // SAFETY: all zero is a time.
    let mut time: libc::timespec = unsafe { MaybeUninit::zeroed().assume_init() };
    time.tv_sec = duration.as_secs().try_into().unwrap_or(libc::time_t::MAX);
    time.tv_nsec = duration.subsec_nanos().into();
    time
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_thread_sleeps_until_it_is_woken_up() {
        let value = AtomicU32::new(7);
        let word = Word::new(&value, Scope::Private);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| word.wait(7, Some(Duration::from_secs(10))));
            // It is woken up once it sleeps, and not before.
            while word.wake(1).unwrap() == 0 {
                assert!(!sleeper.is_finished());
                thread::yield_now();
            }
            assert_eq!(sleeper.join().unwrap().unwrap(), Waited::Woken);
        });
    }

    #[test]
    fn no_more_threads_are_woken_up_than_asked_for() {
        let value = AtomicU32::new(7);
        let word = Word::new(&value, Scope::Private);
        let (sender, ended) = channel();
        thread::scope(|scope| {
            for sender in [sender.clone(), sender] {
                scope.spawn(move || sender.send(word.wait(7, Some(PATIENCE)).unwrap()));
            }
            // Both sleep by then; if not, this proves less.
            thread::sleep(SHORT);
            let start = Instant::now();
            let wake_one = || loop {
                match word.wake(1).unwrap() {
                    0 if start.elapsed() < PATIENCE => thread::yield_now(),
                    woken => break woken,
                }
            };
            assert_eq!(wake_one(), 1);
            assert_eq!(ended.recv().unwrap(), Waited::Woken);
            assert_eq!(ended.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            assert_eq!(wake_one(), 1);
            assert_eq!(ended.recv().unwrap(), Waited::Woken);
        });
    }

    #[test]
    fn another_value_and_the_time_end_a_wait() {
        let value = AtomicU32::new(7);
        for scope in [Scope::Private, Scope::Shared] {
            let word = Word::new(&value, scope);
            assert_eq!(word.wait(8, None).unwrap(), Waited::Changed);
            let start = Instant::now();
            assert_eq!(word.wait(7, Some(SHORT)).unwrap(), Waited::TimedOut);
            assert!(start.elapsed() >= SHORT);
            assert_eq!(word.wake(u32::MAX).unwrap(), 0);
        }
    }

    #[test]
    fn a_word_outside_of_the_mapping_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64).unwrap();
        let mapping = Mapping::map(&file, 0, 64).unwrap();
        for offset in [2, 61, 64, usize::MAX] {
            let word = Word::in_mapping(&mapping, offset, Scope::Shared);
            assert!(matches!(word, Err(Error::Range { .. })), "{offset}");
        }
        let word = Word::in_mapping(&mapping, 60, Scope::Shared).unwrap();
        assert_eq!(word.wait(1, None).unwrap(), Waited::Changed);
    }
}
