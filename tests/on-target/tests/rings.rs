// SPDX-License-Identifier: MIT OR Apache-2.0

//! Batches of descriptors through a session's rings, and what a hostile program writes there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::thread::JoinHandleExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use dmacopy_client::{Descriptor, Device, RingCompletion, Rings, Session};
use dmacopy_uapi::names::{field, tracepoint};
use dmacopy_uapi::ring::{self, COPY, FILL, NOP, index};
use hil::Target;
use kernel_channels::Interest;
use kernel_channels::tracepoint::{Event, Instance};
use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;
use on_target::{
    Errno, PATIENCE, Result, Stalled, Unbound, asleep_in, in_thread, interrupted_by, pattern,
    wait_for_waiting, wait_until,
};

/// How long a stalled engine is waited for, where a test wants it to stall.
const TIMEOUT: Duration = Duration::from_millis(200);
/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);
/// Less than that.
const SOON: Duration = Duration::from_secs(10);

fn rings() -> Result<(Device, Session, Rings)> {
    let device = Device::first()?;
    let session = device.session()?;
    let rings = session.rings()?;
    Ok((device, session, rings))
}

fn nop(user_data: u64) -> Descriptor {
    Descriptor {
        opcode: NOP,
        user_data,
        ..Descriptor::default()
    }
}

fn copy(source: u64, destination: u64, length: u32, user_data: u64) -> Descriptor {
    Descriptor {
        opcode: COPY,
        source,
        destination,
        length,
        user_data,
        ..Descriptor::default()
    }
}

fn push_all(rings: &mut Rings, descriptors: &[Descriptor]) -> Result<()> {
    for descriptor in descriptors {
        if !rings.push(descriptor)? {
            return Err("the ring is full".into());
        }
    }
    Ok(())
}

fn pop_all(rings: &mut Rings) -> Result<Vec<(u64, Option<i32>)>> {
    let mut all = Vec::new();
    while let Some(RingCompletion { user_data, errno }) = rings.pop()? {
        all.push((user_data, errno));
    }
    Ok(all)
}

#[hil::test]
fn a_batch_of_nothing_comes_back_in_order_with_one_doorbell(_: &mut Target) {
    let (device, session, mut rings) = rings().unwrap();
    let before = device.attributes().counters().unwrap();
    let entries = u64::from(rings.entries());
    // Several times around.
    for lap in 0..5 {
        let batch: Vec<_> = (0..entries).map(|n| nop((lap << 32) | n)).collect();
        push_all(&mut rings, &batch).unwrap();
        assert!(!rings.push(&nop(0)).unwrap(), "there is no room");
        assert_eq!(rings.submit(&session, 0).unwrap(), rings.entries());
        let expected: Vec<_> = batch.iter().map(|d| (d.user_data, None)).collect();
        assert_eq!(pop_all(&mut rings).unwrap(), expected);
    }
    // The engine has nothing to do with it.
    assert_eq!(device.attributes().counters().unwrap(), before);
}

#[hil::test]
fn copies_and_fills_are_done_in_order(_: &mut Target) {
    let (_device, session, mut rings) = rings().unwrap();
    let mut buffer = session.buffer().unwrap();
    let sent = pattern(11, 1000);
    buffer.write(0, &sent).unwrap();
    let fill = |destination, length, pattern: &[u8; 8], user_data| Descriptor {
        opcode: FILL,
        source: u64::from_le_bytes(*pattern),
        destination,
        length,
        user_data,
        ..Descriptor::default()
    };
    let batch = [
        copy(0, 2000, 1000, 1),
        nop(2),
        // Uses what the first has copied.
        copy(2000, 4000, 999, 3),
        fill(6000, 21, b"abcdefgh", 4),
        fill(6500, 3, b"xyz?????", 5),
        nop(6),
    ];
    push_all(&mut rings, &batch).unwrap();
    assert_eq!(rings.submit(&session, 6).unwrap(), 6);
    let expected: Vec<_> = (1..=6).map(|n| (n, None)).collect();
    assert_eq!(pop_all(&mut rings).unwrap(), expected);
    assert!(buffer.copy_to_vec(2000, 1000).unwrap() == sent);
    assert!(buffer.copy_to_vec(4000, 999).unwrap() == sent[..999]);
    let filled = buffer.copy_to_vec(5999, 23).unwrap();
    assert_eq!(filled, b"\0abcdefghabcdefghabcde\0");
    assert_eq!(buffer.copy_to_vec(6499, 5).unwrap(), b"\0xyz\0");
}

#[hil::test]
fn many_batches_of_copies_move_every_byte(_: &mut Target) {
    let (device, session, mut rings) = rings().unwrap();
    let mut buffer = session.buffer().unwrap();
    let before = device.attributes().counters().unwrap();
    for lap in 0..20_u64 {
        let sent = pattern(lap, 32 * 64);
        buffer.write(0, &sent).unwrap();
        let batch: Vec<_> = (0..32)
            .map(|n| copy(n * 64, 8192 + n * 64, 64, n))
            .collect();
        push_all(&mut rings, &batch).unwrap();
        rings.submit(&session, 32).unwrap();
        let expected: Vec<_> = (0..32).map(|n| (n, None)).collect();
        assert_eq!(pop_all(&mut rings).unwrap(), expected);
        assert!(buffer.copy_to_vec(8192, sent.len()).unwrap() == sent);
    }
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.transfers - before.transfers, 20 * 32);
    assert_eq!(after.bytes - before.bytes, 20 * 32 * 64);
}

#[hil::test]
fn what_is_no_descriptor_is_completed_with_einval_and_harms_no_other(_: &mut Target) {
    let (_device, session, mut rings) = rings().unwrap();
    let bytes = session.info().unwrap().buffer_bytes;
    let mut buffer = session.buffer().unwrap();
    let length = usize::try_from(bytes).unwrap();
    let sent = pattern(12, length);
    buffer.write(0, &sent).unwrap();
    let good = copy(0, 64, 16, 0);
    let bad = [
        Descriptor { opcode: 3, ..good },
        Descriptor {
            opcode: 255,
            ..good
        },
        Descriptor { flags: 1, ..good },
        Descriptor {
            source_buffer: 1,
            ..good
        },
        Descriptor {
            destination_buffer: 255,
            ..good
        },
        Descriptor { length: 0, ..good },
        Descriptor {
            length: u32::MAX,
            ..good
        },
        Descriptor {
            source: bytes - 15,
            ..good
        },
        Descriptor {
            source: u64::MAX,
            ..good
        },
        Descriptor {
            destination: bytes - 15,
            ..good
        },
        // Where the rings are.
        Descriptor {
            destination: bytes,
            ..good
        },
        Descriptor {
            source: bytes,
            ..good
        },
        Descriptor {
            destination: u64::MAX - 7,
            ..good
        },
        Descriptor {
            destination: 15,
            ..good
        },
        Descriptor {
            opcode: FILL,
            destination: bytes - 15,
            ..good
        },
        Descriptor {
            opcode: NOP,
            ..good
        },
    ];
    let mut batch: Vec<_> = bad.to_vec();
    batch.push(Descriptor {
        user_data: 99,
        ..nop(0)
    });
    push_all(&mut rings, &batch).unwrap();
    let count = u32::try_from(batch.len()).unwrap();
    assert_eq!(rings.submit(&session, count).unwrap(), count);
    let completions = pop_all(&mut rings).unwrap();
    let (last, refused) = completions.split_last().unwrap();
    assert_eq!(*last, (99, None));
    assert!(
        refused.iter().all(|c| *c == (0, Some(libc::EINVAL))),
        "{refused:?}"
    );
    assert!(
        buffer.copy_to_vec(0, length).unwrap() == sent,
        "something was moved"
    );
}

#[hil::test]
fn what_is_no_nop_is_refused_although_there_is_nothing_to_wait_for(_: &mut Target) {
    let (_device, session, mut rings) = rings().unwrap();
    let good = nop(7);
    let bad = [
        Descriptor { flags: 1, ..good },
        Descriptor { length: 1, ..good },
        Descriptor { source: 1, ..good },
        Descriptor {
            source_buffer: 1,
            ..good
        },
        Descriptor {
            destination: 1,
            ..good
        },
        Descriptor {
            destination_buffer: 1,
            ..good
        },
    ];
    for bad in bad {
        // Alone, and behind one that is none: the driver has come as far by another way.
        for batch in [vec![bad], vec![good, bad]] {
            push_all(&mut rings, &batch).unwrap();
            let count = u32::try_from(batch.len()).unwrap();
            assert_eq!(rings.submit(&session, count).unwrap(), count);
            let last = pop_all(&mut rings).unwrap().pop();
            assert_eq!(last, Some((7, Some(libc::EINVAL))), "{bad:?}");
        }
    }
}

#[hil::test]
fn indices_that_are_none_are_refused_and_the_session_goes_on(_: &mut Target) {
    let (_device, session, mut rings) = rings().unwrap();
    let entries = rings.entries();
    for (index, value) in [
        (index::SUBMISSION_TAIL, entries + 1),
        (index::SUBMISSION_TAIL, u32::MAX),
        (index::COMPLETION_HEAD, 1),
        (index::COMPLETION_HEAD, u32::MAX - entries),
    ] {
        rings.memory().store_release(index, value).unwrap();
        let result = rings.submit(&session, 0);
        // Without anything to submit, what was read does not matter to the driver.
        assert_eq!(result.errno(), Some(libc::EINVAL), "{index} {value}");
        rings.memory().store_release(index, 0).unwrap();
    }
    // What belongs to the driver can be overwritten, but it does not go by it.
    for index in [index::SUBMISSION_HEAD, index::COMPLETION_TAIL] {
        rings.memory().store_release(index, 77).unwrap();
    }
    rings
        .memory()
        .store_release(index::SUBMISSION_TAIL, 1)
        .unwrap();
    rings.submit(&session, 0).unwrap();
    let told = [index::SUBMISSION_HEAD, index::COMPLETION_TAIL]
        .map(|index| rings.memory().load_acquire(index).unwrap());
    assert_eq!(told, [1, 1]);
}

#[hil::test]
fn what_has_no_room_for_its_completion_is_not_taken(_: &mut Target) {
    let (_device, session, mut rings) = rings().unwrap();
    let entries = rings.entries();
    let batch: Vec<_> = (0..u64::from(entries)).map(nop).collect();
    push_all(&mut rings, &batch).unwrap();
    assert_eq!(rings.submit(&session, 0).unwrap(), entries);
    // There is room for descriptors, but nobody has read a completion.
    push_all(&mut rings, &batch[..2]).unwrap();
    assert_eq!(rings.submit(&session, 0).unwrap(), 0);
    rings.pop().unwrap().unwrap();
    assert_eq!(rings.submit(&session, 0).unwrap(), 1);
    assert_eq!(pop_all(&mut rings).unwrap().len(), entries as usize);
    assert_eq!(rings.submit(&session, 0).unwrap(), 1);
    assert_eq!(pop_all(&mut rings).unwrap(), [(1, None)]);
}

#[hil::test]
fn completions_are_polled_for_until_they_are_read(_: &mut Target) {
    let (_device, session, mut rings) = rings().unwrap();
    let none = Some(Duration::ZERO);
    let is_readable = |limit| {
        let found = session.poll(Interest::READABLE, limit).unwrap();
        found.readable
    };
    assert!(!is_readable(none));
    push_all(&mut rings, &[nop(1), copy(0, 64, 16, 2)]).unwrap();
    assert!(!is_readable(none));
    rings.submit(&session, 0).unwrap();
    assert!(is_readable(PATIENCE));
    wait_until(
        || Ok(rings.pop()?.map(|c| c.user_data)),
        |popped| *popped == Some(2),
    )
    .unwrap();
    assert!(!is_readable(none));
}

#[hil::test]
fn who_waits_for_more_than_there_will_be_waits_for_all_there_is(_: &mut Target) {
    let (_device, session, mut rings) = rings().unwrap();
    // Nothing at all.
    assert_eq!(rings.submit(&session, 5).unwrap(), 0);
    push_all(&mut rings, &[copy(0, 64, 16, 1), copy(0, 64, 16, 2)]).unwrap();
    assert_eq!(rings.submit(&session, 100).unwrap(), 2);
    assert_eq!(pop_all(&mut rings).unwrap(), [(1, None), (2, None)]);
}

#[hil::test]
fn what_an_engine_does_not_complete_in_time_says_so_and_so_does_all_behind_it(_: &mut Target) {
    let (device, session, mut rings) = rings().unwrap();
    let stall = Stalled::new(&device, TIMEOUT).unwrap();
    push_all(
        &mut rings,
        &[copy(0, 64, 16, 1), nop(2), copy(0, 64, 16, 3), nop(4)],
    )
    .unwrap();
    assert_eq!(rings.submit(&session, 0).unwrap(), 4);
    // What has nothing to do waits for its turn all the same.
    assert_eq!(pop_all(&mut rings).unwrap(), []);
    let late = Some(libc::ETIMEDOUT);
    rings.submit(&session, 4).unwrap();
    assert_eq!(
        pop_all(&mut rings).unwrap(),
        [(1, late), (2, None), (3, late), (4, None)]
    );
    drop(stall);
    push_all(&mut rings, &[copy(0, 64, 16, 5)]).unwrap();
    rings.submit(&session, 1).unwrap();
    assert_eq!(pop_all(&mut rings).unwrap(), [(5, None)]);
}

#[hil::test]
fn a_session_that_is_closed_with_descriptors_under_way_holds_up_nobody(_: &mut Target) {
    let (device, session, mut rings) = rings().unwrap();
    let stall = Stalled::new(&device, LONG).unwrap();
    push_all(
        &mut rings,
        &[copy(0, 64, 16, 1), nop(2), copy(0, 64, 16, 3)],
    )
    .unwrap();
    rings.submit(&session, 0).unwrap();
    let sessions = device.attributes().sessions().unwrap();
    // Not by the mapping alone.
    drop(rings);
    let begun = Instant::now();
    drop(session);
    let taken = begun.elapsed();
    assert!(taken < SOON, "{taken:?}");
    assert_eq!(device.attributes().sessions().unwrap(), sessions - 1);
    drop(stall);
    let next = device.session().unwrap();
    next.copy(0, 64, 16).unwrap();
}

#[hil::test]
fn rings_of_two_sessions_have_nothing_to_do_with_each_other(_: &mut Target) {
    let device = Device::first().unwrap();
    let sessions = [0, 1].map(|_| device.session().unwrap());
    let mut all = [0, 1].map(|n: usize| sessions[n].rings().unwrap());
    let mut buffers = [0, 1].map(|n: usize| sessions[n].buffer().unwrap());
    for (n, rings) in (0_u64..).zip(&mut all) {
        buffers[usize::try_from(n).unwrap()]
            .fill(0, 64, 0x10 + u8::try_from(n).unwrap())
            .unwrap();
        let batch: Vec<_> = (0..40).map(|k| copy(0, 1024, 64, n * 100 + k)).collect();
        push_all(rings, &batch).unwrap();
    }
    for (session, rings) in sessions.iter().zip(&mut all) {
        rings.submit(session, 0).unwrap();
    }
    for n in [1, 0] {
        all[n].submit(&sessions[n], 40).unwrap();
        let first = 100 * u64::try_from(n).unwrap();
        let expected: Vec<_> = (first..first + 40).map(|n| (n, None)).collect();
        assert_eq!(pop_all(&mut all[n]).unwrap(), expected);
        let moved = buffers[n].copy_to_vec(1024, 64).unwrap();
        assert_eq!(moved, [0x10 + u8::try_from(n).unwrap(); 64]);
    }
}

#[hil::test]
fn a_driver_that_goes_wakes_who_waits_for_its_completions(_: &mut Target) {
    let (device, session, mut rings) = rings().unwrap();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    let waits = in_thread(move || {
        let pushed = rings.push(&copy(0, 64, 16, 1)).unwrap_or(false);
        let taken = rings.submit(&session, 1).ok();
        // A session of a device that has gone does nothing any more.
        let again = rings.submit(&session, 1).errno();
        (pushed, taken, again)
    });
    wait_for_waiting(&device, 1).unwrap();
    let unbound = Unbound::new().unwrap();
    let told = waits.recv_timeout(SOON).unwrap();
    assert_eq!(told, (true, Some(1), Some(libc::ENODEV)));
    unbound.rebind().unwrap();
}

#[hil::test]
fn a_signal_ends_a_wait_but_not_what_was_taken(_: &mut Target) {
    let (device, session, mut rings) = rings().unwrap();
    interrupted_by(Signal::SIGUSR1).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    rings.push(&copy(0, 64, 16, 1)).unwrap();
    let first = asleep_in(libc::SYS_ioctl, move || {
        let taken = rings.submit(&session, 1);
        (taken.ok(), session, rings)
    })
    .unwrap();
    pthread_kill(first.as_pthread_t(), Signal::SIGUSR1).unwrap();
    let (taken, session, mut rings) = first.join().unwrap();
    assert_eq!(taken, Some(1));
    // Nothing is taken now, so the signal is told.
    let second = asleep_in(libc::SYS_ioctl, move || {
        let errno = rings.submit(&session, 1).errno();
        (errno, session, rings)
    })
    .unwrap();
    pthread_kill(second.as_pthread_t(), Signal::SIGUSR1).unwrap();
    let (errno, session, mut rings) = second.join().unwrap();
    assert_eq!(errno, Some(libc::EINTR));
    stalled.lift().unwrap();
    rings.submit(&session, 1).unwrap();
    assert_eq!(pop_all(&mut rings).unwrap(), [(1, None)]);
}

/// Which session each transfer is of that the engine takes, in order.
fn taken_by(tracing: &mut Instance, count: usize) -> Vec<u64> {
    let mut next = || tracing.next(SOON).unwrap().unwrap();
    let sessions = (0..count).map(|_| next().number(field::SESSION).unwrap());
    sessions.collect()
}

/// Has two sessions submit so many copies of so many bytes each, the first one all of them before
/// the second; which session each is of that the engine takes, with `true` for the first.
fn turns(batches: [(u64, u32); 2]) -> Vec<bool> {
    let device = Device::first().unwrap();
    let sessions = [(); 3].map(|()| device.session().unwrap());
    // With the last one, the engine has seen that the others have no more.
    for session in &sessions {
        session.copy(0, 32 << 10, 64).unwrap();
    }
    let [first, second, _] = sessions;
    let mut tracing = Instance::create("on-target-rings").unwrap();
    let start = Event::find(tracepoint::SYSTEM, tracepoint::START).unwrap();
    tracing.enable(&start).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let both = [(first, batches[0]), (second, batches[1])].map(|(session, (count, bytes))| {
        let mut rings = session.rings().unwrap();
        let batch: Vec<_> = (0..count).map(|n| copy(0, 32 << 10, bytes, n)).collect();
        push_all(&mut rings, &batch).unwrap();
        rings.submit(&session, 0).unwrap();
        (session, rings)
    });
    stalled.lift().unwrap();
    let count = batches.iter().map(|(count, _)| count).sum::<u64>();
    let taken = taken_by(&mut tracing, usize::try_from(count).unwrap());
    for ((session, mut rings), (count, _)) in both.into_iter().zip(batches) {
        rings
            .submit(&session, u32::try_from(count).unwrap())
            .unwrap();
        let expected: Vec<_> = (0..count).map(|n| (n, None)).collect();
        assert_eq!(pop_all(&mut rings).unwrap(), expected);
    }
    let first = taken.first().copied();
    taken
        .iter()
        .map(|session| Some(*session) == first)
        .collect()
}

#[hil::test]
fn who_comes_with_little_does_not_wait_until_who_came_with_much_is_through(_: &mut Target) {
    let taken = turns([(60, 16 << 10), (2, 64)]);
    let of_second = taken.iter().rposition(|is_first| !is_first).unwrap();
    // A turn of the first is 64 KiB.
    assert!(of_second <= 8, "{taken:?}");
}

#[hil::test]
fn sessions_move_as_many_bytes_each_however_long_their_transfers_are(_: &mut Target) {
    let taken = turns([(10, 32 << 10), (100, 4 << 10)]);
    let (mut long, mut short) = (0_u64, 0_u64);
    for is_first in taken {
        *if is_first { &mut long } else { &mut short } += 1;
        // As long as both have something, nobody is more than two turns ahead.
        if long < 10 && short < 80 {
            let ahead = (long * 32).abs_diff(short * 4);
            assert!(ahead <= 128, "{long} of 32 KiB and {short} of 4 KiB");
        }
    }
    assert_eq!((long, short), (10, 100));
}

#[hil::test]
fn what_is_left_of_a_turn_is_gone_when_there_is_nothing_left_to_move(_: &mut Target) {
    let taken = turns([(20, 4 << 10), (20, 4 << 10)]);
    // A turn is 64 KiB.
    let runs = [(true, 16), (false, 16), (true, 4), (false, 4)];
    let expected = runs.map(|(is_first, count)| vec![is_first; count]).concat();
    assert_eq!(taken, expected);
}

#[hil::test]
fn the_rings_are_zero_at_first(_: &mut Target) {
    for _ in 0..4 {
        let (_device, session, mut rings) = rings().unwrap();
        let bytes = ring::bytes(rings.entries());
        let content = rings.memory().copy_to_vec(0, bytes).unwrap();
        assert!(content.iter().all(|byte| *byte == 0));
        rings.memory().fill(0, bytes, 0xff).unwrap();
        drop(session);
    }
}

/// The example in C, built by this package's build script.
const EXAMPLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/batch"));

#[hil::test]
fn a_program_in_c_submits_a_batch_with_the_header_that_is_made_for_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = device.attributes().counters().unwrap();
    let program = std::env::temp_dir().join("batch");
    std::fs::write(&program, EXAMPLE).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&program).arg(device.node()).output();
    std::fs::remove_file(&program).unwrap();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let refused = -libc::EINVAL;
    assert_eq!(
        said,
        format!(
            "taken 3\ncompletion 1: 0\ncompletion 2: 0\ncompletion 3: {refused}\n\
             the copy is right\n"
        ),
        "{output:?}"
    );
    assert!(output.status.success(), "{output:?}");
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.bytes, before.bytes + 1000);
}

hil::main!();
