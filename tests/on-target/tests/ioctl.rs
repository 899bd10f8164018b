// SPDX-License-Identifier: MIT OR Apache-2.0

//! The requests INFO, COPY and RESET, and one test for each way to get them wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dmacopy_client::{Counters, Device, Session};
use dmacopy_uapi::{ABI_VERSION, ioctl, names};
use hil::Target;
use on_target::{
    Errno, PATIENCE, Result, Stalled, copy_without_answer, in_thread, pattern, wait_for_waiting,
    with_size,
};
use zerocopy::IntoBytes;

const GOOD: ioctl::Copy = ioctl::Copy {
    source_offset: 0,
    destination_offset: 2048,
    length: 64,
    flags: 0,
    source_buffer: 0,
    destination_buffer: 0,
    reserved: 0,
    sequence: 0,
    duration_ns: 0,
};

/// A session with a pattern all over its buffer.
fn filled_session(device: &Device) -> Result<(Session, Vec<u8>)> {
    let session = device.session()?;
    let mut buffer = session.buffer()?;
    let content = pattern(5, buffer.len());
    buffer.write(0, &content)?;
    Ok((session, content))
}

/// The error number of a COPY, after checking that it has neither moved nor counted anything.
fn refusal(change: impl FnOnce(&mut ioctl::Copy, u64)) -> Result<Option<i32>> {
    let device = Device::first()?;
    let (session, content) = filled_session(&device)?;
    let before = device.attributes().counters()?;
    let mut copy = GOOD;
    change(&mut copy, session.info()?.buffer_bytes);
    let result = session.request(ioctl::COPY, Some(copy.as_mut_bytes()));
    assert_eq!(device.attributes().counters()?, before);
    assert!(session.buffer()?.copy_to_vec(0, content.len())? == content);
    Ok(result.errno())
}

/// The bytes of a good COPY, cut or extended with zeros to a length.
fn copy_of_length(length: u16) -> Vec<u8> {
    let fields = [GOOD.source_offset, GOOD.destination_offset, GOOD.length];
    let mut bytes = fields.map(u64::to_ne_bytes).concat();
    bytes.resize(length.into(), 0);
    bytes
}

#[hil::test]
fn info_agrees_with_sysfs(_: &mut Target) {
    let device = Device::first().unwrap();
    let info = device.session().unwrap().info().unwrap();
    assert_eq!(info.abi_version, ABI_VERSION);
    assert_eq!(
        u64::from(info.abi_version),
        device.attributes().abi_version().unwrap()
    );
    assert_eq!(
        info.buffer_bytes,
        device.attributes().buffer_bytes().unwrap()
    );
    let engine = device.attributes().engine().unwrap();
    let known = match info.engine {
        ioctl::ENGINE_SOFTWARE => names::engine::SOFTWARE,
        ioctl::ENGINE_DMAENGINE => names::engine::DMAENGINE,
        ioctl::ENGINE_PCI => names::engine::PCI,
        other => panic!("{engine} is engine {other}"),
    };
    assert_eq!(engine, known);
    assert!(info.max_transfer_bytes > 0);
    assert_eq!(info.rings_offset, info.buffer_bytes);
    assert_eq!((info.reserved0, info.reserved), (0, 0));
}

#[hil::test]
fn info_offers_all_that_this_version_has(_: &mut Target) {
    let info = Device::first().unwrap().session().unwrap().info().unwrap();
    let all = ioctl::CAP_MMAP | ioctl::CAP_STREAM | ioctl::CAP_COPY;
    assert_eq!(info.capabilities & all, all);
}

#[hil::test]
fn each_session_has_a_number_of_its_own(_: &mut Target) {
    let device = Device::first().unwrap();
    let first = device.session().unwrap().info().unwrap().session;
    let second = device.session().unwrap().info().unwrap().session;
    assert!(second > first, "{second} came after {first}");
}

#[hil::test]
fn a_copy_moves_its_bytes_and_no_others(_: &mut Target) {
    let device = Device::first().unwrap();
    let (session, mut expected) = filled_session(&device).unwrap();
    session.copy(3, 5001, 999).unwrap();
    expected.copy_within(3..1002, 5001);
    let found = session
        .buffer()
        .unwrap()
        .copy_to_vec(0, expected.len())
        .unwrap();
    assert!(found == expected, "the buffer is not as after a copy");
}

#[hil::test]
fn a_copy_goes_either_way_and_up_to_the_last_byte(_: &mut Target) {
    let device = Device::first().unwrap();
    let (session, mut expected) = filled_session(&device).unwrap();
    let half = expected.len() / 2;
    session.copy(half as u64, 0, half as u64).unwrap();
    expected.copy_within(half.., 0);
    let found = session
        .buffer()
        .unwrap()
        .copy_to_vec(0, expected.len())
        .unwrap();
    assert!(found == expected, "the buffer is not as after a copy");
}

#[hil::test]
fn ranges_that_touch_do_not_overlap(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    session.copy(0, 64, 64).unwrap();
    session.copy(64, 0, 64).unwrap();
}

#[hil::test]
fn copies_are_numbered_counted_and_timed(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let before = device.attributes().counters().unwrap();
    let start = Instant::now();
    let first = session.copy(0, 4096, 100).unwrap();
    let second = session.copy(0, 4096, 200).unwrap();
    let elapsed = start.elapsed();
    assert_eq!(second.sequence, first.sequence + 1);
    assert!(!first.duration.is_zero());
    assert!(first.duration + second.duration <= elapsed);
    let expected = Counters {
        transfers: before.transfers + 2,
        bytes: before.bytes + 300,
        errors: before.errors,
    };
    assert_eq!(device.attributes().counters().unwrap(), expected);
}

#[hil::test]
fn the_time_that_a_copy_waits_for_the_engine_counts(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let stalled = Stalled::new(&device, Duration::from_secs(30)).unwrap();
    let copier = Arc::clone(&session);
    let start = Instant::now();
    let copy = in_thread(move || copier.copy(0, 2048, 64).map_err(|e| e.to_string()));
    wait_for_waiting(&device, 1).unwrap();
    let waiting = Instant::now();
    thread::sleep(Duration::from_millis(20));
    let waited = waiting.elapsed();
    stalled.lift().unwrap();
    let copy = copy.recv_timeout(PATIENCE.unwrap()).unwrap();
    let (duration, elapsed) = (copy.unwrap().duration, start.elapsed());
    assert!(waited <= duration && duration <= elapsed, "{duration:?}");
}

#[hil::test]
fn a_copy_whose_answer_cannot_be_written_returns_efault_and_is_done(_: &mut Target) {
    let device = Device::first().unwrap();
    let (session, content) = filled_session(&device).unwrap();
    let errno = copy_without_answer(&session, &GOOD).errno();
    assert_eq!(errno, Some(libc::EFAULT));
    let moved = session.buffer().unwrap().copy_to_vec(2048, 64).unwrap();
    assert_eq!(moved, content[..64]);
}

#[hil::test]
fn a_copy_longer_than_info_says_returns_einval(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let most = session.info().unwrap().max_transfer_bytes;
    let errno = refusal(|copy, _| copy.length = most + 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_length_of_zero_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.length = 0).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_source_beyond_the_buffer_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, bytes| copy.source_offset = bytes - copy.length + 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_destination_beyond_the_buffer_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, bytes| copy.destination_offset = bytes - copy.length + 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_source_that_wraps_around_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.source_offset = u64::MAX - copy.length + 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_destination_that_wraps_around_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.destination_offset = u64::MAX - 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_length_that_wraps_around_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.length = u64::MAX).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_destination_that_begins_in_the_source_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.destination_offset = copy.length - 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_source_that_begins_in_the_destination_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.source_offset = 2048 + copy.length - 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_copy_onto_itself_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.destination_offset = copy.source_offset).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn an_unknown_flag_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.flags = 1 << 31).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_reserved_field_that_is_not_zero_returns_einval(_: &mut Target) {
    let errno = refusal(|copy, _| copy.reserved = 1).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn unknown_request_returns_enotty(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let unknown = ioctl::COPY | 0xff;
    let result = session.request(unknown, Some(&mut [0; 48]));
    assert_eq!(result.errno(), Some(libc::ENOTTY));
}

#[hil::test]
fn a_request_of_another_driver_returns_enotty(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let other = ioctl::COPY ^ 0x0100;
    let result = session.request(other, Some(&mut [0; 48]));
    assert_eq!(result.errno(), Some(libc::ENOTTY));
}

#[hil::test]
fn a_request_in_the_wrong_direction_returns_enotty(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let read_only = ioctl::COPY & !(1 << 30);
    let result = session.request(read_only, Some(&mut [0; 48]));
    assert_eq!(result.errno(), Some(libc::ENOTTY));
}

#[hil::test]
fn a_null_argument_returns_efault(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    for request in [ioctl::INFO, ioctl::COPY] {
        let result = session.request(request, None);
        assert_eq!(result.errno(), Some(libc::EFAULT), "request {request:#x}");
    }
}

#[hil::test]
fn an_older_info_is_filled_as_far_as_it_goes(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let mut short = [0xff; 16];
    session
        .request(with_size(ioctl::INFO, 16), Some(&mut short))
        .unwrap();
    let info = session.info().unwrap();
    assert_eq!(short[..4], info.abi_version.to_ne_bytes());
    assert_eq!(short[8..], info.capabilities.to_ne_bytes());
}

#[hil::test]
fn what_a_newer_info_has_beyond_ours_is_zero(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let mut long = [0xff; 200];
    session
        .request(with_size(ioctl::INFO, 200), Some(&mut long))
        .unwrap();
    assert_eq!(long[..4], ABI_VERSION.to_ne_bytes());
    assert_eq!(long[64..], [0; 136]);
}

#[hil::test]
fn an_older_copy_is_extended_with_zeros(_: &mut Target) {
    let device = Device::first().unwrap();
    let (session, content) = filled_session(&device).unwrap();
    let mut short = copy_of_length(24);
    session
        .request(with_size(ioctl::COPY, 24), Some(&mut short))
        .unwrap();
    let moved = session.buffer().unwrap().copy_to_vec(2048, 64).unwrap();
    assert_eq!(moved, content[..64]);
}

#[hil::test]
fn a_newer_copy_that_uses_nothing_new_is_accepted(_: &mut Target) {
    let device = Device::first().unwrap();
    let (session, content) = filled_session(&device).unwrap();
    let mut long = copy_of_length(1024);
    session
        .request(with_size(ioctl::COPY, 1024), Some(&mut long))
        .unwrap();
    let moved = session.buffer().unwrap().copy_to_vec(2048, 64).unwrap();
    assert_eq!(moved, content[..64]);
}

#[hil::test]
fn a_newer_copy_that_uses_something_new_returns_e2big(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    for position in [48, 111, 112, 1023] {
        let mut long = copy_of_length(1024);
        long[position] = 1;
        let result = session.request(with_size(ioctl::COPY, 1024), Some(&mut long));
        assert_eq!(result.errno(), Some(libc::E2BIG), "byte {position}");
    }
}

#[hil::test]
fn a_copy_on_a_stalled_engine_returns_etimedout_and_moves_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let (session, content) = filled_session(&device).unwrap();
    let before = device.attributes().counters().unwrap();
    let timeout = Duration::from_millis(50);
    let stalled = Stalled::new(&device, timeout).unwrap();
    let start = Instant::now();
    assert_eq!(session.copy(0, 2048, 64).errno(), Some(libc::ETIMEDOUT));
    assert!(
        start.elapsed() >= timeout,
        "timed out after {:?}",
        start.elapsed()
    );
    stalled.lift().unwrap();

    let expected = Counters {
        errors: before.errors + 1,
        ..before
    };
    assert_eq!(device.attributes().counters().unwrap(), expected);
    let found = session
        .buffer()
        .unwrap()
        .copy_to_vec(0, content.len())
        .unwrap();
    assert!(found == content, "a copy that timed out was carried out");
    session.copy(0, 2048, 64).unwrap();
}

/// The error number of a RESET, after checking that it has reset nothing.
fn reset_refusal(code: u32, argument: Option<&mut [u8]>) -> Result<Option<i32>> {
    let device = Device::first()?;
    let resets = || {
        device
            .attributes()
            .directory()
            .number(names::attribute::RESETS)
    };
    let before = resets()?;
    let result = device.session()?.request(code, argument);
    assert_eq!(resets()?, before);
    Ok(result.errno())
}

#[hil::test]
fn a_reset_with_a_flag_returns_einval(_: &mut Target) {
    let mut reset = ioctl::Reset {
        flags: 1,
        reserved: 0,
    };
    let errno = reset_refusal(ioctl::RESET, Some(reset.as_mut_bytes())).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_reset_with_a_reserved_field_returns_einval(_: &mut Target) {
    let mut reset = ioctl::Reset {
        flags: 0,
        reserved: 1,
    };
    let errno = reset_refusal(ioctl::RESET, Some(reset.as_mut_bytes())).unwrap();
    assert_eq!(errno, Some(libc::EINVAL));
}

#[hil::test]
fn a_larger_reset_with_more_than_zeros_returns_e2big(_: &mut Target) {
    let mut bytes = [0; 16];
    bytes[15] = 1;
    let errno = reset_refusal(with_size(ioctl::RESET, 16), Some(&mut bytes)).unwrap();
    assert_eq!(errno, Some(libc::E2BIG));
}

#[hil::test]
fn a_reset_without_an_argument_returns_efault(_: &mut Target) {
    let errno = reset_refusal(ioctl::RESET, None).unwrap();
    assert_eq!(errno, Some(libc::EFAULT));
}

#[hil::test]
fn a_reset_loses_and_doubles_no_transfer(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = device.attributes().counters().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let copiers: Vec<_> = (0..3)
            .map(|seed| {
                let device = &device;
                scope.spawn(move || {
                    let session = device.session().unwrap();
                    let mut buffer = session.buffer().unwrap();
                    for round in 0..100 {
                        let bytes = pattern(seed * 1000 + round, 1024);
                        buffer.write(0, &bytes).unwrap();
                        session.copy(0, 2048, 1024).unwrap();
                        assert!(buffer.copy_to_vec(2048, 1024).unwrap() == bytes);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let session = device.session().unwrap();
            while !done.load(Ordering::Relaxed) {
                session.reset_engine().unwrap();
            }
        });
        let ends: Vec<_> = copiers.into_iter().map(|copier| copier.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(std::result::Result::is_ok));
    });
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.transfers, before.transfers + 300);
    assert_eq!(after.errors, before.errors);
}

hil::main!();
