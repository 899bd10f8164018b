// SPDX-License-Identifier: MIT OR Apache-2.0

//! The switch that stalls the engine, and the dump of its queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dmacopy_client::{DebugFiles, Device, Session, State};
use dmacopy_uapi::names::{attribute, debugfs};
use dmacopy_uapi::ring::{self, Descriptor};
use hil::Target;
use kernel_channels::procfs::Summary;
use on_target::{Errno, PATIENCE, Result, Stalled, WithSoftware, software_device, wait_until};

const LONG: Duration = Duration::from_secs(30);

#[hil::test]
fn the_switch_reads_back_what_was_set(_: &mut Target) {
    let device = Device::first().unwrap();
    let debug = DebugFiles::open(&device).unwrap();
    assert!(!debug.is_stalled().unwrap());
    let stall = debug.stall().unwrap();
    assert!(debug.is_stalled().unwrap());
    stall.lift().unwrap();
    assert!(!debug.is_stalled().unwrap());
}

#[hil::test]
fn a_switch_that_is_dropped_is_off(_: &mut Target) {
    let device = Device::first().unwrap();
    let debug = DebugFiles::open(&device).unwrap();
    drop(debug.stall().unwrap());
    assert!(!debug.is_stalled().unwrap());
}

#[hil::test]
fn text_that_is_no_switch_returns_einval(_: &mut Target) {
    let device = Device::first().unwrap();
    let debug = DebugFiles::open(&device).unwrap();
    for text in ["x", "2", "\n", "a long text"] {
        let result = debug.directory().set(debugfs::STALL, text);
        assert_eq!(result.errno(), Some(libc::EINVAL), "{text:?}");
        assert!(!debug.is_stalled().unwrap());
    }
}

#[hil::test]
fn the_dump_shows_what_is_waiting(_: &mut Target) {
    let device = Device::first().unwrap();
    let debug = DebugFiles::open(&device).unwrap();
    let session = device.session().unwrap();
    let last = session.copy(0, 2048, 1).unwrap().sequence;
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"one").unwrap();
    session.write(b"two").unwrap();
    let engine = debug.engine().unwrap();
    assert_eq!(engine.number("waiting"), Some(2), "{engine:?}");
    assert_eq!(engine.number("moving"), Some(0), "{engine:?}");
    assert_eq!(
        engine.number("last_submitted"),
        Some(last + 2),
        "{engine:?}"
    );
    assert_eq!(engine.number("last_completed"), Some(last), "{engine:?}");

    stalled.lift().unwrap();
    let mut bytes = [0; 6];
    let mut filled = 0;
    while filled < bytes.len() {
        session
            .poll(kernel_channels::Interest::READABLE, PATIENCE)
            .unwrap();
        filled += session.read(&mut bytes[filled..]).unwrap();
    }
    assert_eq!(&bytes, b"onetwo");
    let engine = debug.engine().unwrap();
    assert_eq!(engine.number("waiting"), Some(0), "{engine:?}");
    assert_eq!(engine.number("moving"), Some(0), "{engine:?}");
    assert_eq!(
        engine.number("last_completed"),
        Some(last + 2),
        "{engine:?}"
    );
}

#[hil::test]
fn the_dump_shows_what_is_moving(_: &mut Target) {
    let device = Device::first().unwrap();
    let debug = DebugFiles::open(&device).unwrap();
    let attributes = device.attributes();
    let _restore = attributes
        .directory()
        .restore_later(attribute::BUFFER_BYTES)
        .unwrap();
    // Large copies, so that the engine is met at work.
    attributes.set_buffer_bytes(4 << 20).unwrap();
    let session = device.session().unwrap();
    // So that the last to be completed is the last that was submitted, whatever came to nothing before.
    session.copy(0, 2 << 20, 2 << 20).unwrap();
    let done = AtomicBool::new(false);
    let met = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                session.copy(0, 2 << 20, 2 << 20).unwrap();
            }
        });
        let met = wait_until(
            || Ok(debug.engine()?),
            |engine| engine.number("moving") != Some(0),
        );
        done.store(true, Ordering::Relaxed);
        met.map_err(|error| error.to_string())
    });
    let engine = met.unwrap();
    let moving = engine.number("moving");
    assert_eq!(moving, engine.number("last_submitted"), "{engine:?}");
    let completed = engine.number("last_completed");
    assert_eq!(moving, completed.map(|last| last + 1), "{engine:?}");
}

/// A device whose transfers can be made to fail, and its files, as long as the first is there.
fn software() -> Result<(WithSoftware, Device, DebugFiles)> {
    let loaded = WithSoftware::new()?;
    let device = software_device()?;
    let debug = DebugFiles::open(&device)?;
    Ok((loaded, device, debug))
}

#[hil::test]
fn as_many_copies_fail_as_were_asked_for(_: &mut Target) {
    let (_loaded, device, debug) = software().unwrap();
    let session = device.session().unwrap();
    let mut buffer = session.buffer().unwrap();
    buffer.write(0, b"source").unwrap();
    let before = device.attributes().counters().unwrap();
    let _fault = debug.fail_next(2).unwrap();
    for left in [1, 0] {
        assert_eq!(session.copy(0, 2048, 6).errno(), Some(libc::EIO));
        let text = debug.directory().text(debugfs::FAIL_NEXT).unwrap();
        assert_eq!(text, left.to_string());
    }
    assert_eq!(buffer.copy_to_vec(2048, 6).unwrap(), [0; 6]);
    session.copy(0, 2048, 6).unwrap();
    assert_eq!(buffer.copy_to_vec(2048, 6).unwrap(), b"source");
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.errors, before.errors + 2);
    assert_eq!(after.transfers, before.transfers + 1);
    assert_eq!(device.attributes().state().unwrap(), State::Running);
}

#[hil::test]
fn a_descriptor_that_fails_says_so_in_its_own_completion(_: &mut Target) {
    let (_loaded, device, debug) = software().unwrap();
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    for user_data in 0..3 {
        let descriptor = Descriptor {
            opcode: ring::FILL,
            length: 64,
            user_data,
            ..Descriptor::default()
        };
        assert!(rings.push(&descriptor).unwrap());
    }
    assert_eq!(rings.submit(&session, 0).unwrap(), 3);
    let _fault = debug.fail_next(1).unwrap();
    stalled.lift().unwrap();
    rings.submit(&session, 3).unwrap();
    let mut completions = Vec::new();
    while let Some(completion) = rings.pop().unwrap() {
        completions.push((completion.user_data, completion.errno));
    }
    assert_eq!(completions, [(0, Some(libc::EIO)), (1, None), (2, None)]);
}

#[hil::test]
fn a_write_that_fails_is_lost_and_the_next_is_not(_: &mut Target) {
    let (_loaded, device, debug) = software().unwrap();
    let session = device.session().unwrap();
    let fault = debug.fail_next(1).unwrap();
    session.write(b"lost").unwrap();
    let mut bytes = [0; 16];
    assert_eq!(session.read(&mut bytes).errno(), Some(libc::EIO));
    drop(fault);
    session.write(b"found").unwrap();
    assert_eq!(session.read(&mut bytes).unwrap(), 5);
    assert_eq!(&bytes[..5], b"found");
}

#[hil::test]
fn a_delay_makes_each_transfer_longer(_: &mut Target) {
    const DELAY: Duration = Duration::from_millis(30);
    let (_loaded, device, debug) = software().unwrap();
    let session = device.session().unwrap();
    let fault = debug.delay(DELAY).unwrap();
    for _ in 0..2 {
        assert!(session.copy(0, 2048, 1).unwrap().duration >= DELAY);
    }
    drop(fault);
    assert_eq!(debug.directory().text(debugfs::DELAY_US).unwrap(), "0");
    let quickest = (0..10).map(|_| session.copy(0, 2048, 1).unwrap().duration);
    assert!(quickest.min() < Some(DELAY));
}

#[hil::test]
fn a_transfer_that_takes_too_long_stalls_the_engine_and_is_completed(_: &mut Target) {
    let (_loaded, device, debug) = software().unwrap();
    let session = device.session().unwrap();
    let directory = device.attributes().directory();
    let _restore = directory.restore_later(attribute::TIMEOUT_MS).unwrap();
    device
        .attributes()
        .set_timeout(Duration::from_millis(20))
        .unwrap();
    let stalls = directory.number(attribute::STALLS).unwrap();
    let _fault = debug.delay(Duration::from_millis(400)).unwrap();
    // The processor cannot be kept from moving what it has begun with.
    session.copy(0, 2048, 1).unwrap();
    assert_eq!(directory.number(attribute::STALLS).unwrap(), stalls + 1);
}

#[hil::test]
fn a_fault_out_of_range_returns_einval(_: &mut Target) {
    let (_loaded, _device, debug) = software().unwrap();
    for (file, value) in [
        (debugfs::FAIL_NEXT, "-1"),
        (debugfs::FAIL_NEXT, "4294967296"),
        (debugfs::FAIL_NEXT, "some"),
        (debugfs::FAIL_NEXT, "\n"),
        (debugfs::DELAY_US, "1000001"),
        (debugfs::DELAY_US, "-1"),
        (debugfs::DELAY_US, "a long text"),
    ] {
        let result = debug.directory().set(file, value);
        assert_eq!(result.errno(), Some(libc::EINVAL), "{file}: {value}");
        assert_eq!(debug.directory().text(file).unwrap(), "0");
    }
}

#[hil::test]
fn each_session_has_a_block_with_its_rings(_: &mut Target) {
    let device = Device::first().unwrap();
    let debug = DebugFiles::open(&device).unwrap();
    let sessions = [device.session().unwrap(), device.session().unwrap()];
    let mut rings = sessions[0].rings().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    for user_data in 0..2 {
        let descriptor = Descriptor {
            opcode: ring::FILL,
            length: 8,
            user_data,
            ..Descriptor::default()
        };
        assert!(rings.push(&descriptor).unwrap());
    }
    assert_eq!(rings.submit(&sessions[0], 0).unwrap(), 2);
    sessions[1].write(b"five!").unwrap();

    let text = debug.directory().text(debugfs::SESSIONS).unwrap();
    let blocks = Summary::parse(&text).blocks;
    let of = |session: &Session| {
        let number = session.info().unwrap().session;
        let mut blocks = blocks.iter();
        let block = blocks.find(|block| block.number("session") == Some(number));
        block.unwrap().clone()
    };
    let first = of(&sessions[0]);
    let second = of(&sessions[1]);
    assert_eq!(first.number("transfers"), Some(2));
    assert_eq!(first.number("submission_tail"), Some(2));
    assert_eq!(first.number("submission_head"), Some(2));
    assert_eq!(first.number("completion_tail"), Some(0));
    assert_eq!(first.number("ring_entries"), Some(rings.entries().into()));
    assert_eq!(first.number("stream_bytes"), Some(0));
    assert_eq!(second.number("transfers"), Some(1));
    assert_eq!(second.number("stream_writes"), Some(1));
    assert_eq!(second.number("stream_bytes"), Some(5));
    assert_eq!(second.number("submission_head"), Some(0));
    stalled.lift().unwrap();
}

hil::main!();
