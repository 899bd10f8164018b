// SPDX-License-Identifier: MIT OR Apache-2.0

//! No wait ends with a signal, nor is prolonged by it: of each room that promises so.

#![expect(unsafe_code, reason = "signals to one thread have no safe wrapper")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kernel_channels::eventfd::{Counter, Loop};
use kernel_channels::futex::{Scope, Waited, Word};
use kernel_channels::signal::{self, Blocked};
use kernel_channels::{Interest, poll};
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{getpid, gettid};

/// How long each room waits.
const TIMEOUT: Duration = Duration::from_millis(300);
/// How soon the next signal comes: often enough that a wait that begins anew each time never ends.
const PAUSE: Duration = Duration::from_millis(1);
/// How long they come, so that the test ends even then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits in vain, while signals interrupt this thread again and again.
fn through_signals(wait: impl FnOnce()) {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = SigHandler::Handler(nothing);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, which it may at any time.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let (process, thread) = (getpid().as_raw(), gettid().as_raw());
    let waits = AtomicBool::new(true);
    let start = Instant::now();
    let elapsed = thread::scope(|scope| {
        scope.spawn(|| {
            while waits.load(Ordering::Acquire) && start.elapsed() < PATIENCE {
                thread::sleep(PAUSE);
                let (call, signal) = (libc::SYS_tgkill, libc::SIGUSR1);
                // SAFETY: the call takes numbers only, and the signal has a handler.
                let sent = unsafe { libc::syscall(call, process, thread, signal) };
                Errno::result(sent).unwrap();
            }
        });
        wait();
        let elapsed = start.elapsed();
        waits.store(false, Ordering::Release);
        elapsed
    });
    assert!(elapsed >= TIMEOUT, "ended by a signal, after {elapsed:?}");
    assert!(elapsed < PATIENCE, "prolonged by each signal");
}

#[test]
fn poll_waits_through_signals() {
    let (reader, _writer) = UnixStream::pair().unwrap();
    through_signals(|| {
        let found = poll(&reader, Interest::READABLE, Some(TIMEOUT)).unwrap();
        assert!(found.is_none());
    });
}

#[test]
fn a_futex_waits_through_signals() {
    let value = AtomicU32::new(7);
    let word = Word::new(&value, Scope::Private);
    through_signals(|| {
        assert_eq!(word.wait(7, Some(TIMEOUT)).unwrap(), Waited::TimedOut);
    });
}

#[test]
fn who_has_blocked_a_signal_waits_through_others() {
    let signal = signal::Signal::real_time(4).unwrap();
    let blocked = Blocked::new(&[signal]).unwrap();
    through_signals(|| assert_eq!(blocked.wait(Some(TIMEOUT)).unwrap(), None));
}

#[test]
fn a_loop_waits_through_signals() {
    let (events, counter) = (Loop::new().unwrap(), Counter::new().unwrap());
    events.add(&counter, 1, Interest::READABLE).unwrap();
    through_signals(|| assert_eq!(events.wait(Some(TIMEOUT)).unwrap(), []));
}

#[test]
fn a_counter_waits_through_signals() {
    let counter = Counter::new().unwrap();
    through_signals(|| assert_eq!(counter.wait(Some(TIMEOUT)).unwrap(), None));
}
