// SPDX-License-Identifier: MIT OR Apache-2.0

//! An eventfd is told what there is to read, one by one or together, and how long it is kept.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

use dmacopy_client::{Coalescing, Device, Session};
use dmacopy_uapi::ioctl::{self, Eventfd};
use hil::Target;
use kernel_channels::Interest;
use kernel_channels::eventfd::{Counter, Loop, SignalQueue, Timer};
use kernel_channels::signal::{Blocked, Signal};
use nix::sys::signal::Signal::SIGKILL;
use on_target::{
    Client, Errno, PATIENCE, Result, Stalled, Told, Unbound, in_thread, nonsense, nop, pop_all,
    role, small_copy, submit, wait_until,
};
use zerocopy::IntoBytes as _;

/// Longer than any test needs to find that it has not been told.
const LONG: Duration = Duration::from_secs(1);
/// Long enough for something that happens at once.
const SHORT: Duration = Duration::from_millis(50);
const NOW: Option<Duration> = Some(Duration::ZERO);

/// The kernel's number of an eventfd: the lowest that no other one has, also one that only a driver
/// has still.
fn id(counter: &Counter) -> Result<u32> {
    let path = format!("/proc/self/fdinfo/{}", counter.as_fd().as_raw_fd());
    let text = fs::read_to_string(path)?;
    let id = text
        .lines()
        .find_map(|line| line.strip_prefix("eventfd-id:"));
    Ok(id.ok_or("no eventfd-id")?.trim().parse()?)
}

fn eventfd(descriptor: i32) -> Eventfd {
    Eventfd {
        descriptor,
        ..Eventfd::default()
    }
}

fn set(session: &Session, mut argument: Eventfd) -> Option<i32> {
    let sent = session.request(ioctl::EVENTFD, Some(argument.as_mut_bytes()));
    sent.errno()
}

#[hil::test]
fn the_engine_s_completion_is_told_when_it_can_be_read(_: &mut Target) {
    let mut told = Told::new().unwrap();
    let stalled = Stalled::new(&told.device, 10 * LONG).unwrap();
    told.submit(&[small_copy(5)]).unwrap();
    assert_eq!(told.counter.wait(Some(SHORT)).unwrap(), None);
    stalled.lift().unwrap();
    assert_eq!(told.counter.wait(PATIENCE).unwrap(), Some(1));
    assert_eq!(pop_all(&mut told.rings).unwrap(), [(5, None)]);
}

#[hil::test]
fn a_batch_that_needs_no_engine_is_told_once(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.submit(&[nop(1), nop(2), nonsense(3)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), Some(1));
    // Nothing is taken, so there is nothing to tell.
    told.submit(&[]).unwrap();
    assert_eq!(told.counter.take().unwrap(), None);
}

#[hil::test]
fn the_stream_is_told_of_and_a_copy_is_not(_: &mut Target) {
    let told = Told::new().unwrap();
    told.session.copy(0, 1024, 64).unwrap();
    assert_eq!(told.counter.wait(Some(SHORT)).unwrap(), None);
    told.session.write(b"told").unwrap();
    assert_eq!(told.counter.wait(PATIENCE).unwrap(), Some(1));
    assert_eq!(told.session.read(&mut [0; 8]).unwrap(), 4);
}

#[hil::test]
fn a_write_that_fails_is_told_of(_: &mut Target) {
    let told = Told::new().unwrap();
    let _stalled = Stalled::new(&told.device, SHORT).unwrap();
    told.session.write(b"lost").unwrap();
    assert!(told.counter.wait(PATIENCE).unwrap().is_some());
    let errno = told.session.read(&mut [0; 8]).errno();
    assert_eq!(errno, Some(libc::ETIMEDOUT));
}

#[hil::test]
fn who_polls_hears_of_a_batch_that_another_thread_submits(_: &mut Target) {
    let mut told = Told::new().unwrap();
    let events = Loop::new().unwrap();
    events.add(&told.session, 1, Interest::READABLE).unwrap();
    let edges = Loop::new().unwrap();
    edges
        .add_edge(&told.session, 2, Interest::READABLE)
        .unwrap();
    for lap in 0..3 {
        assert_eq!(edges.wait(NOW).unwrap(), [], "{lap}");
        thread::scope(|scope| {
            let level = scope.spawn(|| events.wait(PATIENCE).unwrap());
            let edge = scope.spawn(|| edges.wait(PATIENCE).unwrap());
            thread::sleep(SHORT);
            assert!(!level.is_finished() && !edge.is_finished());
            told.submit(&[nop(1)]).unwrap();
            assert_eq!(level.join().unwrap()[0].token, 1);
            assert_eq!(edge.join().unwrap()[0].token, 2);
        });
        pop_all(&mut told.rings).unwrap();
    }
}

#[hil::test]
fn an_eventfd_that_is_replaced_or_removed_is_told_no_more(_: &mut Target) {
    let mut told = Told::new().unwrap();
    let second = Counter::new().unwrap();
    told.session.tell_eventfd(&second).unwrap();
    told.submit(&[nop(1)]).unwrap();
    assert_eq!(second.take().unwrap(), Some(1));
    assert_eq!(told.counter.take().unwrap(), None);
    told.session.tell_no_eventfd().unwrap();
    told.session.tell_no_eventfd().unwrap();
    told.submit(&[nop(2)]).unwrap();
    assert_eq!(second.take().unwrap(), None);
}

#[hil::test]
fn what_is_no_eventfd_is_refused_and_changes_nothing(_: &mut Target) {
    let mut told = Told::new().unwrap();
    let file = File::open("/dev/null").unwrap();
    let refused = |argument| set(&told.session, argument);
    assert_eq!(refused(eventfd(file.as_raw_fd())), Some(libc::EINVAL));
    let own = told.session.as_fd().as_raw_fd();
    assert_eq!(refused(eventfd(own)), Some(libc::EINVAL));
    assert_eq!(refused(eventfd(-2)), Some(libc::EBADF));
    assert_eq!(refused(eventfd(i32::MAX)), Some(libc::EBADF));
    told.submit(&[nop(1)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), Some(1));
}

#[hil::test]
fn an_eventfd_with_a_flag_is_refused(_: &mut Target) {
    let told = Told::new().unwrap();
    let flags = 1;
    let argument = Eventfd {
        flags,
        ..eventfd(-1)
    };
    assert_eq!(set(&told.session, argument), Some(libc::EINVAL));
}

#[hil::test]
fn an_eventfd_with_something_in_a_reserved_field_is_refused(_: &mut Target) {
    let told = Told::new().unwrap();
    let reserved = 1 << 63;
    let argument = Eventfd {
        reserved,
        ..eventfd(-1)
    };
    assert_eq!(set(&told.session, argument), Some(libc::EINVAL));
}

#[hil::test]
fn a_larger_eventfd_is_taken_if_its_rest_is_zero(_: &mut Target) {
    let mut told = Told::new().unwrap();
    let second = Counter::new().unwrap();
    let mut bytes = [0; 24];
    let descriptor = second.as_fd().as_raw_fd();
    bytes[..16].copy_from_slice(eventfd(descriptor).as_bytes());
    let request = on_target::with_size(ioctl::EVENTFD, 24);
    told.session.request(request, Some(&mut bytes)).unwrap();
    told.submit(&[nop(1)]).unwrap();
    assert_eq!(second.take().unwrap(), Some(1));
    bytes[23] = 1;
    let errno = told.session.request(request, Some(&mut bytes)).errno();
    assert_eq!(errno, Some(libc::E2BIG));
}

#[hil::test]
fn the_session_keeps_an_eventfd_that_its_client_closes(_: &mut Target) {
    let told = Told::new().unwrap();
    let first = id(&told.counter).unwrap();
    drop(told.counter);
    let other = Counter::new().unwrap();
    assert_ne!(id(&other).unwrap(), first, "the driver has it");
    drop(other);
    // Telling one that nobody else has harms nobody.
    let mut rings = told.rings;
    submit(&mut rings, &told.session, &[nop(1)], 0).unwrap();
    drop((told.session, rings));
    assert_eq!(id(&Counter::new().unwrap()).unwrap(), first);
}

#[hil::test]
fn the_session_gives_up_an_eventfd_that_is_replaced_or_removed(_: &mut Target) {
    let told = Told::new().unwrap();
    let first = id(&told.counter).unwrap();
    let second = Counter::new().unwrap();
    told.session.tell_eventfd(&second).unwrap();
    drop(told.counter);
    let counter = Counter::new().unwrap();
    assert_eq!(id(&counter).unwrap(), first, "it was replaced");
    let kept = id(&second).unwrap();
    drop(second);
    told.session.tell_no_eventfd().unwrap();
    assert_eq!(id(&Counter::new().unwrap()).unwrap(), kept, "none is told");
}

#[hil::test]
fn an_eventfd_hears_that_the_device_has_gone_and_is_given_up(_: &mut Target) {
    let told = Told::new().unwrap();
    let first = id(&told.counter).unwrap();
    let unbound = Unbound::new().unwrap();
    assert_eq!(told.counter.wait(PATIENCE).unwrap(), Some(1));
    let gone = Some(libc::ENODEV);
    assert_eq!(told.session.tell_eventfd(&told.counter).errno(), gone);
    assert_eq!(told.session.tell_no_eventfd().errno(), gone);
    let coalescing = told.session.coalesce(Coalescing::NONE);
    assert_eq!(coalescing.errno(), gone);
    drop(told.counter);
    assert_eq!(id(&Counter::new().unwrap()).unwrap(), first);
    unbound.rebind().unwrap();
}

/// Has an eventfd told that only the driver has then, late.
fn be_killed() -> Result<()> {
    let told = Told::new()?;
    told.coalesce(100, LONG)?;
    let (session, mut rings) = (told.session, told.rings);
    drop(told.counter);
    submit(&mut rings, &session, &[nop(1)], 0)?;
    if let Some(role) = role() {
        role.ready()?;
        role.wait()?;
    }
    Ok(())
}

#[hil::test]
fn nothing_is_left_of_a_client_that_is_killed(_: &mut Target) {
    if role().is_some() {
        return be_killed().unwrap();
    }
    let test = "nothing_is_left_of_a_client_that_is_killed";
    let lowest = id(&Counter::new().unwrap()).unwrap();
    let device = Device::first().unwrap();
    for _ in 0..3 {
        let mut client = Client::start(test, "client").unwrap();
        assert_ne!(id(&Counter::new().unwrap()).unwrap(), lowest);
        client.signal(SIGKILL).unwrap();
        client.end().unwrap();
        let sessions = || Ok(device.attributes().sessions()?);
        wait_until(sessions, |sessions| *sessions == 0).unwrap();
        assert_eq!(id(&Counter::new().unwrap()).unwrap(), lowest);
    }
    // Its timer would have come by now.
    thread::sleep(LONG);
}

#[hil::test]
fn an_eventfd_is_replaced_while_it_is_told(_: &mut Target) {
    let mut told = Told::new().unwrap();
    let counters: Vec<_> = (0..4).map(|_| Counter::new().unwrap()).collect();
    let session = &told.session;
    thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            for lap in 0..40 {
                session.tell_eventfd(&counters[lap % 4]).unwrap();
            }
        });
        while !replacing.is_finished() {
            submit(&mut told.rings, session, &[small_copy(1), nop(2)], 2).unwrap();
            pop_all(&mut told.rings).unwrap();
        }
        replacing.join().unwrap();
    });
    let total: u64 = counters.iter().filter_map(|c| c.take().unwrap()).sum();
    assert!(total > 0);
}

#[hil::test]
fn one_loop_waits_for_completions_timers_and_signals(_: &mut Target) {
    let mut told = Told::new().unwrap();
    let signal = Signal::real_time(0).unwrap();
    let _blocked = Blocked::new(&[signal]).unwrap();
    let queue = SignalQueue::new(&[signal]).unwrap();
    let timer = Timer::new().unwrap();
    let events = Loop::new().unwrap();
    events.add(&told.counter, 1, Interest::READABLE).unwrap();
    events.add(&timer, 2, Interest::READABLE).unwrap();
    events.add(&queue, 3, Interest::READABLE).unwrap();
    events.add(&told.session, 4, Interest::READABLE).unwrap();
    assert_eq!(events.wait(NOW).unwrap(), []);

    timer.once(SHORT).unwrap();
    assert_eq!(events.wait(PATIENCE).unwrap()[0].token, 2);
    assert_eq!(timer.expirations().unwrap(), 1);

    let notification = told.session.signal_this_thread(signal).unwrap();
    submit(&mut told.rings, &told.session, &[small_copy(9)], 1).unwrap();
    let all = || {
        let mut found: Vec<_> = events.wait(NOW)?.iter().map(|o| o.token).collect();
        found.sort_unstable();
        Ok(found)
    };
    // The call returns when the completion is there, which is before all have been told.
    wait_until(all, |found| *found == [1, 3, 4]).unwrap();
    let info = queue.take().unwrap().unwrap();
    let descriptor = told.session.as_fd().as_raw_fd();
    assert_eq!(info.poll.unwrap().descriptor, descriptor);
    assert_eq!(told.counter.take().unwrap(), Some(1));
    assert_eq!(pop_all(&mut told.rings).unwrap(), [(9, None)]);
    assert_eq!(events.wait(NOW).unwrap(), []);
    drop(notification);
}

#[hil::test]
fn a_loop_hears_that_the_device_has_gone(_: &mut Target) {
    let told = Told::new().unwrap();
    let events = Loop::new().unwrap();
    events.add(&told.session, 1, Interest::NONE).unwrap();
    let waiting = in_thread(move || events.wait(PATIENCE).unwrap());
    thread::sleep(SHORT);
    let unbound = Unbound::new().unwrap();
    let found = waiting.recv().unwrap();
    assert!(found[0].readiness.hang_up && found[0].readiness.error);
    // The loop has gone before the file.
    drop(told);
    unbound.rebind().unwrap();
}

hil::main!();
