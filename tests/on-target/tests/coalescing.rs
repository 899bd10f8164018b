// SPDX-License-Identifier: MIT OR Apache-2.0

//! Clients are told of completions together, or when it is time, and none is forgotten.
//!
//! No room of its own: what is tested here is how all that tells a client behaves.

use std::thread;
use std::time::{Duration, Instant};

use dmacopy_client::{Coalescing, Device, Session};
use dmacopy_uapi::ioctl::{self, Coalesce, MAX_COALESCE_COUNT, MAX_COALESCE_MICROSECONDS};
use hil::Target;
use kernel_channels::Interest;
use on_target::{
    Errno, PATIENCE, Stalled, Told, Unbound, asleep_in, nop, pop_all, small_copy, submit,
};
use zerocopy::IntoBytes as _;

/// Longer than any test needs to find that it has not been told.
const LONG: Duration = Duration::from_secs(1);
/// Long enough for something that happens at once.
const SHORT: Duration = Duration::from_millis(50);
const NOW: Option<Duration> = Some(Duration::ZERO);

fn set_coalescing(session: &Session, mut argument: Coalesce) -> Option<i32> {
    let sent = session.request(ioctl::COALESCE, Some(argument.as_mut_bytes()));
    sent.errno()
}

#[hil::test]
fn completions_are_told_together_when_there_are_enough(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(4, LONG).unwrap();
    told.submit(&[nop(1), nop(2)]).unwrap();
    told.submit(&[nop(3)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), None);
    told.submit(&[nop(4)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), Some(1));
    // More at once than were asked for is enough, too.
    told.submit(&[nop(5); 9]).unwrap();
    assert_eq!(told.counter.take().unwrap(), Some(1));
    // What was told of is not told of again.
    assert_eq!(told.counter.wait(Some(LONG + SHORT)).unwrap(), None);
}

#[hil::test]
fn the_engine_s_completions_are_told_together(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(8, LONG).unwrap();
    told.submit(&[small_copy(1); 8]).unwrap();
    assert_eq!(told.counter.wait(Some(LONG)).unwrap(), Some(1));
    assert_eq!(pop_all(&mut told.rings).unwrap().len(), 8);
}

#[hil::test]
fn fewer_completions_are_told_when_the_time_has_passed(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(100, 2 * SHORT).unwrap();
    for lap in 0..3 {
        let start = Instant::now();
        told.submit(&[nop(1)]).unwrap();
        thread::sleep(SHORT);
        // Does not put it off.
        told.submit(&[nop(2)]).unwrap();
        assert_eq!(told.counter.wait(PATIENCE).unwrap(), Some(1), "{lap}");
        let taken = start.elapsed();
        assert!(taken >= 2 * SHORT, "{lap}: after {taken:?}");
    }
}

#[hil::test(timeout = "2 min")]
fn completions_that_go_on_coming_do_not_put_it_off(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(MAX_COALESCE_COUNT, 2 * SHORT).unwrap();
    // Far more than come within that time, and fewer than are told for their number.
    let many = u64::from(MAX_COALESCE_COUNT) / 2;
    for n in 1..=many {
        told.submit(&[nop(n)]).unwrap();
        assert_eq!(pop_all(&mut told.rings).unwrap(), [(n, None)]);
        if told.counter.take().unwrap().is_some() {
            return;
        }
        thread::sleep(SHORT / 10);
    }
    panic!("{many} completions, and nobody has been told");
}

#[hil::test]
fn who_polls_is_woken_up_when_the_time_has_passed(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(100, 2 * SHORT).unwrap();
    let session = &told.session;
    let poll = || session.poll(Interest::READABLE, PATIENCE).unwrap();
    thread::scope(|scope| {
        let poller = scope.spawn(poll);
        thread::sleep(SHORT);
        let start = Instant::now();
        submit(&mut told.rings, session, &[nop(1)], 0).unwrap();
        assert!(poller.join().unwrap().readable);
        let taken = start.elapsed();
        // A poll that nobody ends looks once more at its end.
        let in_time = 2 * SHORT..PATIENCE.unwrap();
        assert!(in_time.contains(&taken), "after {taken:?}");
    });
    // It is only the wake-up that comes late.
    submit(&mut told.rings, session, &[nop(1)], 0).unwrap();
    assert!(session.poll(Interest::READABLE, NOW).unwrap().readable);
}

#[hil::test]
fn who_waits_for_completions_in_a_call_is_not_kept_waiting(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(100, LONG).unwrap();
    let start = Instant::now();
    submit(&mut told.rings, &told.session, &[small_copy(1)], 1).unwrap();
    told.session.copy(0, 1024, 64).unwrap();
    told.session.write(b"stream").unwrap();
    assert_eq!(told.session.read(&mut [0; 8]).unwrap(), 6);
    let taken = start.elapsed();
    assert!(taken < LONG, "after {taken:?}");
}

#[hil::test]
fn who_waits_in_a_call_hears_of_a_batch_that_another_thread_submits(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(100, LONG).unwrap();
    let stalled = Stalled::new(&told.device, 10 * LONG).unwrap();
    told.submit(&[small_copy(1)]).unwrap();
    let session = std::sync::Arc::new(told.session);
    let waiter = session.clone();
    let waiting = asleep_in(libc::SYS_ioctl, move || {
        let mut argument = ioctl::Submit {
            wait: 1,
            ..ioctl::Submit::default()
        };
        let sent = waiter.request(ioctl::SUBMIT, Some(argument.as_mut_bytes()));
        sent.map(|_| Instant::now())
    });
    let waiting = waiting.unwrap();
    let start = Instant::now();
    stalled.lift().unwrap();
    let woken = waiting.join().unwrap().unwrap();
    assert!(woken - start < LONG, "after {:?}", woken - start);
}

#[hil::test]
fn what_has_not_been_told_is_told_when_that_is_set_anew(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(100, LONG).unwrap();
    told.submit(&[nop(1)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), None);
    let before = told.session.coalesce(Coalescing::NONE).unwrap();
    assert_eq!((before.count, before.delay), (100, LONG));
    assert_eq!(told.counter.take().unwrap(), Some(1));
    told.submit(&[nop(2)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), Some(1));
}

#[hil::test]
fn a_count_or_a_delay_of_zero_means_at_once(_: &mut Target) {
    let mut told = Told::new().unwrap();
    for (count, delay) in [(0, LONG), (1, LONG), (100, Duration::ZERO)] {
        told.coalesce(count, delay).unwrap();
        told.submit(&[nop(1)]).unwrap();
        assert_eq!(told.counter.take().unwrap(), Some(1), "{count}, {delay:?}");
    }
}

#[hil::test]
fn a_new_session_coalesces_as_the_device_says(_: &mut Target) {
    let device = Device::first().unwrap();
    let attributes = device.attributes();
    let directory = attributes.directory();
    let _count = directory.restore_later("coalesce_count").unwrap();
    let _delay = directory.restore_later("coalesce_us").unwrap();
    assert_eq!(attributes.coalescing().unwrap(), Coalescing::NONE);
    let before = device.session().unwrap();
    let coalescing = Coalescing {
        count: 3,
        delay: LONG,
    };
    attributes.set_coalescing(coalescing).unwrap();
    let found = before.coalesce(Coalescing::NONE).unwrap();
    assert_eq!(found, Coalescing::NONE, "an open session keeps its own");

    let mut told = Told::new().unwrap();
    told.submit(&[nop(1), nop(2)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), None);
    told.submit(&[nop(3)]).unwrap();
    assert_eq!(told.counter.take().unwrap(), Some(1));
    let found = told.session.coalesce(Coalescing::NONE).unwrap();
    assert_eq!(found, coalescing);
}

#[hil::test]
fn attributes_refuse_what_the_request_refuses(_: &mut Target) {
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let _count = directory.restore_later("coalesce_count").unwrap();
    let _delay = directory.restore_later("coalesce_us").unwrap();
    for (name, most) in [
        ("coalesce_count", MAX_COALESCE_COUNT),
        ("coalesce_us", MAX_COALESCE_MICROSECONDS),
    ] {
        directory.set(name, most).unwrap();
        for wrong in [(most + 1).to_string(), "-1".into(), "x".into()] {
            let errno = directory.set(name, &wrong).errno();
            assert_eq!(errno, Some(libc::EINVAL), "{name} = {wrong}");
        }
        assert_eq!(directory.text(name).unwrap(), most.to_string());
    }
}

fn refuses(argument: Coalesce) {
    let told = Told::new().unwrap();
    told.coalesce(7, SHORT).unwrap();
    assert_eq!(set_coalescing(&told.session, argument), Some(libc::EINVAL));
    let before = told.session.coalesce(Coalescing::NONE).unwrap();
    assert_eq!((before.count, before.delay), (7, SHORT));
}

#[hil::test]
fn coalescing_too_many_is_refused(_: &mut Target) {
    refuses(Coalesce {
        count: MAX_COALESCE_COUNT + 1,
        ..Coalesce::default()
    });
}

#[hil::test]
fn coalescing_for_too_long_is_refused(_: &mut Target) {
    refuses(Coalesce {
        microseconds: MAX_COALESCE_MICROSECONDS + 1,
        ..Coalesce::default()
    });
}

#[hil::test]
fn coalescing_with_a_flag_is_refused(_: &mut Target) {
    refuses(Coalesce {
        flags: 1,
        ..Coalesce::default()
    });
}

#[hil::test]
fn coalescing_with_something_in_a_reserved_field_is_refused(_: &mut Target) {
    refuses(Coalesce {
        reserved: 1,
        ..Coalesce::default()
    });
}

#[hil::test]
fn a_device_that_goes_tells_before_the_time_has_passed(_: &mut Target) {
    let mut told = Told::new().unwrap();
    told.coalesce(100, LONG).unwrap();
    told.submit(&[nop(1)]).unwrap();
    let start = Instant::now();
    let unbound = Unbound::new().unwrap();
    assert_eq!(told.counter.wait(PATIENCE).unwrap(), Some(1));
    assert!(start.elapsed() < LONG);
    // The timer has been taken back.
    assert_eq!(told.counter.wait(Some(LONG + SHORT)).unwrap(), None);
    unbound.rebind().unwrap();
}

#[hil::test]
fn sessions_are_closed_while_something_is_untold(_: &mut Target) {
    for lap in 0..50 {
        let mut told = Told::new().unwrap();
        told.coalesce(100, Duration::from_micros(lap * 20)).unwrap();
        told.submit(&[nop(1), small_copy(2)]).unwrap();
    }
    let device = Device::first().unwrap();
    assert_eq!(device.attributes().sessions().unwrap(), 0);
}

hil::main!();
