// SPDX-License-Identifier: MIT OR Apache-2.0

//! Batches of the client: whose the memory is, and what comes back with each completion.
//!
//! No room of its own: what is tested here is the library that programs use.

use std::collections::VecDeque;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use dmacopy_client::{Device, Error, GRANULE, Misfit, Pending, Pool, Queue, Work};
use dmacopy_uapi::ioctl;
use hil::Target;
use kernel_channels::mmap::dma_buf::{Access, DmaBuf};
use kernel_channels::mmap::memfd::MemFd;
use kernel_channels::tracepoint::{Event, Sampler};
use on_target::{
    Beside, Errno, PATIENCE, Result, Stalled, asleep_in, copied, limit_session_transfers, nop,
    pattern, queue_and_pool, region_with, wait_for_waiting, wait_until,
};

const BYTES: usize = 256 << 10;
/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);
/// Less than that.
const SOON: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);
const NOW: Option<Duration> = Some(Duration::ZERO);

#[hil::test]
fn regions_come_back_with_what_was_done(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let before = device.attributes().counters().unwrap();
    let sent = pattern(81, 1003);
    let source = region_with(&pool, &sent).unwrap();
    let destination = region_with(&pool, &[0xee; 1100]).unwrap();
    let [filled, other] = [pool.region(77).unwrap(), pool.region(21).unwrap()];
    let batch = queue.batch();
    let pending = batch
        .copy(source, destination)
        .nop()
        .fill(filled, 0x5a)
        .fill_with(other, *b"abcdefgh")
        .submit()
        .unwrap();
    assert_eq!(pending.remaining(), 4);
    let mut done = pending.wait().unwrap().into_iter();
    let (source, destination) = copied(done.next().unwrap()).unwrap();
    assert!(source.to_vec().unwrap() == sent);
    let mut expected = sent;
    // Behind the source, the destination is as it was.
    expected.resize(1100, 0xee);
    assert!(destination.to_vec().unwrap() == expected);
    assert!(matches!(done.next().unwrap().ok(), Ok(Work::Nop)));
    let mut filled = || done.next().unwrap().ok().unwrap().into_regions().1.unwrap();
    assert_eq!(filled().to_vec().unwrap(), [0x5a; 77]);
    assert_eq!(filled().to_vec().unwrap(), b"abcdefghabcdefghabcde");
    let after = device.attributes().counters().unwrap();
    let counted = after.since(&before).unwrap();
    assert_eq!((counted.transfers, counted.bytes), (3, 1003 + 77 + 21));
    assert_eq!((counted.errors, queue.in_flight().unwrap()), (0, 0));
}

#[hil::test]
fn a_device_is_found_by_its_name_and_by_its_path(_: &mut Target) {
    let first = Device::first().unwrap();
    for name in [first.name().as_ref(), first.node()] {
        let device = Device::open(name).unwrap();
        assert_eq!((device.name(), device.node()), (first.name(), first.node()));
        let queue = device.session().unwrap().queue().unwrap();
        queue.batch().nop().submit().unwrap().wait().unwrap();
    }
}

/// What a copy of one lap has to bring.
struct Expected {
    pending: Pending,
    sent: Vec<Vec<u8>>,
}

/// Submits copies of lengths that nobody has chosen, in one batch.
fn submit_random(queue: &Queue, pool: &Pool, seed: u64) -> Result<Option<Expected>> {
    let random = pattern(seed, 64);
    let count = usize::from(random[0] % 24) + 1;
    let mut batch = queue.batch();
    let mut sent = Vec::new();
    for index in 0..count {
        let word = [random[2 * index + 1], random[2 * index + 2]];
        let length = usize::from(u16::from_le_bytes(word) % 3000) + 1;
        let bytes = pattern(seed ^ ((index as u64) << 32), length);
        let Ok(source) = region_with(pool, &bytes) else {
            break;
        };
        let alignment = GRANULE << (word[0] % 4);
        let Ok(destination) = pool.aligned_region(length, alignment) else {
            break;
        };
        batch = batch.copy(source, destination);
        sent.push(bytes);
    }
    match batch.submit() {
        Ok(pending) => Ok(Some(Expected { pending, sent })),
        Err(refused) if matches!(refused.error(), Error::Full { .. }) => Ok(None),
        Err(refused) => Err(refused.into()),
    }
}

fn check(expected: Expected) -> Result<usize> {
    let Expected { pending, sent } = expected;
    let count = sent.len();
    for (done, sent) in pending.into_iter().zip(sent) {
        let (source, destination) = copied(done?)?;
        if source.to_vec()? != sent || destination.to_vec()? != sent {
            return Err(format!("{} other bytes came", sent.len()).into());
        }
    }
    Ok(count)
}

/// Keeps batches in flight, as many as there is room for, until so many copies have been checked.
fn keep_busy(queue: &Queue, pool: &Pool, seed: u64, copies: usize) -> Result<()> {
    let (mut in_flight, mut checked) = (VecDeque::new(), 0);
    for lap in 0.. {
        match submit_random(queue, pool, seed + lap)? {
            Some(expected) => in_flight.push_back(expected),
            None if in_flight.is_empty() => {
                queue.wait_for_room(24, None)?;
            }
            None => {}
        }
        while in_flight.len() > 6 {
            let first = in_flight.pop_front().ok_or("none")?;
            checked += check(first)?;
        }
        if checked >= copies {
            break;
        }
    }
    in_flight
        .into_iter()
        .try_for_each(|last| check(last).map(drop))
}

#[hil::test(timeout = "60 s")]
fn many_batches_in_flight_bring_every_byte(_: &mut Target) {
    let (_device, queue, pool) = queue_and_pool(BYTES).unwrap();
    keep_busy(&queue, &pool, 1000, 400).unwrap();
    assert_eq!(pool.free_bytes(), BYTES);
    let coherent = queue.coherent_pool().unwrap();
    keep_busy(&queue, &coherent, 2000, 100).unwrap();
    assert_eq!(coherent.free_bytes(), coherent.bytes());
}

#[hil::test(timeout = "60 s")]
fn threads_that_share_a_queue_get_what_is_their_own(_: &mut Target) {
    let (_device, queue, shared) = queue_and_pool(BYTES).unwrap();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (queue, shared) = (queue.clone(), shared.clone());
                scope.spawn(move || {
                    // Two have a pool together.
                    let pool = if thread < 2 {
                        shared
                    } else {
                        queue.pool(64 << 10).unwrap()
                    };
                    let seed = 100_000 * (thread + 1);
                    keep_busy(&queue, &pool, seed, 100).map_err(|error| error.to_string())
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
    assert_eq!(queue.in_flight().unwrap(), 0);
    assert_eq!(shared.free_bytes(), BYTES);
}

#[hil::test]
fn what_is_in_flight_is_not_given_to_anybody_else(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let source = region_with(&pool, &pattern(82, 1000)).unwrap();
    let destination = pool.region(BYTES / 2).unwrap();
    let place = destination.place();
    let mut pending = queue.batch().copy(source, destination).submit().unwrap();
    assert!(pending.try_next().unwrap().is_none());
    assert!(pending.wait_next(Some(SHORT)).unwrap().is_none());
    let error = pool.region(BYTES / 2).unwrap_err();
    let largest = matches!(error, Error::NoRegion { largest, .. } if largest < BYTES / 2);
    assert!(largest, "{error}");
    // What there is lies beside it.
    let beside = pool.region(BYTES / 2 - 2 * GRANULE * 8).unwrap();
    assert!(beside.place().offset >= place.offset + BYTES as u64 / 2);
    assert_eq!(queue.in_flight().unwrap(), 1);
    stalled.lift().unwrap();
    let done = pending.wait_next(PATIENCE).unwrap().unwrap();
    let (_, destination) = copied(done).unwrap();
    assert_eq!(destination.place(), place);
    assert_eq!(pending.remaining(), 0);
    assert!(
        pending.wait_next(None).unwrap().is_none(),
        "there is no more"
    );
}

#[hil::test]
fn a_batch_that_finds_no_room_comes_back_and_fits_later(_: &mut Target) {
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let _entries = directory.restore_later("ring_entries").unwrap();
    device.attributes().set_ring_entries(4).unwrap();
    let queue = device.session().unwrap().queue().unwrap();
    let pool = queue.pool(BYTES).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let copies = |batch: dmacopy_client::Batch, count: usize| {
        (0..count).fold(batch, |batch, _| {
            let source = region_with(&pool, b"copied").unwrap();
            batch.copy(source, pool.region(6).unwrap())
        })
    };
    let first = copies(queue.batch(), 3).submit().unwrap();
    let refused = copies(queue.batch(), 2).submit().unwrap_err();
    let said = format!(
        "{}: no room for 2 descriptors, with 1 of 4 free",
        device.name()
    );
    assert_eq!(refused.to_string(), said);
    assert!(!queue.wait_for_room(2, Some(SHORT)).unwrap());
    let batch = refused.into_batch();
    assert_eq!(batch.len(), 2);
    // Nothing of it was given away.
    for work in batch.into_works() {
        let (source, destination) = work.into_regions();
        assert_eq!(source.unwrap().to_vec().unwrap(), b"copied");
        drop(destination);
    }
    let refused = copies(queue.batch(), 5).submit().unwrap_err();
    let never = matches!(
        refused.error(),
        Error::Full {
            room: 4,
            wanted: 5,
            ..
        }
    );
    assert!(never, "{refused}");
    assert!(queue.wait_for_room(5, None).is_err());
    drop(refused);

    let batch = copies(queue.batch(), 2);
    stalled.lift().unwrap();
    assert!(queue.wait_for_room(2, PATIENCE).unwrap());
    let second = batch.submit().unwrap();
    for done in first.into_iter().chain(second) {
        let (_, destination) = copied(done.unwrap()).unwrap();
        assert_eq!(destination.to_vec().unwrap(), b"copied");
    }
    assert_eq!(pool.free_bytes(), BYTES);
}

#[hil::test]
fn what_the_driver_has_no_place_for_is_taken_later(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let _limit = limit_session_transfers(&device, 2).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let mut batch = queue.batch();
    for number in 0..9_u8 {
        let source = region_with(&pool, &[number; 100]).unwrap();
        batch = batch.copy(source, pool.region(100).unwrap()).nop();
    }
    let pending = batch.submit().unwrap();
    // One that comes later waits for those.
    let last = queue
        .batch()
        .fill(pool.region(100).unwrap(), 9)
        .submit()
        .unwrap();
    assert_eq!(queue.in_flight().unwrap(), 19);
    stalled.lift().unwrap();
    let filled = last.wait().unwrap().pop().unwrap().ok().unwrap();
    assert_eq!(filled.into_regions().1.unwrap().to_vec().unwrap(), [9; 100]);
    for (index, done) in pending.into_iter().enumerate() {
        if index % 2 == 1 {
            done.unwrap().ok().unwrap();
            continue;
        }
        let (_, destination) = copied(done.unwrap()).unwrap();
        let number = u8::try_from(index / 2).unwrap();
        assert_eq!(destination.to_vec().unwrap(), [number; 100]);
    }
    assert_eq!(queue.in_flight().unwrap(), 0);
}

#[hil::test]
fn who_waits_for_ever_or_not_learns_of_a_place_that_nothing_tells_of(_: &mut Target) {
    let device = Device::first().unwrap();
    let _limit = limit_session_transfers(&device, 1).unwrap();
    for timeout in [None, Some(LONG)] {
        let session = device.session().unwrap();
        let beside = Beside::of(&session).unwrap();
        let queue = session.queue().unwrap();
        let pool = queue.pool(BYTES).unwrap();
        let stalled = Stalled::new(&device, LONG).unwrap();
        // It has the only place, and is no work of the queue.
        let copy = ioctl::Copy {
            destination_offset: 2048,
            length: 1,
            ..ioctl::Copy::default()
        };
        let copying = asleep_in(libc::SYS_ioctl, move || beside.copy_without_answer(&copy));
        let copying = copying.unwrap();
        wait_for_waiting(&device, 1).unwrap();
        let batch = queue.batch().fill(pool.region(100).unwrap(), 7);
        let mut pending = batch.submit().unwrap();
        let (sender, receiver) = channel();
        let wait = move || drop(sender.send(pending.wait_next(timeout)));
        asleep_in(libc::SYS_ppoll, wait).unwrap();
        wait_for_waiting(&device, 1).unwrap();
        stalled.lift().unwrap();
        let copied = copying.join().unwrap();
        assert_eq!(copied.errno(), Some(libc::EFAULT), "it has come to its end");
        let waited = receiver.recv_timeout(SOON).unwrap();
        waited.unwrap().unwrap().ok().unwrap();
    }
}

#[hil::test]
fn what_is_done_is_found_without_waiting(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let batch = queue.batch().fill(pool.region(100).unwrap(), 7).nop();
    let mut pending = batch.submit().unwrap();
    assert!(pending.try_next().unwrap().is_none());
    stalled.lift().unwrap();
    for remaining in [1, 0] {
        let done = wait_until(|| Ok(pending.try_next()?), Option::is_some).unwrap();
        done.unwrap().ok().unwrap();
        assert_eq!(pending.remaining(), remaining);
    }
    assert!(pending.try_next().unwrap().is_none());
}

#[hil::test]
fn a_region_begins_at_a_power_of_two_that_is_no_less_than_was_asked_for(_: &mut Target) {
    let (_device, _queue, pool) = queue_and_pool(BYTES).unwrap();
    let _first = pool.region(1).unwrap();
    for (alignment, rounded) in [(300, 512), (0, GRANULE), (512, 512), (513, 1024)] {
        let region = pool.aligned_region(1, alignment).unwrap();
        // The first place behind the first region.
        let offset = region.place().offset;
        assert_eq!(offset, rounded as u64, "aligned to {alignment}");
    }
}

#[hil::test]
fn each_kind_of_work_that_cannot_be_done_is_refused_with_its_number(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let (_, _other, foreign) = queue_and_pool(BYTES).unwrap();
    let region = |length| pool.region(length).unwrap();
    let batch = queue.batch().nop().copy(region(100), region(99)).nop();
    let refused = batch.submit().unwrap_err();
    let said = "number 1 of the batch copies 100 bytes to a region of 99";
    assert_eq!(refused.to_string(), format!("{}: {said}", device.name()));
    assert_eq!(refused.into_batch().len(), 3);
    let batch = queue.batch().fill(foreign.region(1).unwrap(), 0);
    let refused = batch.submit().unwrap_err();
    let is_other = matches!(
        refused.error(),
        Error::Misfit {
            index: 0,
            misfit: Misfit::OtherSession,
            ..
        }
    );
    assert!(is_other, "{refused}");
    drop(refused);
    for nothing in [0, usize::MAX, BYTES + 1] {
        let error = pool.region(nothing).unwrap_err();
        assert!(
            matches!(error, Error::NoRegion { largest: BYTES, .. }),
            "{error}"
        );
    }
    assert_eq!(queue.in_flight().unwrap(), 0);
    assert_eq!((pool.free_bytes(), foreign.free_bytes()), (BYTES, BYTES));
    // None at all is done at once.
    let pending = queue.batch().submit().unwrap();
    assert_eq!(pending.wait().unwrap().len(), 0);
}

#[hil::test]
fn a_session_in_whose_rings_there_is_something_becomes_no_queue(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    assert!(rings.push(&nop(1)).unwrap());
    rings.submit(&session, 1).unwrap();
    let error = session.queue().unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    assert!(rings.push(&nop(1)).unwrap());
    rings.submit(&session, 1).unwrap();
    rings.pop().unwrap().unwrap();
    let queue = session.queue().unwrap();
    queue.batch().nop().submit().unwrap().wait().unwrap();
}

/// How many `SYNC` requests there have been meanwhile, by anybody.
fn syncs(event: &Event, sampler: &mut Sampler) -> Result<usize> {
    let mut count = 0;
    while let Some(sample) = sampler.next(SHORT)? {
        let request = event.number(&sample.record, "cmd");
        count += usize::from(request? == i128::from(ioctl::SYNC));
    }
    Ok(count)
}

#[hil::test]
fn cached_memory_is_passed_to_the_engine_and_back_and_coherent_is_not(_: &mut Target) {
    let (_device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let event = Event::find("syscalls", "sys_enter_ioctl").unwrap();
    let mut sampler = Sampler::open(&event).unwrap();
    let mut count = || syncs(&event, &mut sampler).unwrap();
    let source = region_with(&pool, &pattern(83, 500)).unwrap();
    let batch = queue.batch().copy(source, pool.region(500).unwrap());
    assert_eq!(count(), 0);
    let pending = batch.submit().unwrap();
    assert_eq!(count(), 2, "the source and the destination, before");
    let (source, destination) = copied(pending.wait().unwrap().pop().unwrap()).unwrap();
    assert_eq!(count(), 1, "the destination, after");
    // Side by side in the buffer, they are passed together.
    let regions = [pool.region(128).unwrap(), pool.region(100).unwrap()];
    let batch = regions.into_iter().fold(queue.batch(), |b, r| b.fill(r, 7));
    let pending = batch.submit().unwrap();
    assert_eq!(count(), 1);
    drop(pending);
    drop((source, destination));
    let coherent = queue.coherent_pool().unwrap();
    let batch = queue.batch().fill(coherent.region(100).unwrap(), 7).nop();
    batch.submit().unwrap().wait().unwrap();
    assert_eq!(count(), 0);
}

#[hil::test]
fn the_coherent_buffer_is_had_once_whoever_asks(_: &mut Target) {
    let (_device, queue, _pool) = queue_and_pool(BYTES).unwrap();
    let one = queue.coherent_pool().unwrap();
    let region = one.region(one.bytes()).unwrap();
    let other = queue.coherent_pool().unwrap();
    assert_eq!(other.free_bytes(), 0);
    drop((one, other));
    let again = queue.clone().coherent_pool().unwrap();
    assert!(again.region(1).is_err());
    drop(region);
    assert_eq!(again.free_bytes(), again.bytes());
}

#[hil::test]
fn memory_of_other_programs_is_imported_and_exported(_: &mut Target) {
    const LENGTH: usize = 64 << 10;
    let (_device, queue, pool) = queue_and_pool(LENGTH).unwrap();
    let memory = MemFd::new(LENGTH as u64).unwrap();
    let dma_buf = DmaBuf::of(&memory, 0, LENGTH as u64).unwrap();
    let imported = queue.import(&dma_buf).unwrap();
    assert_eq!(imported.len(), LENGTH);
    let imported = imported.split_at(GRANULE).unwrap_err();
    let sent = pattern(84, 5003);
    let source = region_with(&pool, &sent).unwrap();
    let pending = queue.batch().copy(source, imported).submit().unwrap();
    let (source, imported) = copied(pending.wait().unwrap().pop().unwrap()).unwrap();
    let mapping = memory.map(0, LENGTH).unwrap();
    assert!(mapping.copy_to_vec(0, 5003).unwrap() == sent);
    drop((source, imported, mapping));

    // The other way: another session writes to what this one has given away.
    let export = pool.export().unwrap();
    let (_, other, theirs) = queue_and_pool(LENGTH).unwrap();
    let taken = other.import(&export).unwrap();
    let sent = pattern(85, LENGTH);
    let source = region_with(&theirs, &sent).unwrap();
    let pending = other.batch().copy(source, taken).submit().unwrap();
    copied(pending.wait().unwrap().pop().unwrap()).unwrap();
    export.begin(Access::Read).unwrap();
    assert!(pool.region(LENGTH).unwrap().to_vec().unwrap() == sent);
    export.end(Access::Read).unwrap();
    let coherent = queue.coherent_pool().unwrap();
    assert_eq!(coherent.export().errno(), Some(libc::EINVAL));
}

#[hil::test]
fn an_import_is_given_up_with_its_region(_: &mut Target) {
    const LENGTH: usize = 64 << 10;
    let (_device, queue, _pool) = queue_and_pool(BYTES).unwrap();
    let memory = MemFd::new(LENGTH as u64).unwrap();
    let dma_buf = DmaBuf::of(&memory, 0, LENGTH as u64).unwrap();
    let import = || queue.import(&dma_buf).unwrap();
    let first = import();
    let number = first.place().buffer;
    assert_ne!(import().place().buffer, number, "the first is still there");
    drop(first);
    let again = import();
    assert_eq!(again.place().buffer, number);
    let pending = queue.batch().fill(again, 7).submit().unwrap();
    drop(pending.wait().unwrap());
    assert_eq!(import().place().buffer, number);
}

#[hil::test]
fn a_completion_is_waited_for_no_longer_than_is_wanted(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    let mut pending = queue
        .batch()
        .fill(pool.region(1).unwrap(), 1)
        .submit()
        .unwrap();
    assert!(pending.wait_next(NOW).unwrap().is_none());
    assert!(!queue.wait_until_idle(Some(SHORT)).unwrap());
    // Others wait as long as they want, while one sleeps for the device.
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| queue.wait_until_idle(Some(10 * SHORT)).unwrap());
        assert!(pending.wait_next(Some(SHORT)).unwrap().is_none());
        assert!(!sleeper.join().unwrap());
    });
}

hil::main!();
