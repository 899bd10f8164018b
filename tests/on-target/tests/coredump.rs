// SPDX-License-Identifier: MIT OR Apache-2.0

//! The dump that is left of a stall in `/sys/class/devcoredump`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dmacopy_client::{DebugFiles, Device};
use dmacopy_uapi::names;
use dmacopy_uapi::ring::{self, Descriptor};
use hil::Target;
use kernel_channels::procfs::{Block, Summary};
use kernel_channels::sysfs;
use on_target::{Errno, Result, Stalled, Unbound, wait_until};

const CLASS: &str = "devcoredump";
const SHORT: Duration = Duration::from_millis(30);

/// A dump of a device, which is dismissed when this is dropped.
#[derive(Debug)]
struct Dump(PathBuf);

impl Dump {
    /// The folders of all dumps that have a bus device for their failing device.
    fn all(bus_device: &PathBuf) -> Result<Vec<PathBuf>> {
        let mut dumps = Vec::new();
        for name in sysfs::devices(CLASS)? {
            let folder = PathBuf::from("/sys/class").join(CLASS).join(name);
            // In the same folder are other devices' dumps, and the switch of all.
            if fs::canonicalize(folder.join("failing_device")).is_ok_and(|one| one == *bus_device) {
                dumps.push(folder);
            }
        }
        Ok(dumps)
    }

    /// The next dump of a device, which has none yet.
    fn next(bus_device: &PathBuf) -> Result<Self> {
        let dumps = wait_until(|| Self::all(bus_device), |dumps| !dumps.is_empty())?;
        Ok(Self(dumps.into_iter().next().ok_or("none")?))
    }

    fn text(&self) -> Result<String> {
        Ok(fs::read_to_string(self.0.join("data"))?)
    }

    fn blocks(&self) -> Result<Vec<Block>> {
        Ok(Summary::parse(&self.text()?).blocks)
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        // Five minutes do the same.
        let _ = fs::write(self.0.join("data"), "1");
    }
}

/// The bus device of a device.
fn bus_device(device: &Device) -> Result<PathBuf> {
    let link = device.attributes().directory().path().join("device");
    Ok(fs::canonicalize(link)?)
}

/// Dismisses what other tests have left.
fn dismiss_all(bus_device: &PathBuf) -> Result<()> {
    Dump::all(bus_device)?.into_iter().map(Dump).for_each(drop);
    wait_until(
        || Dump::all(bus_device).map(|dumps| dumps.len()),
        |left| *left == 0,
    )?;
    Ok(())
}

#[hil::test]
fn a_dump_tells_what_the_stall_was_about(_: &mut Target) {
    let device = Device::first().unwrap();
    let bus = bus_device(&device).unwrap();
    dismiss_all(&bus).unwrap();
    let session = device.session().unwrap();
    let last = session.copy(0, 2048, 100).unwrap().sequence;
    let counters = device.attributes().counters().unwrap();
    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));

    let dump = Dump::next(&bus).unwrap();
    let header = format!("{} coredump {}\n", names::DRIVER, names::coredump::VERSION);
    assert!(dump.text().unwrap().starts_with(&header));
    let blocks = dump.blocks().unwrap();
    let [_, about, rest @ ..] = &blocks[..] else {
        panic!("{blocks:?}");
    };
    assert_eq!(about.text("device"), Some(device.name()));
    let engine = device.attributes().engine().unwrap();
    assert_eq!(about.text("engine"), Some(engine.as_str()));
    assert_eq!(about.number("sequence"), Some(last + 1));
    assert_eq!(about.number("timeout_ms"), Some(30));
    assert_eq!(about.number("waiting"), Some(1));
    assert_eq!(about.number("moving"), Some(0));
    assert_eq!(about.number("held"), Some(1));
    assert_eq!(about.number("last_submitted"), Some(last + 1));
    assert_eq!(about.number("last_completed"), Some(last));
    assert_eq!(about.number("transfers"), Some(counters.transfers));
    assert_eq!(about.number("bytes"), Some(counters.bytes));
    let number = session.info().unwrap().session;
    assert!(
        rest.iter()
            .any(|block| block.number("session") == Some(number)),
        "{rest:?}"
    );
    stalled.lift().unwrap();
}

#[hil::test]
fn a_dump_has_the_rings_of_each_session(_: &mut Target) {
    let device = Device::first().unwrap();
    let bus = bus_device(&device).unwrap();
    dismiss_all(&bus).unwrap();
    let session = device.session().unwrap();
    let other = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    for user_data in 0..3 {
        let descriptor = Descriptor {
            opcode: ring::NOP,
            user_data,
            ..Descriptor::default()
        };
        assert!(rings.push(&descriptor).unwrap());
    }
    assert_eq!(rings.submit(&session, 3).unwrap(), 3);
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(other.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));

    let dump = Dump::next(&bus).unwrap();
    let number = session.info().unwrap().session;
    let blocks = dump.blocks().unwrap();
    let mut of_session = blocks
        .iter()
        .filter(|b| b.number("session") == Some(number));
    let block = of_session.next().unwrap();
    for name in ["submission_tail", "submission_head", "completion_tail"] {
        assert_eq!(block.number(name), Some(3), "{name}: {block:?}");
    }
    assert_eq!(of_session.next(), None);
}

#[hil::test]
fn a_stall_leaves_one_dump_and_none_while_there_is_one(_: &mut Target) {
    let device = Device::first().unwrap();
    let bus = bus_device(&device).unwrap();
    dismiss_all(&bus).unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, SHORT).unwrap();
    for _ in 0..3 {
        assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    }
    let dump = Dump::next(&bus).unwrap();
    let text = dump.text().unwrap();
    assert_eq!(Dump::all(&bus).unwrap().len(), 1);
    stalled.lift().unwrap();

    let again = Stalled::new(&device, SHORT).unwrap();
    let stalls = device.attributes().directory().number("stalls").unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    let count = || Ok(device.attributes().directory().number("stalls")?);
    wait_until(count, |now| *now == stalls + 1).unwrap();
    again.lift().unwrap();
    assert_eq!(dump.text().unwrap(), text);
    drop(dump);

    // Dismissed, so there is room for the next.
    wait_until(|| Dump::all(&bus).map(|left| left.len()), |left| *left == 0).unwrap();
    let again = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    assert_ne!(Dump::next(&bus).unwrap().text().unwrap(), text);
    again.lift().unwrap();
}

#[hil::test]
fn a_dump_outlives_the_binding_of_the_driver(_: &mut Target) {
    let device = Device::first().unwrap();
    let bus = bus_device(&device).unwrap();
    dismiss_all(&bus).unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    let dump = Dump::next(&bus).unwrap();
    let text = dump.text().unwrap();
    stalled.lift().unwrap();
    drop(session);

    let unbound = Unbound::new().unwrap();
    assert_eq!(dump.text().unwrap(), text);
    unbound.rebind().unwrap();
    assert_eq!(dump.text().unwrap(), text);
    drop(dump);
    wait_until(|| Dump::all(&bus).map(|left| left.len()), |left| *left == 0).unwrap();
    let session = Device::first().unwrap().session().unwrap();
    session.copy(0, 2048, 1).unwrap();
}

#[hil::test]
fn the_driver_goes_right_after_a_stall(_: &mut Target) {
    // What follows a stall is under way, or has not begun, when the device goes.
    for _ in 0..5 {
        let device = Device::first().unwrap();
        let session = device.session().unwrap();
        let debug = DebugFiles::open(&device).unwrap();
        device
            .attributes()
            .set_timeout(Duration::from_millis(1))
            .unwrap();
        let _stall = debug.stall().unwrap();
        assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
        let unbound = Unbound::new().unwrap();
        assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ENODEV));
        unbound.rebind().unwrap();
    }
    let device = Device::first().unwrap();
    dismiss_all(&bus_device(&device).unwrap()).unwrap();
}

hil::main!();
