// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads sleep on a word of the mapped ring until their completion is there.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dmacopy_client::{Device, Rings, Session};
use dmacopy_uapi::ring::index;
use hil::Target;
use kernel_channels::Interest;
use kernel_channels::eventfd::Counter;
use kernel_channels::futex::{Scope, Waited, Word};
use kernel_channels::mmap::Mapping;
use nix::sys::memfd::{MFdFlags, memfd_create};
use on_target::{
    Client, Errno, PATIENCE, Result, Stalled, Unbound, asleep_in, nop, role, small_copy, submit,
};

/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

fn opened() -> Result<(Device, Session, Rings)> {
    let device = Device::first()?;
    let session = device.session()?;
    let rings = session.rings()?;
    Ok((device, session, rings))
}

/// A second view of a session's rings, to wait in while the first is used.
fn view(session: &Session) -> Result<Mapping> {
    let info = session.info()?;
    Ok(Mapping::map(session, info.rings_offset, index::BYTES)?)
}

fn tail(view: &Mapping) -> Word<'_> {
    Word::in_mapping(view, index::COMPLETION_TAIL, Scope::Private).unwrap()
}

#[hil::test]
fn a_thread_that_waits_for_its_user_data_is_woken_up_with_it(_: &mut Target) {
    let (device, session, mut rings) = opened().unwrap();
    let view = view(&session).unwrap();
    let word = tail(&view);
    let counter = Counter::new().unwrap();
    session.tell_eventfd(&counter).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    submit(&mut rings, &session, &[small_copy(7), small_copy(8)], 0).unwrap();

    let last = AtomicU64::new(0);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            while last.load(Ordering::Acquire) != 8 {
                let seen = word.load();
                if last.load(Ordering::Acquire) == 8 {
                    break;
                }
                word.wait(seen, PATIENCE).unwrap();
            }
            word.load()
        });
        // Nobody wakes it up before there is something.
        thread::sleep(SHORT);
        assert!(!sleeper.is_finished());
        stalled.lift().unwrap();
        // The driver tells one thread, which tells the others.
        while last.load(Ordering::Acquire) != 8 {
            assert!(counter.wait(PATIENCE).unwrap().is_some());
            while let Some(completion) = rings.pop().unwrap() {
                last.store(completion.user_data, Ordering::Release);
            }
            word.wake(u32::MAX).unwrap();
        }
        assert_eq!(sleeper.join().unwrap(), 2, "the tail of both");
    });
}

#[hil::test]
fn a_private_word_is_one_by_its_address(_: &mut Target) {
    let (_, session, _) = opened().unwrap();
    let other = view(&session).unwrap();
    let slept_on = Arc::new(view(&session).unwrap());
    let view = Arc::clone(&slept_on);
    let sleeper = asleep_in(libc::SYS_futex, move || {
        tail(&view).wait(0, PATIENCE).unwrap()
    });
    let sleeper = sleeper.unwrap();
    // The same memory by another address.
    assert_eq!(tail(&other).wake(u32::MAX).unwrap(), 0);
    assert!(!sleeper.is_finished());
    assert_eq!(tail(&slept_on).wake(u32::MAX).unwrap(), 1);
    assert_eq!(sleeper.join().unwrap(), Waited::Woken);
}

#[hil::test]
fn what_the_driver_has_written_meanwhile_keeps_a_thread_from_sleeping(_: &mut Target) {
    let (_, session, mut rings) = opened().unwrap();
    let view = view(&session).unwrap();
    let word = tail(&view);
    let seen = word.load();
    submit(&mut rings, &session, &[nop(1)], 0).unwrap();
    assert_eq!(word.wait(seen, None).unwrap(), Waited::Changed);
    assert_eq!(word.load(), seen + 1);
    let waited = word.wait(seen + 1, Some(SHORT)).unwrap();
    assert_eq!(waited, Waited::TimedOut);
}

#[hil::test]
fn a_word_of_the_ring_cannot_be_shared_with_other_processes(_: &mut Target) {
    let (_, session, _) = opened().unwrap();
    let view = view(&session).unwrap();
    let word = Word::in_mapping(&view, index::COMPLETION_TAIL, Scope::Shared).unwrap();
    assert_eq!(word.wait(0, Some(SHORT)).errno(), Some(libc::EFAULT));
    assert_eq!(word.wake(1).errno(), Some(libc::EFAULT));
}

#[hil::test]
fn a_word_of_a_device_that_has_gone_is_refused(_: &mut Target) {
    let (_, session, _) = opened().unwrap();
    let view = view(&session).unwrap();
    let unbound = Unbound::new().unwrap();
    // The kernel looks at the word, and cannot.
    let waited = tail(&view).wait(0, Some(SHORT));
    assert_eq!(waited.errno(), Some(libc::EFAULT));
    unbound.rebind().unwrap();
}

/// Uses the device for another process, which waits in shared memory.
fn work_for_another(memory: i32) -> Result<()> {
    let memory = std::fs::File::options()
        .read(true)
        .write(true)
        .open(format!("/proc/self/fd/{memory}"))?;
    let mut shared = Mapping::map(&memory, 0, 64)?;
    let (_, session, mut rings) = opened()?;
    let role = role().ok_or("no role")?;
    role.ready()?;
    role.wait()?;
    submit(&mut rings, &session, &[small_copy(77)], 0)?;
    assert!(session.poll(Interest::READABLE, PATIENCE)?.readable);
    let completion = rings.pop()?.ok_or("no completion")?;
    shared.store_release(0, u32::try_from(completion.user_data)?)?;
    let woken = Word::in_mapping(&shared, 0, Scope::Shared)?.wake(1)?;
    shared.store_release(4, woken)?;
    Ok(())
}

#[hil::test]
fn another_process_is_woken_up_in_memory_that_both_have(_: &mut Target) {
    if let Some(role) = role() {
        return work_for_another(role.name.parse().unwrap()).unwrap();
    }
    let test = "another_process_is_woken_up_in_memory_that_both_have";
    // The client inherits it.
    let memory = memfd_create(c"completion", MFdFlags::empty()).unwrap();
    nix::unistd::ftruncate(&memory, 64).unwrap();
    let shared = Mapping::map(&memory, 0, 64).unwrap();
    let word = Word::in_mapping(&shared, 0, Scope::Shared).unwrap();
    let mut client = Client::start(test, &memory.as_fd().as_raw_fd().to_string()).unwrap();
    let mine = Mapping::map(&memory, 0, 64).unwrap();
    let sleeper = asleep_in(libc::SYS_futex, move || {
        let word = Word::in_mapping(&mine, 0, Scope::Shared).unwrap();
        word.wait(0, PATIENCE).unwrap()
    });
    let sleeper = sleeper.unwrap();
    client.go().unwrap();
    assert_eq!(sleeper.join().unwrap(), Waited::Woken);
    assert_eq!(word.load(), 77);
    assert!(client.end().unwrap().success());
    assert_eq!(shared.load_acquire(4).unwrap(), 1, "it has woken up one");
}

hil::main!();
