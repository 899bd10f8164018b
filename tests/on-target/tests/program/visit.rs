// SPDX-License-Identifier: MIT OR Apache-2.0

//! How a visit of `bringup-target channel` and `tour` ends that does not end by itself, and that
//! there is one at a time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dmacopy_client::{DebugFiles, Device, State};
use dmacopy_uapi::names::{attribute, debugfs, upcall};
use hil::Target;
use kernel_channels::tracepoint;
use nix::sys::signal::Signal;
use on_target::{Called, Result, Running, call, start};

/// Where the program says who visits.
const LOCK: &str = "/run/bringup-target.lock";

/// How often a visit is begun until it is seen in the middle: some things last for a moment only.
const ATTEMPTS: u32 = 100;

/// What a visit may change: files and what they hold, and the folders of trace instances.
type Board = BTreeMap<PathBuf, String>;

fn look(device: &Device) -> Result<Board> {
    let folder = device.attributes().directory().path();
    let stall = DebugFiles::open(device)?
        .directory()
        .path()
        .join(debugfs::STALL);
    let mut files = vec![stall];
    files.extend([attribute::TIMEOUT_MS, attribute::BUFFER_BYTES].map(|name| folder.join(name)));
    let group = folder.join(upcall::GROUP);
    let names = [upcall::PATH, upcall::INTERVAL_MS, upcall::ENABLED];
    files.extend(names.map(|name| group.join(name)));
    let mut board = Board::new();
    for path in files {
        let text = fs::read_to_string(&path)?.trim().to_owned();
        board.insert(path, text);
    }
    for instance in fs::read_dir(tracepoint::mount_point()?.join("instances"))? {
        board.insert(instance?.path(), String::new());
    }
    Ok(board)
}

/// Begins a visit, and sends it a signal in the middle of it, when the board is not as it was before.
/// None if it had ended before that was seen.
fn disturbed(
    room: &str,
    signal: Signal,
    device: &Device,
    before: &Board,
) -> Result<Option<Called>> {
    let mut visit = start(&format!("channel {room}"))?;
    while look(device)? == *before {
        if visit.has_ended()? {
            return Ok(None);
        }
        thread::sleep(Duration::from_micros(200));
    }
    visit.signal(signal)?;
    visit.end().map(Some)
}

/// Tries that until it comes off, which `is_it` tells.
fn disturb(
    room: &str,
    signal: Signal,
    device: &Device,
    before: &Board,
    is_it: impl Fn(&Called) -> bool,
) -> Result<Called> {
    for _ in 0..ATTEMPTS {
        let called = disturbed(room, signal, device, before)?;
        if let Some(called) = called.filter(&is_it) {
            return Ok(called);
        }
    }
    Err(format!("{room} was never seen in the middle").into())
}

/// The engine does what it is asked, and says so.
fn works(device: &Device) {
    device.session().unwrap().copy(0, 2048, 64).unwrap();
    assert_eq!(device.attributes().state().unwrap(), State::Running);
}

#[hil::test(timeout = "120 s")]
fn a_visit_that_is_interrupted_leaves_the_board_as_it_was(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = look(&device).unwrap();
    let ways = [
        ("netlink", Signal::SIGINT),
        ("upcall", Signal::SIGTERM),
        ("watch", Signal::SIGHUP),
        ("tracepoint", Signal::SIGINT),
        ("sysfs", Signal::SIGQUIT),
        ("debugfs", Signal::SIGINT),
    ];
    for (room, signal) in ways {
        // It may be through before the signal has come.
        let is_it = |called: &Called| called.code != Some(0);
        let called = disturb(room, signal, &device, &before, is_it).unwrap();
        assert_eq!(called.code, Some(1), "{room}: {called:?}");
        let expected = format!("interrupted by {signal}; the board is as it was before");
        assert!(called.error.contains(&expected), "{room}: {called:?}");
        assert_eq!(look(&device).unwrap(), before, "{room}");
        works(&device);
    }
    assert_eq!(fs::read_to_string(LOCK).unwrap(), "");
}

#[hil::test(timeout = "120 s")]
fn what_a_killed_visit_leaves_is_named_by_doctor_and_put_back_by_the_next(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = look(&device).unwrap();
    for room in ["netlink", "upcall", "tracepoint"] {
        let has_left = |_: &Called| look(&device).unwrap() != before;
        let killed = disturb(room, Signal::SIGKILL, &device, &before, has_left).unwrap();
        assert_eq!(killed.code, None, "{room}: {killed:?}");
        let left = look(&device).unwrap();

        let doctor = call("doctor --json").unwrap();
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        let doctor = doctor.json().unwrap();
        let findings = doctor["findings"].as_array().unwrap();
        let finding = |path: &Path| {
            let path = path.to_str().unwrap();
            let mut ours = findings.iter().filter(|one| one["area"] == "visit");
            let found = ours.find(|one| one["what"] == path);
            found.unwrap_or_else(|| panic!("{room}: {path} is not told: {doctor}"))
        };
        for (path, text) in &left {
            let command = match before.get(path) {
                Some(before) if before == text => continue,
                Some(before) => format!("echo '{before}' > {}", path.display()),
                None => format!("rmdir {}", path.display()),
            };
            assert_eq!(finding(path)["state"], "problem");
            assert_eq!(finding(path)["mend"], command);
        }

        let next = call("channel procfs").unwrap();
        assert_eq!(next.code, Some(0), "{room}: {next:?}");
        assert!(next.error.contains("put back what process"), "{next:?}");
        assert_eq!(look(&device).unwrap(), before, "{room}");
        works(&device);
        let doctor = call("doctor --json").unwrap();
        assert_eq!(doctor.code, Some(0), "{room}: {doctor:?}");
    }
}

#[hil::test]
fn what_cannot_be_put_back_is_owed_by_the_next_visit_too(_: &mut Target) {
    let device = Device::first().unwrap();
    let path = device.attributes().directory().path();
    let path = path.join(attribute::TIMEOUT_MS);
    let settings = format!(r#"[{{"path":{path:?},"text":"nonsense"}}]"#);
    fs::write(LOCK, format!(r#"{{"process":1,"settings":{settings}}}"#)).unwrap();
    for _ in 0..2 {
        let visit = call("channel procfs").unwrap();
        assert_eq!(visit.code, Some(1), "{visit:?}");
        let last = visit.error.lines().find(|line| line.starts_with("error: "));
        let last = last.unwrap_or_default();
        assert!(last.contains("this is left"), "{visit:?}");
        assert!(last.contains("not \"nonsense\""), "{visit:?}");
        let doctor = call("doctor").unwrap();
        let named = format!("PROBLEM visit {}: ", path.display());
        assert!(doctor.output.contains(&named), "{doctor:?}");
    }
    fs::write(LOCK, "").unwrap();
    assert_eq!(call("channel procfs").unwrap().code, Some(0));
}

/// Begins a visit that holds its lock until it is let go on.
fn held() -> Result<Running> {
    for _ in 0..ATTEMPTS {
        let mut visit = start("channel netlink")?;
        let of_this = format!("\"process\":{},", visit.id());
        let is_held = || fs::read_to_string(LOCK).is_ok_and(|said| said.contains(&of_this));
        while !is_held() && !visit.has_ended()? {
            thread::sleep(Duration::from_micros(200));
        }
        if visit.has_ended()? {
            continue;
        }
        visit.signal(Signal::SIGSTOP)?;
        // It may have been through by then.
        if is_held() {
            return Ok(visit);
        }
        visit.signal(Signal::SIGCONT)?;
        visit.end()?;
    }
    Err("no visit was seen in the middle".into())
}

#[hil::test]
fn a_second_visit_is_refused_with_whose_the_first_is(_: &mut Target) {
    let visit = held().unwrap();
    let process = visit.id();
    for words in ["channel sysfs", "tour", "channel sysfs --json"] {
        let second = call(words).unwrap();
        assert_eq!(second.code, Some(5), "{words}: {second:?}");
        let expected = format!("another visit of this board is under way, by process {process}");
        assert!(second.error.contains(&expected), "{words}: {second:?}");
        assert!(second.error.contains("help"), "{words}: {second:?}");
    }
    let doctor = call("doctor").unwrap();
    assert!(
        doctor
            .output
            .contains(&format!("is under way, by process {process}"))
    );
    visit.signal(Signal::SIGCONT).unwrap();
    let first = visit.end().unwrap();
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(call("channel sysfs").unwrap().code, Some(0));
}
