// SPDX-License-Identifier: MIT OR Apache-2.0

//! The program that the driver starts when its engine stalls: `bringup-target upcall`, which is the
//! agent's own file.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use dmacopy_client::{DebugFiles, Device, JOURNAL, Told, Upcall, UpcallCounters};
use dmacopy_uapi::names::{argument, environment, state, upcall};
use hil::Target;
use kernel_channels::upcall::{Call, Journal, KERNEL_THREADS, Record};
use nix::mount::{MsFlags, mount, umount};
use on_target::{Errno, Result, Stalled, Unbound, agent, wait_until};

const SHORT: Duration = Duration::from_millis(20);
/// No second call within a test.
const LONG: Duration = Duration::from_secs(3600);

/// An empty journal.
fn journal() -> Result<Journal> {
    let journal = Journal::open(JOURNAL)?;
    for record in all(&journal)? {
        journal.remove(&record)?;
    }
    Ok(journal)
}

/// Has the engine stall with one transfer, and go on; returns the transfer's number.
fn stall(device: &Device) -> Result<u64> {
    let session = device.session()?;
    let last = session.copy(0, 2048, 1)?.sequence;
    let stalled = Stalled::new(device, SHORT)?;
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    stalled.lift()?;
    Ok(last + 1)
}

/// The records that are there by now.
fn all(journal: &Journal) -> Result<Vec<Record>> {
    Ok(journal
        .records()?
        .into_iter()
        .collect::<std::result::Result<_, _>>()?)
}

/// Waits for as many records.
fn records(journal: &Journal, count: usize) -> Result<Vec<Record>> {
    wait_until(|| all(journal), |records| records.len() >= count)
}

/// By how much the counters have grown, once one of them has.
fn counted(upcall: &Upcall, before: UpcallCounters) -> Result<UpcallCounters> {
    let now = wait_until(|| Ok(upcall.counters()?), |now| *now != before)?;
    Ok(UpcallCounters {
        runs: now.runs - before.runs,
        failures: now.failures - before.failures,
        suppressed: now.suppressed - before.suppressed,
    })
}

#[hil::test]
fn all_attributes_of_the_abi_are_there(_: &mut Target) {
    let upcall = Upcall::of(&Device::first().unwrap()).unwrap();
    let mut names = upcall::ALL.map(str::to_owned);
    names.sort();
    assert_eq!(upcall.directory().attributes().unwrap(), names);
}

#[hil::test]
fn a_new_device_calls_nothing(_: &mut Target) {
    Unbound::new().unwrap().rebind().unwrap();
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    assert_eq!(upcall.path().unwrap(), "");
    assert!(!upcall.is_enabled().unwrap());
    assert_eq!(upcall.interval().unwrap(), Duration::from_secs(1));
    assert_eq!(upcall.counters().unwrap(), UpcallCounters::default());
    let journal = journal().unwrap();
    stall(&device).unwrap();
    // Long enough for a program that was started by mistake to be counted.
    thread::sleep(Duration::from_millis(100));
    assert_eq!(upcall.counters().unwrap(), UpcallCounters::default());
    assert_eq!(all(&journal).unwrap(), []);
}

#[hil::test]
fn a_stall_starts_the_program_once_and_tells_it_all(_: &mut Target) {
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    let (journal, program) = (journal().unwrap(), agent().unwrap());
    let before = upcall.counters().unwrap();
    let _enabled = upcall.enable(&program, Duration::ZERO).unwrap();
    let sequence = stall(&device).unwrap();

    let records = records(&journal, 1).unwrap();
    let [record] = &records[..] else {
        panic!("{records:?}");
    };
    let told = Told {
        device: device.name().to_owned(),
        state: state::STALLED.to_owned(),
        sequence,
    };
    assert_eq!(Told::read(&record.call), Some(told));
    assert_eq!(record.call.argument(0), Some(program.as_str()));
    let mut keys: Vec<_> = record.call.environment.keys().collect();
    let mut expected = [
        "HOME",
        "PATH",
        environment::DEVICE,
        environment::STATE,
        environment::SEQUENCE,
    ];
    keys.sort();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(record.call.variable("HOME"), Some("/"));
    assert_eq!(record.parent, KERNEL_THREADS);
    let runs = UpcallCounters {
        runs: 1,
        ..UpcallCounters::default()
    };
    assert_eq!(counted(&upcall, before).unwrap(), runs);
}

#[hil::test]
fn each_stall_has_a_call_of_its_own(_: &mut Target) {
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    let journal = journal().unwrap();
    let _enabled = upcall.enable(&agent().unwrap(), Duration::ZERO).unwrap();
    for count in 1..=3 {
        let sequence = stall(&device).unwrap();
        let records = records(&journal, count).unwrap();
        let told = records.last().and_then(|last| Told::read(&last.call));
        assert_eq!(told.unwrap().sequence, sequence);
    }
}

#[hil::test]
fn a_stall_too_soon_after_a_call_is_counted_and_calls_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    let journal = journal().unwrap();
    let _enabled = upcall.enable(&agent().unwrap(), Duration::ZERO).unwrap();
    stall(&device).unwrap();
    records(&journal, 1).unwrap();
    upcall.set_interval(LONG).unwrap();
    let before = upcall.counters().unwrap();
    stall(&device).unwrap();
    let suppressed = UpcallCounters {
        suppressed: 1,
        ..UpcallCounters::default()
    };
    assert_eq!(counted(&upcall, before).unwrap(), suppressed);
    assert_eq!(all(&journal).unwrap().len(), 1);

    upcall.set_interval(Duration::ZERO).unwrap();
    stall(&device).unwrap();
    assert_eq!(records(&journal, 2).unwrap().len(), 2);
}

#[hil::test]
fn a_program_that_cannot_be_started_is_counted(_: &mut Target) {
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    for path in ["/no/such/program", "/proc/version"] {
        let before = upcall.counters().unwrap();
        let _enabled = upcall.enable(path, Duration::ZERO).unwrap();
        stall(&device).unwrap();
        let failures = UpcallCounters {
            failures: 1,
            ..UpcallCounters::default()
        };
        assert_eq!(counted(&upcall, before).unwrap(), failures, "{path}");
    }
}

#[hil::test]
fn a_switch_that_is_off_calls_nothing_and_counts_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    let journal = journal().unwrap();
    let _enabled = upcall.enable(&agent().unwrap(), Duration::ZERO).unwrap();
    upcall.set_enabled(false).unwrap();
    let before = upcall.counters().unwrap();
    stall(&device).unwrap();
    upcall.set_enabled(true).unwrap();
    stall(&device).unwrap();
    let records = records(&journal, 1).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(counted(&upcall, before).unwrap().runs, 1);
}

#[hil::test]
fn a_path_is_absolute_and_has_no_control_characters(_: &mut Target) {
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    let before = upcall.path().unwrap();
    let (longest, longer) = ("/".repeat(255), "/".repeat(256));
    for (path, errno) in [
        ("bin/program", libc::EINVAL),
        ("program", libc::EINVAL),
        ("/bin/pro\ngram", libc::EINVAL),
        ("/bin/pro\u{7f}gram", libc::EINVAL),
        ("/bin/pro\0gram", libc::EINVAL),
        (&longer, libc::ENAMETOOLONG),
    ] {
        let result = upcall.directory().set(upcall::PATH, path);
        assert_eq!(result.errno(), Some(errno), "{path:?}");
        assert_eq!(upcall.path().unwrap(), before);
    }
    let file = upcall.directory().path().join(upcall::PATH);
    let error = fs::write(file, b"/bin/\xff").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    upcall.set_path(Some(&longest)).unwrap();
    assert_eq!(upcall.path().unwrap(), longest);
    upcall.set_path(None).unwrap();
}

#[hil::test]
fn without_a_path_it_cannot_be_switched_on(_: &mut Target) {
    let upcall = Upcall::of(&Device::first().unwrap()).unwrap();
    assert_eq!(upcall.path().unwrap(), "");
    assert_eq!(upcall.set_enabled(true).errno(), Some(libc::EINVAL));
    let _enabled = upcall.enable("/bin/program", LONG).unwrap();
    assert!(upcall.is_enabled().unwrap());
    upcall.set_path(None).unwrap();
    assert!(!upcall.is_enabled().unwrap());
}

#[hil::test]
fn what_was_switched_on_for_a_while_is_as_before_afterwards(_: &mut Target) {
    // As nobody has touched it.
    Unbound::new().unwrap().rebind().unwrap();
    let upcall = Upcall::of(&Device::first().unwrap()).unwrap();
    let now = || {
        let path = upcall.path().unwrap();
        (
            path,
            upcall.is_enabled().unwrap(),
            upcall.interval().unwrap(),
        )
    };
    let at_first = (String::new(), false, Duration::from_secs(1));
    assert_eq!(now(), at_first);
    let outer = upcall.enable("/bin/outer", LONG).unwrap();
    let inner = upcall.enable("/bin/inner", SHORT).unwrap();
    assert_eq!(now(), ("/bin/inner".to_owned(), true, SHORT));
    drop(inner);
    assert_eq!(now(), ("/bin/outer".to_owned(), true, LONG));
    drop(outer);
    assert_eq!(now(), at_first);
}

#[hil::test]
fn a_switch_or_an_interval_that_is_none_returns_einval(_: &mut Target) {
    let upcall = Upcall::of(&Device::first().unwrap()).unwrap();
    let _enabled = upcall.enable("/bin/program", LONG).unwrap();
    for (name, value) in [
        (upcall::ENABLED, "2"),
        (upcall::ENABLED, "maybe"),
        (upcall::INTERVAL_MS, "3600001"),
        (upcall::INTERVAL_MS, "-1"),
        (upcall::INTERVAL_MS, "soon"),
    ] {
        let result = upcall.directory().set(name, value);
        assert_eq!(result.errno(), Some(libc::EINVAL), "{name}: {value}");
    }
    assert!(upcall.is_enabled().unwrap());
    assert_eq!(upcall.interval().unwrap(), LONG);
}

#[hil::test]
fn the_driver_goes_while_a_program_is_to_be_started(_: &mut Target) {
    let program = agent().unwrap();
    for _ in 0..5 {
        let device = Device::first().unwrap();
        let upcall = Upcall::of(&device).unwrap();
        upcall.set_path(Some(&program)).unwrap();
        upcall.set_enabled(true).unwrap();
        let session = device.session().unwrap();
        device
            .attributes()
            .set_timeout(Duration::from_millis(1))
            .unwrap();
        let _stall = DebugFiles::open(&device).unwrap().stall().unwrap();
        assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
        let unbound = Unbound::new().unwrap();
        assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ENODEV));
        unbound.rebind().unwrap();
    }
    // Those that were started write to the journal that other tests empty.
    wait_until(|| running(&program), |running| *running == 0).unwrap();
    journal().unwrap();
}

/// A file system of two pages, which goes when this is dropped.
struct Small {
    folder: PathBuf,
}

impl Small {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join("on-target-upcall");
        fs::create_dir(&folder)?;
        let (kind, none) = (Some("tmpfs"), MsFlags::empty());
        mount(kind, &folder, kind, none, Some("size=8k"))?;
        Ok(Self { folder })
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The test has said already what is wrong.
        let _ = umount(&self.folder);
        let _ = fs::remove_dir(&self.folder);
    }
}

#[hil::test]
fn a_record_that_the_disk_has_no_room_for_leaves_nothing_behind(_: &mut Target) {
    let small = Small::new().unwrap();
    let journal = Journal::open(&small.folder).unwrap();
    let call = |bytes| Call::new(["/bin/program".into(), "a".repeat(bytes).into()], []);
    for _ in 0..3 {
        let appended = journal.append(&call(16 << 10));
        assert_eq!(appended.errno(), Some(libc::ENOSPC));
        let left: Vec<_> = fs::read_dir(&small.folder).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let written = journal.append(&call(16)).unwrap();
    assert_eq!(all(&journal).unwrap(), [written]);
}

/// How many processes the driver has started that run a program.
fn running(program: &str) -> Result<usize> {
    let mut running = 0;
    for entry in fs::read_dir("/proc")? {
        // Processes end at any time.
        let line = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let call = format!("{program}\0{}\0", argument::UPCALL);
        running += usize::from(line.starts_with(call.as_bytes()));
    }
    Ok(running)
}

hil::main!();
