// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target dmacopy stats`.

use std::time::{Duration, Instant};

use dmacopy_client::Device;
use hil::Target;
use nix::sys::signal::Signal;
use on_target::{call, start};
use serde_json::Value;

fn number(sample: &Value, part: &str, name: &str) -> u64 {
    sample[part][name].as_u64().unwrap()
}

#[hil::test]
fn the_totals_are_those_of_sysfs(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    session.copy(0, 2048, 10).unwrap();
    let called = call("dmacopy stats --json").unwrap();
    assert_eq!(called.code, Some(0), "{called:?}");
    let document = called.json().unwrap();
    let attributes = device.attributes();
    let total = document["total"].as_object().unwrap();
    assert_eq!(total.len(), 7, "{document}");
    for (name, value) in total {
        let found = attributes.directory().number(name).unwrap();
        assert_eq!(value.as_u64(), Some(found), "{name}");
    }
    assert_eq!(document["sessions"], 1);
    assert_eq!(document["state"], "running");
    let text = call("dmacopy stats").unwrap().output;
    let transfers = attributes.counters().unwrap().transfers;
    let expected = format!("transfers           {transfers}\n");
    assert!(text.contains(&expected), "{text}");
}

#[hil::test]
fn each_interval_tells_what_was_done_in_it_and_no_copy_is_told_twice_or_never(_: &mut Target) {
    const COPIES: u64 = 7;
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut stats = start("dmacopy stats --json --interval 20ms").unwrap();
    let first = stats.json_line().unwrap();
    for _ in 0..COPIES {
        session.copy(0, 2048, 100).unwrap();
    }
    let (mut before, mut transfers, mut bytes) = (first, 0, 0);
    while transfers < COPIES {
        let sample = stats.json_line().unwrap();
        for name in ["transfers", "bytes", "errors", "stalls"] {
            let total = number(&sample, "total", name);
            let grown = number(&sample, "difference", name);
            assert_eq!(total - number(&before, "total", name), grown, "{sample}");
        }
        transfers += number(&sample, "difference", "transfers");
        bytes += number(&sample, "difference", "bytes");
        before = sample;
    }
    assert_eq!((transfers, bytes), (COPIES, 100 * COPIES));
    stats.signal(Signal::SIGINT).unwrap();
    assert_eq!(stats.end().unwrap().code, Some(0));
}

#[hil::test]
fn as_many_intervals_as_were_asked_for_take_as_long(_: &mut Target) {
    let started = Instant::now();
    let called = call("dmacopy stats --interval 30ms --count 3").unwrap();
    assert!(started.elapsed() >= Duration::from_millis(90));
    assert_eq!(called.code, Some(0), "{called:?}");
    let lines: Vec<_> = called.output.lines().collect();
    assert_eq!(lines.len(), 4, "{called:?}");
    assert!(lines[0].contains("transfers"), "{called:?}");
    assert!(lines[1..].iter().all(|line| line.ends_with("running")));
}

#[hil::test]
fn a_reader_that_has_seen_enough_ends_it_without_an_error(_: &mut Target) {
    let mut stats = start("dmacopy stats --json --interval 5ms").unwrap();
    stats.json_line().unwrap();
    stats.stop_reading();
    let ended = stats.end().unwrap();
    assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""));
}

#[hil::test]
fn a_device_that_goes_meanwhile_is_an_error_that_names_it(_: &mut Target) {
    let unbound = on_target::Unbound::new;
    let name = Device::first().unwrap().name().to_owned();
    let mut stats = start("dmacopy stats --json --interval 5ms").unwrap();
    stats.json_line().unwrap();
    let unbound = unbound().unwrap();
    let ended = stats.end().unwrap();
    unbound.rebind().unwrap();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.error.contains(&name), "{ended:?}");
}

#[hil::test]
fn intervals_that_are_none_are_wrong_usage(_: &mut Target) {
    let refused = [
        ("--interval 0", "no time at all"),
        ("--interval soon", "does not begin with a number"),
        ("--interval 1s --count 0", "--count"),
        ("--count 3", "--interval"),
    ];
    for (words, reason) in refused {
        let called = call(&format!("dmacopy stats {words}")).unwrap();
        assert_eq!(called.code, Some(2), "{words}: {called:?}");
        assert!(called.error.contains(reason), "{words}: {called:?}");
    }
}
