// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tracepoints in the life of a transfer, as tracefs and perf show them.

use std::fs;
use std::os::unix::thread::JoinHandleExt as _;
use std::thread;
use std::time::{Duration, Instant};

use dmacopy_client::{Device, Session};
use dmacopy_uapi::names::{DRIVER, field, tracepoint};
use hil::Target;
use kernel_channels::Error;
use kernel_channels::tracepoint::{Counter, Event, Instance, Line, Sampler, mount_point};
use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use on_target::{Errno, Result, Stalled, Unbound, Unloaded, interrupted_by};

const EVENTS: [&str; 4] = [
    tracepoint::SUBMIT,
    tracepoint::START,
    tracepoint::COMPLETE,
    tracepoint::ERROR,
];

const SHORT: Duration = Duration::from_millis(50);
/// Long enough for many signals.
const LATER: Duration = Duration::from_millis(300);
/// Longer than a record takes to be seen.
const SOON: Duration = Duration::from_secs(10);
/// Long enough for a test to do what it wants before a stalled transfer times out.
const LONG: Duration = Duration::from_secs(30);

fn event(name: &str) -> Event {
    Event::find(tracepoint::SYSTEM, name).unwrap()
}

/// The time of `CLOCK_MONOTONIC`.
fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into()
}

/// A buffer that collects all events of the driver.
const INSTANCE: &str = "on-target-tracepoint";

fn traced() -> Instance {
    let instance = Instance::create(INSTANCE).unwrap();
    for name in EVENTS {
        instance.enable(&event(name)).unwrap();
    }
    instance
}

/// The next record.
fn next(instance: &mut Instance) -> Line {
    instance.next(SOON).unwrap().unwrap()
}

/// Checks that a record is about this transfer.
fn is_of(line: &Line, device: &Device, session: &Session, sequence: u64, length: u64) {
    let number = device.name().strip_prefix(DRIVER).unwrap();
    assert_eq!(line.text(field::DEVICE), Some(number), "{line:?}");
    let session = session.info().unwrap().session;
    assert_eq!(line.number(field::SESSION), Some(session), "{line:?}");
    assert_eq!(line.number(field::SEQUENCE), Some(sequence), "{line:?}");
    assert_eq!(line.number(field::LENGTH), Some(length), "{line:?}");
}

/// The error number in a record of an error.
fn errno(line: &Line) -> Option<i32> {
    assert_eq!(line.event, tracepoint::ERROR, "{line:?}");
    line.text(field::ERRNO)?.parse().ok()
}

#[hil::test]
fn a_copy_passes_its_tracepoints_in_order(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut instance = traced();
    for length in [1, 100, 2048] {
        let begun = Instant::now();
        let completion = session.copy(0, 2048, length).unwrap();
        let elapsed = begun.elapsed();
        let [submit, start, complete] = std::array::from_fn(|_| next(&mut instance));
        let passed = [&submit, &start, &complete].map(|line| line.event.as_str());
        assert_eq!(passed, EVENTS[..3]);
        for line in [&submit, &start, &complete] {
            is_of(line, &device, &session, completion.sequence, length);
        }
        assert!(submit.time <= start.time && start.time <= complete.time);

        // The same measurement, so the same number.
        let latency = complete.number(field::LATENCY_NS).unwrap();
        assert_eq!(Duration::from_nanos(latency), completion.duration);
        assert!(completion.duration <= elapsed, "{elapsed:?}");
        // Records have their time to the microsecond.
        let between = complete.time - submit.time;
        assert!(between <= elapsed + Duration::from_micros(1), "{elapsed:?}");
    }
    assert_eq!(instance.next(SHORT).unwrap(), None);
}

#[hil::test]
fn records_and_samples_of_a_tracepoint_have_its_time_and_processor(_: &mut Target) {
    const MICROSECOND: Duration = Duration::from_micros(1);
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let submit = event(tracepoint::SUBMIT);
    let mut instance = Instance::create(INSTANCE).unwrap();
    instance.enable(&submit).unwrap();
    let mut sampler = Sampler::open(&submit).unwrap();
    for _ in 0..10 {
        let before = now();
        session.copy(0, 2048, 1).unwrap();
        let after = now();
        let line = next(&mut instance);
        let sample = sampler.next(SOON).unwrap().unwrap();
        for time in [line.time + MICROSECOND, sample.time] {
            assert!(before <= time, "{time:?} is not after {before:?}");
        }
        for time in [line.time, sample.time] {
            assert!(time <= after, "{time:?} is not before {after:?}");
        }
        assert_eq!(sample.cpu, line.cpu);
    }
}

#[hil::test]
fn a_client_cannot_name_itself_so_that_its_records_are_others(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let name = "/proc/thread-self/comm";
    let before = fs::read_to_string(name).unwrap();
    let mut seen = Vec::new();
    for forged in ["a: b", "e [0] 1.5: x: ", "a\nb"] {
        fs::write(name, forged).unwrap();
        let mut instance = traced();
        let sequence = session.copy(0, 2048, 1).unwrap().sequence;
        let line = next(&mut instance);
        assert_eq!(line.event, tracepoint::SUBMIT, "{line:?}");
        is_of(&line, &device, &session, sequence, 1);
        seen.push(line.task.contains(forged.trim_end()));
    }
    fs::write(name, before.trim_end()).unwrap();
    assert_eq!(seen, [true; 3], "the names were told");
}

#[hil::test]
fn a_reader_that_is_too_slow_is_told_how_many_records_were_lost(_: &mut Target) {
    const COPIES: u64 = 1000;
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let submit = event(tracepoint::SUBMIT);
    let mut instance = Instance::create(INSTANCE).unwrap();
    let directory = mount_point().unwrap().join("instances").join(INSTANCE);
    fs::write(directory.join("buffer_size_kb"), "4").unwrap();
    instance.enable(&submit).unwrap();
    let first = session.copy(0, 2048, 1).unwrap().sequence;
    for _ in 1..COPIES {
        session.copy(0, 2048, 1).unwrap();
    }
    let (mut read, mut lost, mut last) = (0, 0, None);
    loop {
        match instance.next(SHORT) {
            Ok(Some(line)) => {
                read += 1;
                last = line.number(field::SEQUENCE);
            }
            Ok(None) => break,
            Err(Error::RecordsLost { count, .. }) => lost += count.unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost > 0);
    assert_eq!(read + lost, COPIES);
    assert_eq!(last, Some(first + COPIES - 1), "the oldest were dropped");
}

#[hil::test]
fn tracepoints_tell_one_session_from_another(_: &mut Target) {
    let device = Device::first().unwrap();
    let sessions = [device.session().unwrap(), device.session().unwrap()];
    let mut instance = traced();
    for session in &sessions {
        let completion = session.copy(0, 2048, 8).unwrap();
        for _ in 0..3 {
            let line = next(&mut instance);
            is_of(&line, &device, session, completion.sequence, 8);
        }
    }
}

#[hil::test]
fn a_write_passes_the_tracepoints_too(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let sequence = session.copy(0, 2048, 1).unwrap().sequence + 1;
    let mut instance = traced();
    session.write(b"stream").unwrap();
    for name in &EVENTS[..3] {
        let line = next(&mut instance);
        assert_eq!(line.event, *name);
        is_of(&line, &device, &session, sequence, 6);
    }
}

#[hil::test]
fn a_tracepoint_tells_of_a_transfer_that_timed_out(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let sequence = session.copy(0, 2048, 1).unwrap().sequence + 1;
    let mut instance = traced();
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    let failure = session.copy(0, 2048, 16);
    assert_eq!(failure.errno(), Some(libc::ETIMEDOUT));
    assert_eq!(next(&mut instance).event, tracepoint::SUBMIT);
    let line = next(&mut instance);
    assert_eq!(errno(&line), Some(libc::ETIMEDOUT));
    is_of(&line, &device, &session, sequence, 16);
    let latency = Duration::from_nanos(line.number(field::LATENCY_NS).unwrap());
    assert!((SHORT..SOON).contains(&latency), "{latency:?}");
    assert_eq!(instance.next(SHORT).unwrap(), None);
}

#[hil::test]
fn a_tracepoint_tells_of_a_transfer_that_nobody_wants_any_more(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut instance = traced();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"lost").unwrap();
    assert_eq!(next(&mut instance).event, tracepoint::SUBMIT);
    drop(session);
    assert_eq!(errno(&next(&mut instance)), Some(libc::ECANCELED));
}

#[hil::test]
fn a_tracepoint_tells_of_a_transfer_whose_device_went(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut instance = traced();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"lost").unwrap();
    assert_eq!(next(&mut instance).event, tracepoint::SUBMIT);
    let unbound = Unbound::new().unwrap();
    assert_eq!(errno(&next(&mut instance)), Some(libc::ENODEV));
    // The switch and the timeout have gone with the device.
    drop(stalled);
    unbound.rebind().unwrap();
}

#[hil::test]
fn tracepoints_that_are_off_tell_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut instance = Instance::create(INSTANCE).unwrap();
    session.copy(0, 2048, 1).unwrap();
    assert_eq!(instance.next(SHORT).unwrap(), None);

    let complete = event(tracepoint::COMPLETE);
    instance.enable(&complete).unwrap();
    let completion = session.copy(0, 2048, 1).unwrap();
    let line = next(&mut instance);
    assert_eq!(line.number(field::SEQUENCE), Some(completion.sequence));
    assert_eq!(line.event, tracepoint::COMPLETE, "and not of the others");

    instance.disable(&complete).unwrap();
    session.copy(0, 2048, 1).unwrap();
    assert_eq!(instance.next(SHORT).unwrap(), None);
}

#[hil::test]
fn the_fields_of_the_tracepoints_are_as_described(_: &mut Target) {
    const COMMON: [(&str, usize, bool); 4] = [
        (field::DEVICE, 4, false),
        (field::SESSION, 8, false),
        (field::SEQUENCE, 8, false),
        (field::LENGTH, 8, false),
    ];
    let latency = (field::LATENCY_NS, 8, false);
    for (name, more) in [
        (tracepoint::SUBMIT, vec![]),
        (tracepoint::START, vec![]),
        (tracepoint::COMPLETE, vec![latency]),
        (tracepoint::ERROR, vec![latency, (field::ERRNO, 4, true)]),
    ] {
        let event = event(name);
        let fields = event.format().fields.iter();
        let mut own: Vec<_> = fields
            .map(|field| (field.name.as_str(), field.size, field.signed))
            .filter(|(name, ..)| !name.starts_with("common_"))
            .collect();
        own.sort_unstable();
        let mut described = [&COMMON[..], &more].concat();
        described.sort_unstable();
        assert_eq!(own, described, "{name}");
    }
}

#[hil::test]
fn perf_counts_how_often_a_tracepoint_is_passed(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    session.copy(0, 2048, 1).unwrap();
    let mut counters = EVENTS.map(|name| Counter::open(&event(name)).unwrap());
    for _ in 0..100 {
        session.copy(0, 2048, 1).unwrap();
    }
    let counts = counters.each_mut().map(|counter| counter.read().unwrap());
    assert_eq!(counts, [100, 100, 100, 0]);
}

#[hil::test]
fn perf_collects_the_records_of_a_tracepoint(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let complete = event(tracepoint::COMPLETE);
    let mut sampler = Sampler::open(&complete).unwrap();
    let completions: Vec<_> = (1..=50)
        .map(|length| session.copy(0, 2048, length).unwrap())
        .collect();
    for (completion, length) in completions.iter().zip(1..) {
        let sample = sampler.next(SOON).unwrap().unwrap();
        let number = |name| complete.number(&sample.record, name).unwrap();
        assert_eq!(number(field::SEQUENCE), completion.sequence.into());
        assert_eq!(number(field::LENGTH), length);
        let latency = i128::try_from(completion.duration.as_nanos()).unwrap();
        assert_eq!(number(field::LATENCY_NS), latency);
        assert!(complete.number(&sample.record, field::ERRNO).is_err());
    }
    assert_eq!(sampler.next(SHORT).unwrap(), None);
}

#[hil::test]
fn perf_waits_for_records_through_signals(_: &mut Target) {
    interrupted_by(Signal::SIGUSR1).unwrap();
    let start = Instant::now();
    let waiter = thread::spawn(|| {
        let mut sampler = Sampler::open(&event(tracepoint::COMPLETE)).unwrap();
        let start = Instant::now();
        (sampler.next(LATER).unwrap(), start.elapsed())
    });
    while !waiter.is_finished() && start.elapsed() < SOON {
        pthread_kill(waiter.as_pthread_t(), Signal::SIGUSR1).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    let (found, elapsed) = waiter.join().unwrap();
    assert_eq!(found, None);
    assert!(elapsed >= LATER, "ended by a signal, after {elapsed:?}");
    assert!(elapsed < SOON, "prolonged by each signal");
}

#[hil::test]
fn perf_says_how_many_records_of_a_tracepoint_were_lost(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let submit = event(tracepoint::SUBMIT);
    let mut counter = Counter::open(&submit).unwrap();
    let mut sampler = Sampler::open(&submit).unwrap();
    // More than fit into the buffers of a few processors.
    for _ in 0..8000 {
        session.copy(0, 2048, 1).unwrap();
    }
    let (mut read, mut lost) = (0, 0);
    loop {
        match sampler.next(SHORT) {
            Ok(Some(_)) => read += 1,
            Ok(None) => break,
            Err(Error::SamplesLost { count, .. }) => lost += count,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost > 0);
    assert_eq!(read + lost, counter.read().unwrap());
}

#[hil::test]
fn a_module_whose_tracepoints_are_watched_stays_until_they_are_not(_: &mut Target) {
    let counter = Counter::open(&event(tracepoint::SUBMIT)).unwrap();
    assert_eq!(Unloaded::new().errno(), Some(libc::EAGAIN));
    drop(counter);
    drop(traced());
    let unloaded: Result<()> = Unloaded::new().unwrap().reload();
    unloaded.unwrap();
    let device = Device::first().unwrap();
    let mut counter = Counter::open(&event(tracepoint::COMPLETE)).unwrap();
    device.session().unwrap().copy(0, 2048, 1).unwrap();
    assert_eq!(counter.read().unwrap(), 1);
}

hil::main!();
