// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target dmacopy info`, `copy` and `fill`, and how all of `dmacopy` choose a device.

use std::thread;
use std::time::Duration;

use dmacopy_client::{Counters, Device};
use dmacopy_uapi::names::{attribute, limits};
use dmacopy_uapi::{ABI_VERSION, ioctl};
use hil::Target;
use on_target::{Result, Stalled, Unbound, call, limit_session_transfers, start, wait_until};
use serde_json::{Value, json};

const SHORT: Duration = Duration::from_millis(50);

/// What the first device counts, and what it has counted more since.
fn grown(device: &Device, before: Counters) -> Result<(u64, u64)> {
    let now = device.attributes().counters()?;
    Ok((now.transfers - before.transfers, now.bytes - before.bytes))
}

#[hil::test]
fn a_fill_is_done_by_the_engine_and_each_byte_of_it_checked(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = device.attributes().counters().unwrap();
    let words =
        "dmacopy fill --json --count 4 --bytes 301 --batches 3 --pattern 0x1122334455667788";
    let called = call(words).unwrap();
    assert_eq!(called.code, Some(0), "{called:?}");
    let expected = json!({
        "device": device.name(),
        "engine": device.attributes().engine().unwrap(),
        "pattern": "0x1122334455667788",
        "filled": 12,
        "corrupted": 0,
        "failed": [],
    });
    assert_eq!(called.json().unwrap(), expected);
    assert_eq!(grown(&device, before).unwrap(), (12, 12 * 301));
}

#[hil::test]
fn a_copy_is_done_by_the_engine_and_each_byte_of_it_checked(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = device.attributes().counters().unwrap();
    let called = call("dmacopy copy --count 5 --bytes 700 --batches 2").unwrap();
    assert_eq!(called.code, Some(0), "{called:?}");
    let lines: Vec<_> = called.output.lines().skip(2).collect();
    assert_eq!(lines, ["copied              10", "corrupted           0"]);
    assert_eq!(grown(&device, before).unwrap(), (10, 7000));
}

#[hil::test]
fn transfers_that_fail_are_told_one_by_one_and_fail_the_command(_: &mut Target) {
    let device = Device::first().unwrap();
    for (command, done) in [("fill", "filled"), ("copy", "copied")] {
        let stalled = Stalled::new(&device, SHORT).unwrap();
        let called = call(&format!("dmacopy {command} --json --count 2")).unwrap();
        stalled.lift().unwrap();
        assert_eq!(called.code, Some(1), "{called:?}");
        let document = called.json().unwrap();
        assert_eq!(document[done], 0);
        let errno = libc::ETIMEDOUT;
        let failed = json!([{"number": 0, "errno": errno}, {"number": 1, "errno": errno}]);
        assert_eq!(document["failed"], failed);
    }
}

#[hil::test]
fn what_is_told_of_a_device_is_what_its_driver_says(_: &mut Target) {
    let device = Device::first().unwrap();
    let attributes = device.attributes();
    let restore = |name| attributes.directory().restore_later(name).unwrap();
    let _restored = [attribute::TIMEOUT_MS, attribute::BUFFER_BYTES].map(restore);
    // Each is another number.
    attributes.set_timeout(Duration::from_millis(2501)).unwrap();
    let less = attributes.buffer_bytes().unwrap() / 2;
    attributes.set_buffer_bytes(less).unwrap();
    let info = device.session().unwrap().info().unwrap();
    let called = call("dmacopy info --json").unwrap();
    assert_eq!(called.code, Some(0), "{called:?}");
    let document = called.json().unwrap();
    assert_eq!(document["device"], device.name());
    assert_eq!(document["abi_version"], ABI_VERSION);
    assert_eq!(document["buffer_bytes"], less);
    assert_eq!(document["max_transfer_bytes"], info.max_transfer_bytes);
    assert_eq!(document["timeout_ms"], 2501);
    assert_eq!(document["engine"], attributes.engine().unwrap());
    assert_eq!(document["state"], "running");
    let names = [
        (ioctl::CAP_MMAP, "mmap"),
        (ioctl::CAP_STREAM, "stream"),
        (ioctl::CAP_COPY, "copy"),
        (ioctl::CAP_RINGS, "rings"),
        (ioctl::CAP_NOTIFY, "notify"),
        (ioctl::CAP_BUFFERS, "buffers"),
        (ioctl::CAP_DMA_BUF, "dma-buf"),
        (ioctl::CAP_RESET, "reset"),
    ];
    let has = |(bit, _): &&(u64, &str)| info.capabilities & bit != 0;
    let expected: Vec<_> = names.iter().filter(has).map(|(_, name)| *name).collect();
    assert_eq!(expected.len(), info.capabilities.count_ones() as usize);
    assert_eq!(document["capabilities"], json!(expected));
}

#[hil::test]
fn what_cannot_be_done_is_wrong_usage_and_nothing_is_moved(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = device.attributes().counters().unwrap();
    let file = |name| {
        let path = device.attributes().directory().path().join(name);
        path.display().to_string()
    };
    let buffer_bytes = file(attribute::BUFFER_BYTES);
    let ring_entries = file(attribute::RING_ENTRIES);
    let refused: [(&str, &str); 13] = [
        ("fill --bytes 0", "a transfer of no bytes is none"),
        ("copy --bytes 0", "a transfer of no bytes is none"),
        ("copy --until-failure --bytes 0", "0 bytes are none"),
        ("fill --bytes 1000000000", &buffer_bytes),
        ("copy --bytes 18446744073709551615", &buffer_bytes),
        ("fill --bytes 1 --count 4294967295", &buffer_bytes),
        ("copy --bytes 1 --count 4097", &ring_entries),
        ("fill --count 0", "--count"),
        ("fill --batches 0", "--batches"),
        ("fill --pattern 0xyz", "no number of 64 bits"),
        ("copy --until-failure --count 2", "--count"),
        ("info --device dmacopy0 --engine pci", "--engine"),
        ("stretch", "stretch"),
    ];
    for (words, reason) in refused {
        let called = call(&format!("dmacopy {words}")).unwrap();
        assert_eq!(called.code, Some(2), "{words}: {called:?}");
        assert!(called.error.contains(reason), "{words}: {called:?}");
        assert_eq!(called.output, "", "{words}");
    }
    assert_eq!(grown(&device, before).unwrap(), (0, 0));
}

#[hil::test]
fn a_batch_can_be_as_long_as_the_rings_and_no_longer(_: &mut Target) {
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let before = directory.restore_later(attribute::RING_ENTRIES).unwrap();
    device.attributes().set_ring_entries(4).unwrap();
    let called = ["copy --count 4", "fill --count 4", "copy --count 5"]
        .map(|words| call(&format!("dmacopy {words}")).unwrap());
    drop(before);
    assert_eq!(
        called.each_ref().map(|called| called.code),
        [0, 0, 2].map(Some)
    );
    assert!(called[2].error.contains("rings of 4 entries"), "{called:?}");
}

#[hil::test]
fn more_at_once_than_a_session_may_have_under_way_is_wrong_usage(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = limit_session_transfers(&device, 4).unwrap();
    assert_eq!(call("dmacopy fill --count 4").unwrap().code, Some(0));
    let called = call("dmacopy fill --count 5").unwrap();
    drop(before);
    assert_eq!(called.code, Some(2), "{called:?}");
    let group = device.attributes().directory().path().join(limits::GROUP);
    let path = group.join(limits::SESSION_TRANSFERS);
    let path = path.display().to_string();
    assert!(called.error.contains(&path), "{called:?}");
}

#[hil::test]
fn with_json_an_error_of_any_kind_is_a_json_object_too(_: &mut Target) {
    for (words, code, reason) in [
        (
            "dmacopy info --device dmacopy77 --json",
            3,
            "no device dmacopy77",
        ),
        ("dmacopy fill --bytes 0 --json", 2, "no bytes"),
        (
            "dmacopy fill --json --bytes many",
            2,
            "invalid value 'many'",
        ),
        ("dmacopy stretch --json", 2, "stretch"),
        ("channel cellar --json", 2, "cellar"),
    ] {
        let called = call(words).unwrap();
        assert_eq!(called.code, Some(code), "{words}: {called:?}");
        assert_eq!(called.output, "", "{words}");
        let error: Value = serde_json::from_str(&called.error).unwrap();
        assert_eq!(error["exit_code"], code, "{words}");
        let told = error["error"].as_str().unwrap();
        assert!(
            told.contains(reason) && !told.starts_with("error"),
            "{told}"
        );
    }
    assert_eq!(call("dmacopy --help --json").unwrap().code, Some(0));
}

#[hil::test]
fn a_device_that_does_not_exist_has_an_exit_code_of_its_own_for_all_commands(_: &mut Target) {
    for command in ["info", "copy", "fill", "stats"] {
        let called = call(&format!("dmacopy {command} --device dmacopy77")).unwrap();
        assert_eq!(called.code, Some(3), "{command}: {called:?}");
        assert!(
            called.error.contains("there is no device dmacopy77"),
            "{called:?}"
        );
        let called = call(&format!("dmacopy {command} --engine steam")).unwrap();
        assert_eq!(called.code, Some(3), "{command}: {called:?}");
        assert!(
            called.error.contains("no device has the engine steam"),
            "{called:?}"
        );
        let device = Device::first().unwrap();
        let has = device.attributes().engine().unwrap();
        let there = format!("{} with {has}", device.name());
        assert!(called.error.contains(&there), "{called:?}");
        assert!(called.error.contains("bringup-target doctor"), "{called:?}");
    }
}

#[hil::test(timeout = "120 s")]
fn a_device_that_goes_at_any_time_ends_the_command_by_an_error(_: &mut Target) {
    let words = [
        "copy --bytes 1 --count 64",
        "fill --bytes 1 --count 64",
        "copy --bytes 30000",
        "fill --bytes 30000",
    ];
    for lap in 0..48 {
        let device = Device::first().unwrap();
        let words = words[lap % words.len()];
        let batches = u32::MAX;
        let before = device.attributes().counters().unwrap();
        let running = start(&format!("dmacopy {words} --json --batches {batches}")).unwrap();
        // It has looked for its device by then, and does nothing any more but batches.
        let done = || grown(&device, before);
        wait_until(done, |(transfers, _)| *transfers > 0).unwrap();
        // At another place of the batch each time.
        thread::sleep(Duration::from_micros(137 * lap as u64));
        let unbound = Unbound::of(&device).unwrap();
        let called = running.end().unwrap();
        unbound.rebind().unwrap();
        // None if it was a signal.
        assert_eq!(called.code, Some(1), "{words}: {called:?}");
        assert_eq!(called.output, "", "{words}");
        let error: Value = serde_json::from_str(&called.error).unwrap();
        assert_eq!(error["exit_code"], 1, "{words}");
        let told = format!(
            "{}: cannot submit descriptors: No such device (os error 19)",
            device.name()
        );
        assert_eq!(error["error"], told, "{words}");
    }
}
