// SPDX-License-Identifier: MIT OR Apache-2.0

//! The session's buffer in the program's memory, and the mappings that the driver refuses.

use dmacopy_client::{Device, Session};
use dmacopy_uapi::ring;
use hil::Target;
use kernel_channels::chardev::{Flags, Node};
use kernel_channels::mmap::{Mapping, View};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use on_target::{
    Errno, Refusable, Result, child_reads, page_bytes, pattern, try_enlarging,
    try_making_executable, try_mapping,
};

/// The end of what can be mapped of a session: the buffer, and whole pages of rings.
fn area(session: &Session) -> Result<u64> {
    let info = session.info()?;
    let rings = u64::try_from(ring::bytes(info.ring_entries))?;
    Ok(info.rings_offset + rings.next_multiple_of(page_bytes()?))
}

/// A new session with the size of its buffer.
fn session() -> Result<(Session, usize)> {
    let session = Device::first()?.session()?;
    let bytes = usize::try_from(session.info()?.buffer_bytes)?;
    Ok((session, bytes))
}

#[hil::test]
fn a_new_buffer_is_zero(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let content = session.buffer().unwrap().copy_to_vec(0, bytes).unwrap();
    assert!(content.iter().all(|byte| *byte == 0));
}

#[hil::test]
fn a_buffer_that_another_session_has_left_is_zero(_: &mut Target) {
    for _ in 0..8 {
        let (session, bytes) = session().unwrap();
        let mut buffer = session.buffer().unwrap();
        let content = buffer.copy_to_vec(0, bytes).unwrap();
        assert!(content.iter().all(|byte| *byte == 0));
        buffer.fill(0, bytes, 0xff).unwrap();
    }
}

#[hil::test]
fn the_engine_and_the_program_see_the_same_memory(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let mut buffer = session.buffer().unwrap();
    let sent = pattern(6, bytes / 2);
    buffer.write(0, &sent).unwrap();
    let half = (bytes / 2) as u64;
    session.copy(0, half, half).unwrap();
    let moved = buffer.copy_to_vec(bytes / 2, bytes / 2).unwrap();
    assert!(moved == sent, "the engine moved other bytes");
}

#[hil::test]
fn two_views_of_one_session_share_their_memory(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let mut one = session.buffer().unwrap();
    let other = session.buffer().unwrap();
    one.write(bytes - 4, b"seen").unwrap();
    assert_eq!(other.copy_to_vec(bytes - 4, 4).unwrap(), b"seen");
}

#[hil::test]
fn sessions_do_not_share_their_memory(_: &mut Target) {
    let (one, bytes) = session().unwrap();
    let (other, _) = session().unwrap();
    one.buffer().unwrap().fill(0, bytes, 0x5a).unwrap();
    let content = other.buffer().unwrap().copy_to_vec(0, bytes).unwrap();
    assert!(content.iter().all(|byte| *byte == 0));
}

#[hil::test]
fn a_view_outlives_its_session(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let mut buffer = session.buffer().unwrap();
    drop(session);
    let sent = pattern(7, bytes);
    buffer.write(0, &sent).unwrap();
    assert!(buffer.copy_to_vec(0, bytes).unwrap() == sent);
}

#[hil::test]
fn a_part_of_the_buffer_can_be_mapped(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let page = page_bytes().unwrap();
    session.buffer().unwrap().write(bytes - 4, b"last").unwrap();
    let length = usize::try_from(page).unwrap();
    let last_page = Mapping::map(&session, bytes as u64 - page, length).unwrap();
    assert_eq!(last_page.copy_to_vec(length - 4, 4).unwrap(), b"last");
}

#[hil::test]
fn a_private_mapping_returns_einval(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let result = try_mapping(&session, Refusable::Private, bytes);
    assert_eq!(result.errno(), Some(libc::EINVAL));
}

#[hil::test]
fn an_executable_mapping_is_refused(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let errno = try_mapping(&session, Refusable::Executable, bytes).errno();
    let refusals = [libc::EACCES, libc::EPERM, libc::EINVAL].map(Some);
    assert!(refusals.contains(&errno), "{errno:?}");
}

#[hil::test]
fn a_mapping_cannot_be_made_executable(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let errno = try_making_executable(&session, bytes).errno();
    assert_eq!(errno, Some(libc::EACCES));
}

#[hil::test]
fn a_file_for_reading_can_be_viewed_and_not_mapped_for_writing(_: &mut Target) {
    let device = Device::first().unwrap();
    let bytes = usize::try_from(device.attributes().buffer_bytes().unwrap()).unwrap();
    let reading = Node::open(device.node(), Flags::READ).unwrap();
    let view = View::map(&reading, 0, bytes).unwrap();
    let content = view.copy_to_vec(0, bytes).unwrap();
    assert!(content.iter().all(|byte| *byte == 0));
    let errno = Mapping::map(&reading, 0, bytes).errno();
    assert_eq!(errno, Some(libc::EACCES));
}

#[hil::test]
fn a_view_sees_what_the_mapping_of_the_same_session_writes(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    let mut buffer = session.buffer().unwrap();
    let view = View::map(&session, 0, bytes).unwrap();
    let sent = pattern(8, bytes);
    buffer.write(0, &sent).unwrap();
    assert!(view.copy_to_vec(0, bytes).unwrap() == sent);
}

#[hil::test]
fn a_child_of_fork_does_not_inherit_the_mapping(_: &mut Target) {
    let (session, _) = session().unwrap();
    let buffer = session.buffer().unwrap();
    buffer.read(0, &mut [0]).unwrap();
    let end = child_reads(&buffer).unwrap();
    assert!(
        matches!(end, WaitStatus::Signaled(_, Signal::SIGSEGV, _)),
        "{end:?}"
    );
    buffer.read(0, &mut [0]).unwrap();
}

#[hil::test]
fn a_mapping_longer_than_buffer_and_rings_returns_einval(_: &mut Target) {
    let (session, _) = session().unwrap();
    let bytes = usize::try_from(area(&session).unwrap()).unwrap();
    Mapping::map(&session, 0, bytes).unwrap();
    let result = Mapping::map(&session, 0, bytes + 1);
    assert_eq!(result.errno(), Some(libc::EINVAL));
}

#[hil::test]
fn a_mapping_that_begins_in_the_buffer_and_ends_outside_returns_einval(_: &mut Target) {
    let (session, _) = session().unwrap();
    let bytes = usize::try_from(area(&session).unwrap()).unwrap();
    let result = Mapping::map(&session, page_bytes().unwrap(), bytes);
    assert_eq!(result.errno(), Some(libc::EINVAL));
}

#[hil::test]
fn a_mapping_that_begins_after_buffer_and_rings_returns_einval(_: &mut Target) {
    let (session, _) = session().unwrap();
    let length = usize::try_from(page_bytes().unwrap()).unwrap();
    let result = Mapping::map(&session, area(&session).unwrap(), length);
    assert_eq!(result.errno(), Some(libc::EINVAL));
}

#[hil::test]
fn a_mapping_cannot_be_enlarged(_: &mut Target) {
    let (session, bytes) = session().unwrap();
    // There would be enough of the buffer.
    let errno = try_enlarging(&session, bytes / 2).errno();
    assert_eq!(errno, Some(libc::EFAULT));
}

hil::main!();
