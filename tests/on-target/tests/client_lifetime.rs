// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work of the client that ends otherwise than it was meant to: nobody waits for it any more, its
//! program is killed, the engine fails or stalls, the device goes.
//!
//! No room of its own: what is tested here is the library that programs use.

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use dmacopy_client::{Batch, DebugFiles, Device, Pool, Queue};
use hil::Target;
use nix::sys::signal::Signal;
use on_target::{
    Client, Errno, PATIENCE, Result, Role, Stalled, Unbound, WithSoftware, copied, in_thread,
    pattern, queue_and_pool, region_with, role, software_device, wait_for_waiting, wait_until,
};

const BYTES: usize = 64 << 10;
const LENGTH: usize = 1000;
/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);
/// Less than that.
const SOON: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

/// A batch of so many copies of the same bytes.
fn copies(queue: &Queue, pool: &Pool, count: usize, sent: &[u8]) -> Result<Batch> {
    let mut batch = queue.batch();
    for _ in 0..count {
        let source = region_with(pool, sent)?;
        batch = batch.copy(source, pool.region(sent.len())?);
    }
    Ok(batch)
}

/// Whether a device does its work, as a new queue sees it.
fn works(device: &Device) -> Result<bool> {
    let queue = device.session()?.queue()?;
    let pool = queue.pool(BYTES)?;
    let sent = pattern(91, LENGTH);
    let done = copies(&queue, &pool, 1, &sent)?.submit()?.wait()?;
    let mut right = done
        .into_iter()
        .map(|done| Ok(copied(done)?.1.to_vec()? == sent));
    right.next().ok_or("nothing came back")?
}

#[hil::test]
fn work_that_nobody_waits_for_is_done_and_then_its_memory_is_free(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let before = device.attributes().counters().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let sent = pattern(92, LENGTH);
    let batch = copies(&queue, &pool, 8, &sent).unwrap();
    let free = pool.free_bytes();
    let begun = Instant::now();
    drop(batch.submit().unwrap());
    assert!(begun.elapsed() < SOON, "it was waited for");
    assert_eq!(queue.in_flight().unwrap(), 8);
    assert_eq!(pool.free_bytes(), free, "the engine has it still");
    assert!(pool.region(BYTES).is_err());
    stalled.lift().unwrap();
    // Who finds no room looks for what was completed meanwhile.
    let all = wait_until(|| Ok(pool.region(BYTES).ok()), Option::is_some).unwrap();
    assert_eq!(queue.in_flight().unwrap(), 0);
    drop(all);
    assert_eq!(pool.free_bytes(), BYTES);
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.since(&before).unwrap().transfers, 8);
}

#[hil::test]
fn what_is_left_of_a_batch_whose_first_was_taken_is_free_when_it_is_done(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let sent = pattern(93, LENGTH);
    let mut pending = copies(&queue, &pool, 8, &sent).unwrap().submit().unwrap();
    let first = pending.wait_next(PATIENCE).unwrap().unwrap();
    let (source, destination) = copied(first).unwrap();
    // Some are done already and some are not.
    let stalled = Stalled::new(&device, LONG).unwrap();
    let blocked = copies(&queue, &pool, 2, &sent).unwrap().submit().unwrap();
    drop((pending, blocked));
    stalled.lift().unwrap();
    assert!(queue.wait_until_idle(PATIENCE).unwrap());
    assert!(destination.to_vec().unwrap() == sent);
    drop((source, destination));
    assert_eq!(pool.free_bytes(), BYTES);
}

#[hil::test]
fn a_session_ends_with_the_last_that_has_something_of_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let sessions = || device.attributes().sessions().unwrap();
    let before = sessions();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let (_, queue, pool) = queue_and_pool(BYTES).unwrap();
    let sent = pattern(94, LENGTH);
    let mut kept = pool.region(LENGTH).unwrap();
    let pending = copies(&queue, &pool, 4, &sent).unwrap().submit().unwrap();
    wait_for_waiting(&device, 4).unwrap();
    drop(queue);
    drop(pool);
    assert_eq!(sessions(), before + 1);
    let begun = Instant::now();
    drop(pending);
    // The memory is there as long as anybody has some of it.
    assert_eq!(sessions(), before + 1);
    kept.write(0, &sent).unwrap();
    assert!(kept.to_vec().unwrap() == sent);
    drop(kept);
    assert_eq!(sessions(), before);
    assert!(begun.elapsed() < SOON, "the engine was waited for");
    wait_for_waiting(&device, 0).unwrap();
    stalled.lift().unwrap();
    assert!(works(&device).unwrap());
}

#[hil::test]
fn a_buffer_is_given_up_with_the_last_of_its_regions(_: &mut Target) {
    let device = Device::first().unwrap();
    let (_, queue, pool) = queue_and_pool(BYTES).unwrap();
    let number = |pool: &Pool| pool.region(1).unwrap().place().buffer.get();
    assert_eq!(number(&pool), 1);
    let region = pool.region(1).unwrap();
    drop(pool);
    assert_eq!(number(&queue.pool(BYTES).unwrap()), 2);
    let stalled = Stalled::new(&device, LONG).unwrap();
    let pending = queue.batch().fill(region, 1).submit().unwrap();
    assert_eq!(
        number(&queue.pool(BYTES).unwrap()),
        2,
        "the engine has the first"
    );
    stalled.lift().unwrap();
    let done = pending.wait().unwrap();
    assert_eq!(number(&queue.pool(BYTES).unwrap()), 2);
    drop(done);
    assert_eq!(number(&queue.pool(BYTES).unwrap()), 1);
}

#[hil::test]
fn what_fails_comes_back_with_its_error_and_harms_no_other(_: &mut Target) {
    let _loaded = WithSoftware::new().unwrap();
    let device = software_device().unwrap();
    let debug = DebugFiles::open(&device).unwrap();
    let queue = device.session().unwrap().queue().unwrap();
    let pool = queue.pool(BYTES).unwrap();
    let sent = pattern(95, LENGTH);
    let stalled = Stalled::new(&device, LONG).unwrap();
    let pending = copies(&queue, &pool, 3, &sent).unwrap().submit().unwrap();
    let _fault = debug.fail_next(2).unwrap();
    stalled.lift().unwrap();
    let mut done = pending.wait().unwrap();
    let (_, destination) = copied(done.pop().unwrap()).unwrap();
    assert!(destination.to_vec().unwrap() == sent);
    for failed in done {
        let place = destination.place().buffer;
        let operation = failed.work.bytes();
        let error = failed.result.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
        let said = format!("{}: cannot copy {LENGTH} bytes from offset", device.name());
        assert!(error.to_string().starts_with(&said), "{error}");
        // The regions are the program's again, and do for the next.
        let (source, destination) = failed.work.into_regions();
        let (source, destination) = (source.unwrap(), destination.unwrap());
        assert_eq!((operation, destination.place().buffer), (LENGTH, place));
        let again = queue.batch().copy(source, destination).submit().unwrap();
        let (source, destination) = copied(again.wait().unwrap().pop().unwrap()).unwrap();
        assert!(source.to_vec().unwrap() == sent && destination.to_vec().unwrap() == sent);
    }
    drop(destination);
    assert_eq!(pool.free_bytes(), BYTES);
}

#[hil::test]
fn what_an_engine_does_not_do_in_time_says_so_and_the_next_is_done(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let stalled = Stalled::new(&device, SHORT).unwrap();
    let batch = copies(&queue, &pool, 2, &[1; 64]).unwrap().nop();
    let done = batch.submit().unwrap().wait().unwrap();
    let errors: Vec<_> = done.iter().map(|done| done.result.errno()).collect();
    let late = Some(libc::ETIMEDOUT);
    assert_eq!(errors, [late, late, None]);
    drop(done);
    stalled.lift().unwrap();
    assert_eq!(pool.free_bytes(), BYTES);
    let done = copies(&queue, &pool, 2, &[2; 64])
        .unwrap()
        .submit()
        .unwrap();
    for done in done {
        assert_eq!(copied(done.unwrap()).unwrap().1.to_vec().unwrap(), [2; 64]);
    }
}

#[hil::test]
fn a_device_that_goes_gives_back_all_that_it_had(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let sent = pattern(96, LENGTH);
    let _stalled = Stalled::new(&device, LONG).unwrap();
    let waited_for = copies(&queue, &pool, 3, &sent)
        .unwrap()
        .nop()
        .submit()
        .unwrap();
    let waiter = in_thread(move || waited_for.wait());
    let looked_for = copies(&queue, &pool, 3, &sent).unwrap().submit().unwrap();
    drop(copies(&queue, &pool, 3, &sent).unwrap().submit().unwrap());
    wait_for_waiting(&device, 9).unwrap();
    let unbound = Unbound::new().unwrap();
    let gone = Some(libc::ENODEV);
    let mut all = waiter.recv_timeout(SOON).unwrap().unwrap();
    assert_eq!(all.len(), 4);
    all.extend(looked_for.wait().unwrap());
    for done in all {
        assert_eq!(done.result.errno(), gone);
        // What the program had written is there still.
        if let Some(mut source) = done.work.into_regions().0 {
            assert!(source.to_vec().unwrap() == sent);
            source.fill(0, LENGTH, 1).unwrap();
        }
    }
    assert_eq!(pool.free_bytes(), BYTES, "nothing is lost");

    let refused = copies(&queue, &pool, 2, &sent)
        .unwrap()
        .submit()
        .unwrap_err();
    assert_eq!(refused.error().raw_os_error(), gone);
    for work in refused.into_batch().into_works() {
        assert!(work.into_regions().0.unwrap().to_vec().unwrap() == sent);
    }
    let refused = queue.batch().nop().submit().unwrap_err();
    assert_eq!(refused.error().raw_os_error(), gone);
    assert_eq!(queue.wait_for_room(1, None).errno(), gone);
    assert_eq!(queue.pool(BYTES).errno(), gone);
    assert_eq!(queue.in_flight().unwrap(), 0);
    assert!(queue.wait_until_idle(None).unwrap());
    unbound.rebind().unwrap();
    assert!(works(&Device::first().unwrap()).unwrap());
}

#[hil::test]
fn coherent_memory_of_a_device_that_is_known_to_have_gone_is_an_error(_: &mut Target) {
    let (_device, queue, _pool) = queue_and_pool(BYTES).unwrap();
    let pool = queue.coherent_pool().unwrap();
    let mut region = region_with(&pool, b"written").unwrap();
    let unbound = Unbound::new().unwrap();
    queue.in_flight().unwrap();
    let gone = Some(libc::ENODEV);
    assert_eq!(region.to_vec().errno(), gone);
    assert_eq!(region.write(0, b"more").errno(), gone);
    assert_eq!(region.fill(0, 1, 0).errno(), gone);
    drop((region, pool, queue));
    unbound.rebind().unwrap();
}

/// Has batches in flight, and is killed.
fn be_killed(role: &Role) -> Result<()> {
    let (_device, queue, pool) = queue_and_pool(BYTES)?;
    let pending = copies(&queue, &pool, 8, &pattern(97, LENGTH))?.submit()?;
    role.ready()?;
    role.wait()?;
    pending.wait()?;
    Ok(())
}

#[hil::test]
fn nothing_is_left_of_a_program_that_is_killed_in_the_middle_of_a_batch(_: &mut Target) {
    if let Some(role) = role() {
        return be_killed(&role).unwrap();
    }
    let test = "nothing_is_left_of_a_program_that_is_killed_in_the_middle_of_a_batch";
    let device = Device::first().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let mut client = Client::start(test, "client").unwrap();
    wait_for_waiting(&device, 8).unwrap();
    client.signal(Signal::SIGKILL).unwrap();
    assert_eq!(client.end().unwrap().signal(), Some(libc::SIGKILL));
    wait_until(|| Ok(device.attributes().sessions()?), |open| *open == 0).unwrap();
    wait_for_waiting(&device, 0).unwrap();
    stalled.lift().unwrap();
    assert!(works(&device).unwrap());
}

#[hil::test]
fn a_waiter_in_another_thread_is_not_kept_by_who_waits_for_something_else(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let mut batches = Vec::new();
    for number in 0..6 {
        let batch = copies(&queue, &pool, 2, &[number; 64]).unwrap();
        batches.push((number, batch.submit().unwrap()));
    }
    // The last first: whoever sleeps for the device takes what the others wait for.
    thread::scope(|scope| {
        let waiters: Vec<_> = batches
            .into_iter()
            .rev()
            .map(|(number, pending)| {
                scope.spawn(move || {
                    for done in pending {
                        let (_, destination) = copied(done.unwrap()).unwrap();
                        assert_eq!(destination.to_vec().unwrap(), [number; 64]);
                    }
                })
            })
            .collect();
        stalled.lift().unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
    assert_eq!(queue.in_flight().unwrap(), 0);
}

hil::main!();
