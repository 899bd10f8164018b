// SPDX-License-Identifier: MIT OR Apache-2.0

//! What sessions may have of a device, so that none can exhaust it.

use std::sync::Arc;
use std::time::Duration;

use dmacopy_client::{Device, Session};
use dmacopy_uapi::names::{attribute, limits};
use dmacopy_uapi::ring::{self, Descriptor};
use hil::Target;
use kernel_channels::mmap::dma_buf::DmaBuf;
use kernel_channels::mmap::memfd::MemFd;
use kernel_channels::{Interest, Restore, sysfs};
use nix::sys::signal::Signal;
use on_target::{
    Client, Errno, PATIENCE, Result, Stalled, asleep_in, page_bytes, role, wait_for_waiting,
    wait_until,
};

/// The memory that every session has for its stream, in bytes.
const STREAM_BYTES: u64 = 128 << 10;

/// Long enough for a test to do what it wants before a stalled transfer times out.
const LONG: Duration = Duration::from_secs(30);

/// The limits of a device.
fn limits_of(device: &Device) -> Result<sysfs::Device> {
    Ok(device.attributes().directory().group(limits::GROUP)?)
}

/// Sets a limit until the result is dropped.
fn limited(limits: &sysfs::Device, name: &str, value: u64) -> Result<Restore> {
    let restore = limits.restore_later(name)?;
    limits.set(name, value)?;
    Ok(restore)
}

/// The memory that a new session is charged for, in bytes.
fn session_bytes(device: &Device) -> Result<u64> {
    let attributes = device.attributes();
    let entries = u32::try_from(attributes.ring_entries()?)?;
    let rings = u64::try_from(ring::bytes(entries))?;
    Ok(attributes.buffer_bytes()? + rings.next_multiple_of(page_bytes()?) + STREAM_BYTES)
}

/// What a buffer has of its own in these tests, in bytes.
const BUFFER_BYTES: u64 = 64 << 10;
const BUFFER_LENGTH: usize = BUFFER_BYTES as usize;

/// A session that can have one such buffer.
fn session_with_room(device: &Device) -> Result<(Session, Restore)> {
    let bytes = session_bytes(device)? + BUFFER_BYTES;
    let limited = limited(&limits_of(device)?, limits::SESSION_BYTES, bytes)?;
    Ok((device.session()?, limited))
}

/// The session can do all that sessions do.
fn works(session: &Session) {
    session.copy(0, 2048, 1024).unwrap();
    assert_eq!(session.write(b"stream").unwrap(), 6);
    session.buffer().unwrap().write(0, b"buffer").unwrap();
}

#[hil::test]
fn all_limits_of_the_abi_are_there(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut names = limits::ALL.map(str::to_owned);
    names.sort();
    let found = limits_of(&device).unwrap().attributes().unwrap();
    assert_eq!(found, names);
}

#[hil::test]
fn a_session_too_many_returns_ebusy(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let before = device.attributes().sessions().unwrap();
    let _limited = limited(&limits, limits::SESSIONS, before + 2).unwrap();
    let (one, other) = (device.session().unwrap(), device.session().unwrap());
    assert_eq!(device.session().errno(), Some(libc::EBUSY));
    works(&one);

    // The place of one that is closed is free.
    drop(one);
    let another = device.session().unwrap();
    assert_eq!(device.session().errno(), Some(libc::EBUSY));
    works(&another);
    works(&other);
}

#[hil::test]
fn a_session_is_charged_for_all_it_can_use(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let bytes = session_bytes(&device).unwrap();
    let before = limits.number(limits::USED_BYTES).unwrap();
    let session = device.session().unwrap();
    let used = limits.number(limits::USED_BYTES).unwrap();
    assert_eq!(used, before + bytes);
    // What it has been charged for, it is not charged for again.
    works(&session);
    assert_eq!(limits.number(limits::USED_BYTES).unwrap(), used);
    drop(session);
    assert_eq!(limits.number(limits::USED_BYTES).unwrap(), before);
}

#[hil::test]
fn a_session_with_too_much_memory_returns_enomem(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let bytes = session_bytes(&device).unwrap();
    let before = limits.number(limits::USED_BYTES).unwrap();
    let just_enough = limited(&limits, limits::SESSION_BYTES, bytes).unwrap();
    works(&device.session().unwrap());
    limits.set(limits::SESSION_BYTES, bytes - 1).unwrap();
    assert_eq!(device.session().errno(), Some(libc::ENOMEM));
    assert_eq!(limits.number(limits::USED_BYTES).unwrap(), before);
    drop(just_enough);
    works(&device.session().unwrap());
}

#[hil::test]
fn sessions_with_too_much_memory_together_return_enomem_and_go_on(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let bytes = session_bytes(&device).unwrap();
    let before = limits.number(limits::USED_BYTES).unwrap();
    let _limited = limited(&limits, limits::DEVICE_BYTES, before + 2 * bytes).unwrap();
    let (one, other) = (device.session().unwrap(), device.session().unwrap());
    assert_eq!(device.session().errno(), Some(libc::ENOMEM));
    // They get all that they were charged for only now.
    works(&one);
    works(&other);

    // The one that was refused has left nothing behind.
    drop(one);
    assert_eq!(
        limits.number(limits::USED_BYTES).unwrap(),
        before + bytes,
        "of one session"
    );
    works(&device.session().unwrap());
    works(&other);
}

#[hil::test]
fn a_buffer_is_charged_until_it_is_given_up(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let used = || limits.number(limits::USED_BYTES).unwrap();
    let (session, _limited) = session_with_room(&device).unwrap();
    let before = used();
    let page = page_bytes().unwrap();
    let too_much = session.create_buffer(BUFFER_BYTES + page);
    assert_eq!(too_much.errno(), Some(libc::ENOMEM));
    assert_eq!(used(), before);
    for _ in 0..3 {
        let number = session.create_buffer(BUFFER_BYTES).unwrap();
        assert_eq!(used(), before + BUFFER_BYTES);
        assert_eq!(session.create_buffer(page).errno(), Some(libc::ENOMEM));
        works(&session);
        session.free_buffer(number).unwrap();
        assert_eq!(used(), before);
    }
}

#[hil::test]
fn memory_is_charged_for_as_long_as_anybody_has_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let used = || limits.number(limits::USED_BYTES).unwrap();
    let without = used();
    let (session, _limited) = session_with_room(&device).unwrap();
    let before = used();
    let number = session.create_buffer(BUFFER_BYTES).unwrap();
    let mapping = session.map_buffer(number, BUFFER_LENGTH).unwrap();
    let dma_buf = session.export_buffer(number).unwrap();
    session.free_buffer(number).unwrap();
    let is_charged = || {
        let refused = session.create_buffer(BUFFER_BYTES);
        assert_eq!(refused.errno(), Some(libc::ENOMEM));
        assert_eq!(used(), before + BUFFER_BYTES);
    };
    is_charged();
    drop(dma_buf);
    is_charged();
    drop(mapping);
    assert_eq!(used(), before);

    let number = session.create_buffer(BUFFER_BYTES).unwrap();
    let dma_buf = session.export_buffer(number).unwrap();
    session.free_buffer(number).unwrap();
    is_charged();
    let mapping = dma_buf.map(0, BUFFER_LENGTH).unwrap();
    drop(dma_buf);
    is_charged();
    // Also when the session is no more.
    drop(session);
    assert_eq!(used(), without + BUFFER_BYTES);
    drop(mapping);
    assert_eq!(used(), without);
}

#[hil::test]
fn an_import_is_charged_until_it_is_detached(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let used = || limits.number(limits::USED_BYTES).unwrap();
    let without = used();
    let memory = MemFd::new(2 * BUFFER_BYTES).unwrap();
    let large = DmaBuf::of(&memory, 0, 2 * BUFFER_BYTES).unwrap();
    let small = DmaBuf::of(&memory, 0, BUFFER_BYTES).unwrap();
    let (session, _limited) = session_with_room(&device).unwrap();
    let before = used();
    let no_memory = Some(libc::ENOMEM);
    assert_eq!(session.import_buffer(&large).errno(), no_memory);
    assert_eq!(used(), before);
    for _ in 0..3 {
        let (number, _) = session.import_buffer(&small).unwrap();
        assert_eq!(used(), before + BUFFER_BYTES);
        // The device has it once more, whosever memory it is.
        assert_eq!(session.import_buffer(&small).errno(), no_memory);
        session.free_buffer(number).unwrap();
        assert_eq!(used(), before);
    }
    session.import_buffer(&small).unwrap();
    drop(session);
    assert_eq!(used(), without);
}

#[hil::test]
fn buffers_of_all_sessions_together_are_limited(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let (one, other) = (device.session().unwrap(), device.session().unwrap());
    let before = limits.number(limits::USED_BYTES).unwrap();
    let _limited = limited(&limits, limits::DEVICE_BYTES, before + BUFFER_BYTES).unwrap();
    let number = one.create_buffer(BUFFER_BYTES).unwrap();
    let refused = other.create_buffer(page_bytes().unwrap());
    assert_eq!(refused.errno(), Some(libc::ENOMEM));
    one.free_buffer(number).unwrap();
    other.create_buffer(BUFFER_BYTES).unwrap();
}

#[hil::test]
fn a_limit_below_what_there_is_takes_nothing_away(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let session = device.session().unwrap();
    let used = limits.number(limits::USED_BYTES).unwrap();
    let _bytes = limited(&limits, limits::DEVICE_BYTES, page_bytes().unwrap()).unwrap();
    let _sessions = limited(&limits, limits::SESSIONS, 1).unwrap();
    works(&session);
    assert_eq!(limits.number(limits::USED_BYTES).unwrap(), used);
    drop(session);
    assert_eq!(device.session().errno(), Some(libc::ENOMEM));
}

#[hil::test]
fn a_client_that_is_killed_is_charged_for_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    if let Some(role) = role() {
        let sessions = [device.session().unwrap(), device.session().unwrap()];
        sessions.iter().for_each(works);
        role.ready().unwrap();
        role.wait().unwrap();
        return;
    }
    let limits = limits_of(&device).unwrap();
    let bytes = session_bytes(&device).unwrap();
    let before = limits.number(limits::USED_BYTES).unwrap();
    let test = "a_client_that_is_killed_is_charged_for_nothing";
    let mut client = Client::start(test, "two sessions").unwrap();
    let used = limits.number(limits::USED_BYTES).unwrap();
    assert_eq!(used, before + 2 * bytes);
    client.signal(Signal::SIGKILL).unwrap();
    client.end().unwrap();
    wait_until(
        || Ok(limits.number(limits::USED_BYTES)?),
        |used| *used == before,
    )
    .unwrap();
}

#[hil::test]
fn a_value_out_of_range_returns_einval(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let page = page_bytes().unwrap();
    let (count, bytes) = ((1, 65_536), (page, 1 << 30));
    for (name, (least, most)) in [
        (limits::SESSIONS, count),
        (limits::SESSION_TRANSFERS, count),
        (limits::DEVICE_BYTES, bytes),
        (limits::SESSION_BYTES, bytes),
    ] {
        let restore = limits.restore_later(name).unwrap();
        for value in [least, most] {
            limits.set(name, value).unwrap();
            assert_eq!(limits.number(name).unwrap(), value, "{name}");
        }
        let (below, above) = ((least - 1).to_string(), (most + 1).to_string());
        for value in [&below, &above, "-1", "many", "18446744073709551616", "1K"] {
            let result = limits.set(name, value);
            assert_eq!(result.errno(), Some(libc::EINVAL), "{name}: {value}");
            assert_eq!(limits.number(name).unwrap(), most, "{name}: {value}");
        }
        drop(restore);
    }
    let result = limits.set(limits::USED_BYTES, 0);
    assert_eq!(result.errno(), Some(libc::EACCES));
}

#[hil::test]
fn a_buffer_larger_than_the_limit_cannot_be_opened(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let attributes = device.attributes();
    let _restore = attributes
        .directory()
        .restore_later(attribute::BUFFER_BYTES)
        .unwrap();
    let _limited = limited(&limits, limits::SESSION_BYTES, 1 << 20).unwrap();
    attributes.set_buffer_bytes(1 << 20).unwrap();
    assert_eq!(device.session().errno(), Some(libc::ENOMEM));
}

/// A transfer of one byte.
fn copy_descriptor(user_data: u64) -> Descriptor {
    Descriptor {
        opcode: ring::COPY,
        length: 1,
        destination: 2048,
        user_data,
        ..Descriptor::default()
    }
}

#[hil::test]
fn a_doorbell_takes_no_more_transfers_than_the_limit(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let _limited = limited(&limits, limits::SESSION_TRANSFERS, 3).unwrap();
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    for user_data in 0..8 {
        assert!(rings.push(&copy_descriptor(user_data)).unwrap());
    }
    assert_eq!(rings.submit(&session, 0).unwrap(), 3);
    assert_eq!(rings.submit(&session, 0).unwrap(), 0);
    // Others have a limit of their own.
    let other = device.session().unwrap();
    other.write(b"other").unwrap();
    wait_for_waiting(&device, 4).unwrap();

    stalled.lift().unwrap();
    let mut completed = Vec::new();
    while completed.len() < 8 {
        rings.submit(&session, 1).unwrap();
        while let Some(completion) = rings.pop().unwrap() {
            assert_eq!(completion.errno, None);
            completed.push(completion.user_data);
        }
    }
    assert_eq!(completed, (0..8).collect::<Vec<_>>());
}

#[hil::test]
fn what_is_no_transfer_is_taken_beyond_the_limit(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let _limited = limited(&limits, limits::SESSION_TRANSFERS, 1).unwrap();
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    rings.push(&copy_descriptor(1)).unwrap();
    let nop = Descriptor {
        opcode: ring::NOP,
        user_data: 2,
        ..Descriptor::default()
    };
    rings.push(&nop).unwrap();
    rings.push(&copy_descriptor(3)).unwrap();
    rings.push(&nop).unwrap();
    // What comes behind the one without a place waits with it.
    assert_eq!(rings.submit(&session, 0).unwrap(), 2);
    stalled.lift().unwrap();
    let mut completed = 0;
    while completed < 4 {
        rings.submit(&session, 1).unwrap();
        while rings.pop().unwrap().is_some() {
            completed += 1;
        }
    }
}

#[hil::test]
fn a_copy_beyond_the_limit_returns_ebusy(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let _limited = limited(&limits, limits::SESSION_TRANSFERS, 2).unwrap();
    let session = device.session().unwrap();
    let before = device.attributes().counters().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"one").unwrap();
    session.write(b"two").unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::EBUSY));
    stalled.lift().unwrap();
    wait_for_waiting(&device, 0).unwrap();
    let count = || Ok(device.attributes().counters()?.transfers);
    wait_until(count, |now| *now == before.transfers + 2).unwrap();
    session.copy(0, 2048, 1).unwrap();
}

#[hil::test]
fn a_write_beyond_the_limit_waits_for_a_place(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let _limited = limited(&limits, limits::SESSION_TRANSFERS, 1).unwrap();
    let impatient = device.nonblocking_session().unwrap();
    let patient = Arc::new(device.session().unwrap());
    let stalled = Stalled::new(&device, LONG).unwrap();
    impatient.write(b"one").unwrap();
    assert_eq!(impatient.write(b"two").errno(), Some(libc::EAGAIN));
    let readiness = impatient.poll(Interest::WRITABLE, Some(Duration::ZERO));
    assert!(!readiness.unwrap().writable);

    patient.write(b"one").unwrap();
    let writer = Arc::clone(&patient);
    let second = asleep_in(libc::SYS_write, move || writer.write(b"two")).unwrap();
    wait_for_waiting(&device, 2).unwrap();
    stalled.lift().unwrap();
    assert_eq!(second.join().unwrap().unwrap(), 3);
    let readiness = impatient.poll(Interest::WRITABLE, PATIENCE);
    assert!(readiness.unwrap().writable);
    impatient.write(b"two").unwrap();
}

#[hil::test]
fn who_polls_for_a_place_is_told_when_a_copy_gives_it_up(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let _limited = limited(&limits, limits::SESSION_TRANSFERS, 1).unwrap();
    let session = Arc::new(device.session().unwrap());
    let stalled = Stalled::new(&device, LONG).unwrap();
    let copier = Arc::clone(&session);
    let copying = asleep_in(libc::SYS_ioctl, move || copier.copy(0, 2048, 1)).unwrap();
    wait_for_waiting(&device, 1).unwrap();
    let poller = Arc::clone(&session);
    let poll = move || poller.poll(Interest::WRITABLE, PATIENCE);
    let polling = asleep_in(libc::SYS_ppoll, poll).unwrap();
    stalled.lift().unwrap();
    assert!(polling.join().unwrap().unwrap().writable);
    copying.join().unwrap().unwrap();
}

#[hil::test]
fn a_copy_that_times_out_gives_its_place_up(_: &mut Target) {
    let device = Device::first().unwrap();
    let limits = limits_of(&device).unwrap();
    let _limited = limited(&limits, limits::SESSION_TRANSFERS, 1).unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, Duration::from_millis(20)).unwrap();
    for _ in 0..3 {
        assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    }
    stalled.lift().unwrap();
    session.copy(0, 2048, 1).unwrap();
}

hil::main!();
