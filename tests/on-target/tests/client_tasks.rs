// SPDX-License-Identifier: MIT OR Apache-2.0

//! Batches of the client in tokio's runtime: many tasks, futures that are dropped, and devices that
//! go.
//!
//! No room of its own: what is tested here is the library that programs use.

use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use dmacopy_client::{Device, Error, Event, Events, Pending, Pool, Queue, State};
use hil::Target;
use on_target::{
    Errno, PATIENCE, Result, Stalled, Unbound, copied, limit_session_transfers, pattern,
    queue_and_pool, region_with, wait_for_waiting,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const BYTES: usize = 64 << 10;
/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_secs(10);

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Copies bytes by one batch after the other, and checks each of them.
async fn copy_often(queue: Queue, pool: Pool, task: u64, laps: u64) -> Result<()> {
    for lap in 0..laps {
        let seed = (task << 32) | lap;
        let length = usize::from(pattern(seed, 2)[0]) * 3 + 1;
        let sent = pattern(seed, length);
        let mut batch = queue.batch();
        for _ in 0..3 {
            let source = region_with(&pool, &sent)?;
            batch = batch.copy(source, pool.region(length)?);
        }
        let pending = batch.submit_when_there_is_room().await?;
        let done = pending.await?;
        if done.len() != 3 {
            return Err(format!("{} of 3 came back", done.len()).into());
        }
        for done in done {
            let (_, destination) = copied(done)?;
            if destination.to_vec()? != sent {
                return Err(format!("other bytes came in lap {lap} of task {task}").into());
            }
        }
    }
    Ok(())
}

/// The error's text, which can be sent to where it is looked at.
async fn told(work: impl Future<Output = Result<()>>) -> std::result::Result<(), String> {
    work.await.map_err(|error| error.to_string())
}

#[hil::test(timeout = "60 s")]
fn many_tasks_of_several_sessions_get_what_is_their_own(_: &mut Target) {
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let _entries = directory.restore_later("ring_entries").unwrap();
    // So that there is no room for all of them.
    device.attributes().set_ring_entries(16).unwrap();
    let queues: Vec<_> = (0..3)
        .map(|_| device.session().unwrap().queue().unwrap())
        .collect();
    let runtime = runtime();
    let mut tasks = Vec::new();
    for (session, queue) in queues.iter().enumerate() {
        let shared = queue.pool(256 << 10).unwrap();
        for task in 0..12 {
            let number = session as u64 * 100 + task;
            let work = copy_often(queue.clone(), shared.clone(), number, 10);
            tasks.push(runtime.spawn(async { told(work).await }));
        }
    }
    for task in tasks {
        runtime.block_on(task).unwrap().unwrap();
    }
    for queue in &queues {
        assert_eq!(queue.in_flight().unwrap(), 0);
    }
}

#[hil::test(timeout = "60 s")]
fn tasks_go_on_when_a_place_is_free_again(_: &mut Target) {
    let device = Device::first().unwrap();
    // So that a doorbell may find no place, and nothing under way that could tell of one.
    let _limit = limit_session_transfers(&device, 1).unwrap();
    let (_device, queue, pool) = queue_and_pool(256 << 10).unwrap();
    let runtime = runtime();
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let work = copy_often(queue.clone(), pool.clone(), 700 + task, 100);
            runtime.spawn(async { told(work).await })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap().unwrap();
    }
}

#[hil::test(timeout = "60 s")]
fn tasks_and_threads_share_a_queue(_: &mut Target) {
    let (_device, queue, pool) = queue_and_pool(256 << 10).unwrap();
    let runtime = runtime();
    let tasks: Vec<_> = (0..6)
        .map(|task| {
            let work = copy_often(queue.clone(), pool.clone(), 500 + task, 15);
            runtime.spawn(async { told(work).await })
        })
        .collect();
    thread::scope(|scope| {
        for byte in 1..=2 {
            let (queue, pool) = (&queue, &pool);
            scope.spawn(move || {
                for _ in 0..40 {
                    let region = pool.region(100).unwrap();
                    let pending = queue.batch().fill(region, byte).submit().unwrap();
                    let done = pending.wait().unwrap().pop().unwrap().ok().unwrap();
                    let region = done.into_regions().1.unwrap();
                    assert_eq!(region.to_vec().unwrap(), [byte; 100]);
                }
            });
        }
    });
    for task in tasks {
        runtime.block_on(task).unwrap().unwrap();
    }
    assert_eq!(pool.free_bytes(), 256 << 10);
}

/// Copies of the same bytes in one batch.
fn submit_copies(queue: &Queue, pool: &Pool, count: usize, sent: &[u8]) -> Result<Pending> {
    let mut batch = queue.batch();
    for _ in 0..count {
        let source = region_with(pool, sent)?;
        batch = batch.copy(source, pool.region(sent.len())?);
    }
    Ok(batch.submit()?)
}

#[hil::test]
fn a_future_that_is_dropped_loses_nothing(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let sent = pattern(101, 1000);
    runtime().block_on(async {
        let stalled = Stalled::new(&device, LONG).unwrap();
        let mut pending = submit_copies(&queue, &pool, 3, &sent).unwrap();
        for _ in 0..3 {
            assert!(timeout(SHORT, pending.next_done()).await.is_err());
            assert!(timeout(SHORT, &mut pending).await.is_err());
        }
        assert_eq!(pending.remaining(), 3);
        stalled.lift().unwrap();
        let first = timeout(SOON, pending.next_done()).await.unwrap();
        let (_, destination) = copied(first.unwrap().unwrap()).unwrap();
        assert!(destination.to_vec().unwrap() == sent);
        assert_eq!(pending.remaining(), 2);
        for done in timeout(SOON, &mut pending).await.unwrap().unwrap() {
            assert!(copied(done).unwrap().1.to_vec().unwrap() == sent);
        }
        assert_eq!(pending.remaining(), 0);
        assert!(pending.next_done().await.unwrap().is_none());
        assert_eq!(pending.await.unwrap().len(), 0);
    });
    assert_eq!(pool.free_bytes(), BYTES);
}

#[hil::test]
fn a_task_that_goes_takes_nobody_else_s_wake_up_with_it(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let runtime = runtime();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let task = |count| {
        let pending = submit_copies(&queue, &pool, count, &[7; 100]).unwrap();
        runtime.spawn(async move { pending.await.unwrap().len() })
    };
    let tasks = [task(1), task(2), task(3)];
    wait_for_waiting(&device, 6).unwrap();
    // Each has waited by now, the last one last.
    thread::sleep(SHORT);
    let [first, second, third] = tasks;
    for task in [third, first] {
        task.abort();
        let ended = runtime.block_on(task).unwrap_err();
        assert!(ended.is_cancelled(), "{ended}");
    }
    stalled.lift().unwrap();
    let waited = runtime.block_on(async { timeout(SOON, second).await });
    assert_eq!(waited.unwrap().unwrap(), 2);
    assert!(queue.wait_until_idle(PATIENCE).unwrap());
    let free = || Ok(pool.free_bytes());
    on_target::wait_until(free, |free| *free == BYTES).unwrap();
}

#[hil::test]
fn room_is_waited_for_and_who_gives_up_gets_the_memory_back(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let fill = |nops: usize| {
        // The nops wait for it.
        let batch = queue.batch().fill(pool.region(64).unwrap(), 3);
        (0..nops).fold(batch, |batch, _| batch.nop())
    };
    let full = fill(queue.entries() - 1).submit().unwrap();
    runtime().block_on(async {
        let free = pool.free_bytes();
        let waiting = fill(1).submit_when_there_is_room();
        assert!(timeout(SHORT, waiting).await.is_err());
        assert_eq!(pool.free_bytes(), free);
        assert!(timeout(SHORT, queue.room(1)).await.is_err());
        let never = queue.room(queue.entries() + 1).await.unwrap_err();
        assert!(matches!(never, Error::Full { .. }), "{never}");
        let never = fill(queue.entries()).submit_when_there_is_room().await;
        assert!(matches!(never.unwrap_err().error(), Error::Full { .. }));
        let waiting = tokio::spawn(fill(1).submit_when_there_is_room());
        tokio::time::sleep(SHORT).await;
        stalled.lift().unwrap();
        let pending = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
        assert_eq!(pending.await.unwrap().len(), 2);
        assert_eq!(full.await.unwrap().len(), queue.entries());
    });
    assert_eq!(pool.free_bytes(), BYTES);
}

#[hil::test]
fn a_batch_as_long_as_the_ring_waits_until_that_is_empty(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let before = submit_copies(&queue, &pool, 1, &[7; 100]).unwrap();
    let batch = (0..queue.entries()).fold(queue.batch(), |batch, _| batch.nop());
    runtime().block_on(async {
        let mut waiting = tokio::spawn(batch.submit_when_there_is_room());
        assert!(timeout(SHORT, &mut waiting).await.is_err());
        stalled.lift().unwrap();
        let pending = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
        let done = timeout(SOON, pending).await.unwrap().unwrap();
        assert_eq!(done.len(), queue.entries());
        assert_eq!(before.await.unwrap().len(), 1);
    });
}

#[hil::test]
fn a_device_that_goes_wakes_all_tasks(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    let runtime = runtime();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pending = submit_copies(&queue, &pool, 2, &[7; 100]).unwrap();
            runtime.spawn(pending)
        })
        .collect();
    let rest = queue.entries();
    let for_room = queue.clone();
    let room = runtime.spawn(async move { for_room.room(rest).await });
    wait_for_waiting(&device, 8).unwrap();
    let unbound = Unbound::new().unwrap();
    let gone = Some(libc::ENODEV);
    for task in tasks {
        let done = runtime.block_on(async { timeout(SOON, task).await });
        let done = done.unwrap().unwrap().unwrap();
        assert_eq!(done.len(), 2);
        assert!(done.iter().all(|done| done.result.errno() == gone));
    }
    let room = runtime.block_on(async { timeout(SOON, room).await });
    assert_eq!(room.unwrap().unwrap().errno(), gone);
    let refused = runtime.block_on(queue.batch().nop().submit_when_there_is_room());
    assert_eq!(refused.unwrap_err().error().raw_os_error(), gone);
    assert_eq!(pool.free_bytes(), BYTES);
    unbound.rebind().unwrap();
}

#[hil::test]
fn a_queue_follows_who_waits_to_another_runtime(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    for lap in 0..3 {
        let stalled = Stalled::new(&device, LONG).unwrap();
        let mut pending = submit_copies(&queue, &pool, 2, &[lap; 100]).unwrap();
        // Here there is none.
        let mut context = Context::from_waker(Waker::noop());
        let polled = std::pin::Pin::new(&mut pending).poll(&mut context);
        if lap == 0 {
            let none = matches!(polled, Poll::Ready(Err(Error::NoRuntime { .. })));
            assert!(none, "{polled:?}");
        }
        runtime().block_on(async {
            assert!(timeout(SHORT, &mut pending).await.is_err());
        });
        // That one has ended.
        runtime().block_on(async {
            assert!(timeout(SHORT, &mut pending).await.is_err());
            stalled.lift().unwrap();
            let done = timeout(SOON, &mut pending).await.unwrap().unwrap();
            assert_eq!(done.len(), 2);
        });
    }
}

#[hil::test]
fn events_are_a_stream(_: &mut Target) {
    let (device, queue, pool) = queue_and_pool(BYTES).unwrap();
    runtime().block_on(async {
        let mut events = Events::listen().unwrap().into_stream().unwrap();
        assert!(timeout(SHORT, events.next()).await.is_err());
        let stalled = Stalled::new(&device, SHORT).unwrap();
        let pending = submit_copies(&queue, &pool, 1, &[7; 100]).unwrap();
        let late = pending.await.unwrap();
        assert_eq!(late[0].result.errno(), Some(libc::ETIMEDOUT));
        let state = |event| match event {
            Event::StateChanged { state, .. } => Some(state),
            _ => None,
        };
        let event = timeout(SOON, events.next()).await.unwrap().unwrap();
        assert_eq!(state(event), Some(State::Stalled));
        stalled.lift().unwrap();
        submit_copies(&queue, &pool, 1, &[7; 100])
            .unwrap()
            .await
            .unwrap();
        let event = timeout(SOON, events.next()).await.unwrap().unwrap();
        assert_eq!(state(event), Some(State::Running));
    });
}

#[hil::test]
fn events_are_iterated_over(_: &mut Target) {
    let events = Events::listen().unwrap();
    Unbound::new().unwrap().rebind().unwrap();
    let device = Device::first().unwrap();
    let mut names = events.map(|event| match event.unwrap() {
        Event::Removed { name, .. } => format!("-{name}"),
        Event::Added { name, .. } => format!("+{name}"),
        other => format!("{other:?}"),
    });
    let name = device.name();
    assert_eq!(names.next(), Some(format!("-{name}")));
    assert_eq!(names.next(), Some(format!("+{name}")));
}

hil::main!();
