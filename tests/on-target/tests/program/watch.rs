// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target dmacopy watch`.

use std::fs;
use std::time::Duration;

use dmacopy_client::Device;
use dmacopy_uapi::names::{state, uevent};
use hil::Target;
use kernel_channels::uevent::last_seqnum;
use nix::sys::signal::Signal;
use on_target::{Errno, Result, Running, Stalled, Unbound, Unloaded, call, start, wait_until};
use serde_json::Value;

const SHORT: Duration = Duration::from_millis(50);

/// Starts to watch, and waits until that listens.
fn watch(words: &str) -> Result<Running> {
    let mut running = start(&format!("dmacopy watch {words}"))?;
    let said = running.said()?;
    assert!(said.starts_with("watching"), "{said}");
    Ok(running)
}

/// Has the engine stall with one transfer and go on with the next; returns the number of the first.
fn stall(device: &Device) -> Result<u64> {
    let session = device.session()?;
    let last = session.copy(0, 2048, 1)?.sequence;
    let stalled = Stalled::new(device, SHORT)?;
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    stalled.lift()?;
    Ok(last + 1)
}

/// The events of one source.
fn of<'a>(source: &str, events: &'a [Value]) -> Vec<&'a Value> {
    let ours = |event: &&Value| event["source"] == source;
    events.iter().filter(ours).collect()
}

#[hil::test]
fn a_stall_is_told_by_both_sources_with_the_same_transfer(_: &mut Target) {
    let device = Device::first().unwrap();
    let seqnum = last_seqnum().unwrap();
    let watching = watch("--json --count 4").unwrap();
    let sequence = stall(&device).unwrap();
    let ended = watching.end().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let events = ended.json_lines().unwrap();
    assert!(events.iter().all(|event| event["device"] == device.name()));

    let netlink = of("netlink", &events);
    let uevents = of("uevent", &events);
    assert_eq!((netlink.len(), uevents.len()), (2, 2), "{events:?}");
    for (index, state) in [state::STALLED, state::RUNNING].into_iter().enumerate() {
        let sequence = sequence + u64::try_from(index).unwrap();
        assert_eq!(netlink[index]["event"], "state-changed");
        assert_eq!(netlink[index]["state"], state);
        assert_eq!(netlink[index]["sequence"], sequence);
        assert_eq!(uevents[index]["event"], "change");
        let variables = &uevents[index]["variables"];
        assert_eq!(variables[uevent::STATE], state);
        assert_eq!(variables[uevent::SEQUENCE], sequence.to_string());
        assert!(uevents[index]["seqnum"].as_u64().unwrap() > seqnum);
    }
    let times = events
        .iter()
        .map(|event| event["time_us"].as_u64().unwrap());
    assert!(times.is_sorted(), "{events:?}");
}

#[hil::test]
fn people_read_a_line_of_each_event_as_it_comes(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut watching = watch("--source netlink").unwrap();
    let sequence = stall(&device).unwrap();
    let expected = format!(
        "{}  state-changed: stalled with transfer {sequence}",
        device.name()
    );
    let line = watching.line().unwrap();
    assert!(line.ends_with(&expected), "{line}");
    assert!(watching.line().unwrap().contains("running"));
    watching.signal(Signal::SIGINT).unwrap();
    let ended = watching.end().unwrap();
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""));
}

#[hil::test]
fn a_device_that_goes_and_comes_back_is_told(_: &mut Target) {
    let name = Device::first().unwrap().name().to_owned();
    let watching = watch(&format!("--json --count 4 --device {name}")).unwrap();
    Unbound::new().unwrap().rebind().unwrap();
    let ended = watching.end().unwrap();
    let events = ended.json_lines().unwrap();
    let told = |source| -> Vec<_> {
        let events = of(source, &events).into_iter();
        events
            .map(|event| event["event"].as_str().unwrap())
            .collect()
    };
    assert_eq!(told("netlink"), ["removed", "added"]);
    assert_eq!(told("uevent"), ["remove", "add"]);
}

#[hil::test]
fn without_the_driver_only_its_coming_can_be_watched(_: &mut Target) {
    let unloaded = Unloaded::new().unwrap();
    for words in ["", " --source netlink"] {
        let called = call(&format!("dmacopy watch{words}")).unwrap();
        assert_eq!(called.code, Some(3), "{called:?}");
        assert!(
            called.error.contains("the driver is not loaded"),
            "{called:?}"
        );
    }
    let watching = watch("--json --source uevent --count 1").unwrap();
    unloaded.reload().unwrap();
    let ended = watching.end().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let events = ended.json_lines().unwrap();
    assert_eq!(events[0]["event"], "add", "{events:?}");
}

#[hil::test]
fn the_end_of_its_time_is_a_failure_only_for_who_has_waited_for_events(_: &mut Target) {
    let called = call("dmacopy watch --timeout 20ms").unwrap();
    assert_eq!((called.code, called.output.as_str()), (Some(0), ""));
    let called = call("dmacopy watch --timeout 20ms --count 1").unwrap();
    assert_eq!((called.code, called.output.as_str()), (Some(4), ""));
}

#[hil::test]
fn events_of_other_devices_are_not_told(_: &mut Target) {
    let device = Device::first().unwrap();
    let watching = watch("--device dmacopy4000000 --timeout 500ms").unwrap();
    stall(&device).unwrap();
    let ended = watching.end().unwrap();
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""));
}

/// Sockets that are opened from now on hold few messages, until this is dropped.
struct Small(String);

impl Small {
    const PATH: &str = "/proc/sys/net/core/rmem_default";

    fn new() -> Result<Self> {
        let before = fs::read_to_string(Self::PATH)?;
        fs::write(Self::PATH, "2304")?;
        Ok(Self(before))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = fs::write(Self::PATH, &self.0);
    }
}

#[hil::test(timeout = "60 s")]
fn that_events_were_lost_is_told_and_is_no_event(_: &mut Target) {
    const STALLS: u32 = 30;
    let device = Device::first().unwrap();
    for source in ["netlink", "uevent"] {
        let small = Small::new().unwrap();
        let watching = watch(&format!("--json --source {source} --count 2")).unwrap();
        drop(small);
        watching.signal(Signal::SIGSTOP).unwrap();
        let state = format!("/proc/{}/stat", watching.id());
        let is_stopped = |stat: &String| stat.contains(") T ");
        wait_until(|| Ok(fs::read_to_string(&state)?), is_stopped).unwrap();
        for _ in 0..STALLS {
            stall(&device).unwrap();
        }
        watching.signal(Signal::SIGCONT).unwrap();
        // If all that has come before the loss was read, something more has to come.
        stall(&device).unwrap();
        let ended = watching.end().unwrap();
        assert_eq!(ended.code, Some(0), "{source}: {ended:?}");
        let lines = ended.json_lines().unwrap();
        let lost = of("lost", &lines);
        assert!(!lost.is_empty(), "{source}: {lines:?}");
        assert!(lost.iter().all(|one| one["of"] == source), "{lines:?}");
        assert_eq!(of(source, &lines).len(), 2, "{source}: {lines:?}");
    }
}

#[hil::test]
fn what_is_no_event_is_told_and_does_not_end_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let watching = watch("--json --source uevent --count 2").unwrap();
    // Whoever owns any device can have the kernel say one thing twice.
    let twice = "change 00000000-0000-0000-0000-000000000001 A=1 A=2";
    fs::write("/sys/class/mem/null/uevent", twice).unwrap();
    stall(&device).unwrap();
    let ended = watching.end().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let events = ended.json_lines().unwrap();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[0]["source"], "malformed");
    assert_eq!(events[0]["of"], "uevent");
    assert_eq!(of("uevent", &events).len(), 2);
}

#[hil::test]
fn a_signal_before_all_events_have_come_is_told_as_that(_: &mut Target) {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let watching = watch("--count 2").unwrap();
        watching.signal(signal).unwrap();
        let ended = watching.end().unwrap();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.error.contains("interrupted after 0 of 2 events"));
    }
}

#[hil::test]
fn a_reader_that_has_gone_ends_it_with_the_next_event(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut watching = watch("").unwrap();
    watching.stop_reading();
    stall(&device).unwrap();
    let ended = watching.end().unwrap();
    assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""));
}

#[hil::test]
fn what_is_no_device_time_or_source_is_wrong_usage(_: &mut Target) {
    let refused = [
        ("--device mem", "not like dmacopy0"),
        ("--timeout never", "does not begin with a number"),
        ("--count 0", "--count"),
        ("--source rumour", "netlink, uevent, all"),
    ];
    for (words, reason) in refused {
        let called = call(&format!("dmacopy watch {words}")).unwrap();
        assert_eq!(called.code, Some(2), "{words}: {called:?}");
        assert!(called.error.contains(reason), "{words}: {called:?}");
    }
}
