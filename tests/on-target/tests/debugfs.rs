// SPDX-License-Identifier: MIT OR Apache-2.0

//! The switch that stalls the engine, and the dump of its queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dmacopy_client::{DebugFiles, Device};
use dmacopy_uapi::names::{attribute, debugfs};
use hil::Target;
use on_target::{Errno, PATIENCE, Stalled, wait_until};

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

hil::main!();
