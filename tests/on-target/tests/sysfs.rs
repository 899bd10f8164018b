// SPDX-License-Identifier: MIT OR Apache-2.0

//! The attributes in `/sys/class/misc/dmacopyN/`, and one test for each value they refuse.

use std::sync::Arc;
use std::time::Duration;

use dmacopy_client::{Device, State};
use dmacopy_uapi::names::{attribute, engine, state};
use dmacopy_uapi::ring;
use hil::Target;
use on_target::{Errno, PATIENCE, Result, Stalled, in_thread, page_bytes, wait_for_waiting};

const LARGEST_BUFFER: u64 = 4 << 20;

/// The error number of setting an attribute, after checking that it keeps its value.
fn refusal(name: &str, value: &str) -> Result<Option<i32>> {
    let device = Device::first()?;
    let directory = device.attributes().directory();
    let restore = directory.restore_later(name)?;
    let result = directory.set(name, value);
    assert_eq!(directory.text(name)?, restore.text());
    Ok(result.errno())
}

#[hil::test]
fn all_attributes_of_the_abi_are_there(_: &mut Target) {
    let device = Device::first().unwrap();
    let present = device.attributes().directory().attributes().unwrap();
    for name in attribute::ALL {
        assert!(present.iter().any(|p| p == name), "{name} is missing");
    }
}

#[hil::test]
fn every_value_is_one_line(_: &mut Target) {
    let device = Device::first().unwrap();
    for name in attribute::ALL {
        let path = device.attributes().directory().path().join(name);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.len() > 1 && text.find('\n') == Some(text.len() - 1),
            "{name}: {text:?}"
        );
    }
}

#[hil::test]
fn what_the_kernel_reports_cannot_be_set(_: &mut Target) {
    let device = Device::first().unwrap();
    for name in attribute::ALL {
        let can_be_set = [
            attribute::BUFFER_BYTES,
            attribute::RING_ENTRIES,
            attribute::TIMEOUT_MS,
            attribute::COALESCE_COUNT,
            attribute::COALESCE_US,
            attribute::INTERRUPT_COUNT,
            attribute::INTERRUPT_MICROSECONDS,
        ];
        if can_be_set.contains(&name) {
            continue;
        }
        let result = device.attributes().directory().set(name, "1");
        assert_eq!(result.errno(), Some(libc::EACCES), "{name}");
    }
}

#[hil::test]
fn an_engine_whose_interrupts_cannot_wait_returns_eopnotsupp(_: &mut Target) {
    let device = Device::first().unwrap();
    // The peripheral has its own tests.
    assert_ne!(device.attributes().engine().unwrap(), engine::PCI);
    let directory = device.attributes().directory();
    for name in [
        attribute::INTERRUPT_COUNT,
        attribute::INTERRUPT_MICROSECONDS,
    ] {
        let result = directory.set(name, "1");
        assert_eq!(result.errno(), Some(libc::EOPNOTSUPP), "{name}");
        assert_eq!(directory.number(name).unwrap(), 0, "{name}");
        let result = directory.set(name, "-1");
        assert_eq!(result.errno(), Some(libc::EINVAL), "{name}");
    }
}

#[hil::test]
fn an_idle_engine_is_running(_: &mut Target) {
    let device = Device::first().unwrap();
    assert_eq!(device.attributes().state().unwrap(), State::Running);
}

#[hil::test]
fn open_sessions_are_counted(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = device.attributes().sessions().unwrap();
    let sessions = [device.session().unwrap(), device.session().unwrap()];
    assert_eq!(device.attributes().sessions().unwrap(), before + 2);
    drop(sessions);
    assert_eq!(device.attributes().sessions().unwrap(), before);
}

#[hil::test]
fn buffer_bytes_is_what_the_next_session_gets(_: &mut Target) {
    let device = Device::first().unwrap();
    let attributes = device.attributes();
    let _restore = attributes
        .directory()
        .restore_later(attribute::BUFFER_BYTES)
        .unwrap();
    let earlier = device.session().unwrap();
    let earlier_bytes = earlier.info().unwrap().buffer_bytes;
    for bytes in [page_bytes().unwrap(), LARGEST_BUFFER] {
        attributes.set_buffer_bytes(bytes).unwrap();
        assert_eq!(attributes.buffer_bytes().unwrap(), bytes);
        let session = device.session().unwrap();
        assert_eq!(session.info().unwrap().buffer_bytes, bytes);
        assert_eq!(session.buffer().unwrap().len() as u64, bytes);
        session.copy(0, bytes / 2, bytes / 2).unwrap();
    }
    assert_eq!(earlier.info().unwrap().buffer_bytes, earlier_bytes);
}

#[hil::test]
fn ring_entries_are_what_the_next_session_gets(_: &mut Target) {
    let device = Device::first().unwrap();
    let attributes = device.attributes();
    let _restore = attributes
        .directory()
        .restore_later(attribute::RING_ENTRIES)
        .unwrap();
    let earlier = device.session().unwrap();
    let before = earlier.info().unwrap().ring_entries;
    for entries in [ring::MIN_ENTRIES, ring::MAX_ENTRIES] {
        attributes.set_ring_entries(u64::from(entries)).unwrap();
        assert_eq!(attributes.ring_entries().unwrap(), u64::from(entries));
        let session = device.session().unwrap();
        assert_eq!(session.info().unwrap().ring_entries, entries);
        assert_eq!(session.rings().unwrap().entries(), entries);
    }
    for refused in [0, 1, 3, 8192, 1 << 32] {
        let result = attributes.set_ring_entries(refused);
        assert_eq!(result.errno(), Some(libc::EINVAL), "{refused}");
    }
    assert_eq!(earlier.info().unwrap().ring_entries, before);
}

#[hil::test]
fn timeout_ms_takes_its_limits(_: &mut Target) {
    let device = Device::first().unwrap();
    let attributes = device.attributes();
    let _restore = attributes
        .directory()
        .restore_later(attribute::TIMEOUT_MS)
        .unwrap();
    for milliseconds in [1, 60_000] {
        let timeout = Duration::from_millis(milliseconds);
        attributes.set_timeout(timeout).unwrap();
        assert_eq!(attributes.timeout().unwrap(), timeout);
    }
}

#[hil::test]
fn a_shorter_timeout_holds_for_what_waits_already(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let _stalled = Stalled::new(&device, Duration::from_secs(30)).unwrap();
    let copier = Arc::clone(&session);
    let copy = in_thread(move || copier.copy(0, 2048, 64).errno());
    wait_for_waiting(&device, 1).unwrap();
    device
        .attributes()
        .set_timeout(Duration::from_millis(20))
        .unwrap();
    let errno = copy.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(errno, Some(libc::ETIMEDOUT));
}

#[hil::test]
fn a_value_may_end_with_a_newline(_: &mut Target) {
    let device = Device::first().unwrap();
    let attributes = device.attributes();
    let _restore = attributes
        .directory()
        .restore_later(attribute::TIMEOUT_MS)
        .unwrap();
    attributes
        .directory()
        .set(attribute::TIMEOUT_MS, "321\n")
        .unwrap();
    assert_eq!(attributes.timeout().unwrap(), Duration::from_millis(321));
}

#[hil::test]
fn a_change_of_the_state_wakes_those_who_watch_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let directory = device.attributes().directory();
    let mut watch = directory.watch(attribute::STATE).unwrap();
    let unchanged = watch.next(Some(Duration::from_millis(20))).unwrap();
    assert_eq!(unchanged, None);
    let stalled = Stalled::new(&device, Duration::from_millis(20)).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    assert_eq!(
        watch.next(PATIENCE).unwrap().as_deref(),
        Some(state::STALLED)
    );
    stalled.lift().unwrap();
    assert_eq!(
        watch.next(PATIENCE).unwrap().as_deref(),
        Some(state::RUNNING)
    );
}

#[hil::test]
fn a_buffer_of_zero_bytes_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::BUFFER_BYTES, "0").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_buffer_that_is_no_multiple_of_a_page_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::BUFFER_BYTES, "12345").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_buffer_that_is_too_large_returns_einval(_: &mut Target) {
    let errno = refusal(
        attribute::BUFFER_BYTES,
        &(LARGEST_BUFFER + page_bytes().unwrap()).to_string(),
    )
    .unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_negative_buffer_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::BUFFER_BYTES, "-4096").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_buffer_that_no_integer_holds_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::BUFFER_BYTES, "18446744073709551616").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_buffer_that_is_no_number_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::BUFFER_BYTES, "large").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_buffer_with_a_unit_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::BUFFER_BYTES, "64K").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn an_empty_line_for_a_buffer_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::BUFFER_BYTES, "\n").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_timeout_of_zero_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::TIMEOUT_MS, "0").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_timeout_that_is_too_long_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::TIMEOUT_MS, "60001").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_negative_timeout_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::TIMEOUT_MS, "-1").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_timeout_that_no_integer_holds_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::TIMEOUT_MS, "4294967297").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_timeout_that_is_no_number_returns_einval(_: &mut Target) {
    let errno = refusal(attribute::TIMEOUT_MS, "soon").unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

hil::main!();
