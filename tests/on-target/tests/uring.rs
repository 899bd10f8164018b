// SPDX-License-Identifier: MIT OR Apache-2.0

//! The device by io_uring: streams, polling, and doorbells that no thread waits for.
//!
//! No room of its own: it is another way into those of character devices and requests.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use dmacopy_client::{Coalescing, Device, Rings, Session};
use dmacopy_uapi::ioctl::{self, Submit};
use dmacopy_uapi::names::attribute;
use dmacopy_uapi::ring::index;
use hil::Target;
use kernel_channels::Interest;
use kernel_channels::uring::{Completion, Ring};
use nix::sys::signal::Signal::SIGKILL;
use on_target::{
    Client, PATIENCE, Result, Stalled, Unbound, command, nonsense, nop, pattern, pop_all, role,
    small_copy, submit, wait_until,
};
use zerocopy::IntoBytes as _;

/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_millis(500);

struct Opened {
    device: Device,
    session: Session,
    rings: Rings,
    ring: Ring,
}

fn opened() -> Result<Opened> {
    let device = Device::first()?;
    let session = device.session()?;
    let rings = session.rings()?;
    Ok(Opened {
        device,
        session,
        rings,
        ring: Ring::new(64)?,
    })
}

/// The next completion, which has to have this token.
fn next(ring: &mut Ring, token: u64) -> Result<Completion> {
    let mut found = ring.wait(1, PATIENCE)?;
    match (found.pop(), found.pop()) {
        (Some(completion), None) if completion.token == token => Ok(completion),
        other => Err(format!("instead of {token}: {other:?}").into()),
    }
}

fn nothing(ring: &mut Ring) -> bool {
    ring.wait(1, Some(SHORT)).unwrap().is_empty()
}

fn send(opened: &mut Opened, operation: u32, argument: Submit) -> std::result::Result<u32, i32> {
    let bytes = argument.as_bytes().try_into().unwrap();
    command(&mut opened.ring, &opened.session, operation, bytes, 99).unwrap();
    next(&mut opened.ring, 99).unwrap().result
}

#[hil::test]
fn the_ring_itself_reads_polls_and_cancels(_: &mut Target) {
    let mut ring = Ring::new(4).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    ring.read(&far, vec![0; 8], 1).unwrap();
    assert!(nothing(&mut ring));
    ring.write(&near, b"four".to_vec(), 2).unwrap();
    let mut found = ring.wait(2, PATIENCE).unwrap();
    found.sort_by_key(|completion| completion.token);
    assert_eq!(found[0].result, Ok(4));
    assert_eq!(found[0].buffer[..4], *b"four");
    assert_eq!(found[1].result, Ok(4));
    ring.poll(&far, Interest::READABLE, 3).unwrap();
    ring.cancel(3, 4).unwrap();
    let mut found = ring.wait(2, PATIENCE).unwrap();
    found.sort_by_key(|completion| completion.token);
    assert_eq!(found[0].result, Err(libc::ECANCELED));
    ring.cancel(3, 5).unwrap();
    assert_eq!(next(&mut ring, 5).unwrap().result, Err(libc::ENOENT));
}

#[hil::test]
fn a_stream_is_written_and_read(_: &mut Target) {
    let mut it = opened().unwrap();
    let before = it.device.attributes().counters().unwrap();
    let sent = pattern(31, 5003);
    it.ring.write(&it.session, sent.clone(), 1).unwrap();
    assert_eq!(next(&mut it.ring, 1).unwrap().result, Ok(5003));
    it.ring.read(&it.session, vec![0; 8192], 2).unwrap();
    let read = next(&mut it.ring, 2).unwrap();
    assert_eq!(read.result, Ok(5003));
    assert!(read.buffer[..5003] == sent);
    let after = it.device.attributes().counters().unwrap();
    assert_eq!(after.bytes - before.bytes, 5003);
}

#[hil::test]
fn a_read_waits_for_what_is_on_its_way_without_a_thread(_: &mut Target) {
    let mut it = opened().unwrap();
    let stalled = Stalled::new(&it.device, LONG).unwrap();
    it.session.write(b"on its way").unwrap();
    it.ring.read(&it.session, vec![0; 64], 1).unwrap();
    assert!(nothing(&mut it.ring));
    // Nobody waits in its place either.
    assert_eq!(workers().unwrap(), 0);
    stalled.lift().unwrap();
    let read = next(&mut it.ring, 1).unwrap();
    assert_eq!(read.result, Ok(10));
    assert_eq!(read.buffer[..10], *b"on its way");
}

/// Threads of the kernel that make calls which wait, in place of this process.
fn workers() -> Result<usize> {
    let mut count = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let name = std::fs::read_to_string(thread?.path().join("comm"))?;
        count += usize::from(name.starts_with("iou-wrk"));
    }
    Ok(count)
}

#[hil::test]
fn a_write_waits_for_room_without_a_thread(_: &mut Target) {
    let mut it = opened().unwrap();
    let stalled = Stalled::new(&it.device, LONG).unwrap();
    let now = Some(Duration::ZERO);
    while it.session.poll(Interest::WRITABLE, now).unwrap().writable {
        it.session.write(&[0; 5000]).unwrap();
    }
    it.ring.write(&it.session, b"last".to_vec(), 1).unwrap();
    assert!(nothing(&mut it.ring));
    assert_eq!(workers().unwrap(), 0);
    stalled.lift().unwrap();
    it.session.read(&mut [0; 16384]).unwrap();
    assert_eq!(next(&mut it.ring, 1).unwrap().result, Ok(4));
}

#[hil::test]
fn a_read_that_must_not_wait_is_refused_by_the_kernel_s_flag(_: &mut Target) {
    let it = opened().unwrap();
    let _stalled = Stalled::new(&it.device, LONG).unwrap();
    it.session.write(b"on its way").unwrap();
    let read = on_target::read_without_waiting(&it.session, &mut [0; 8]);
    assert_eq!(read, Err(nix::errno::Errno::EAGAIN));
}

#[hil::test]
fn polling_ends_when_there_is_a_completion(_: &mut Target) {
    let mut it = opened().unwrap();
    it.ring.poll(&it.session, Interest::READABLE, 1).unwrap();
    assert!(nothing(&mut it.ring));
    submit(&mut it.rings, &it.session, &[nop(5)], 0).unwrap();
    let found = next(&mut it.ring, 1).unwrap().result.unwrap();
    assert!(found & u32::from(libc::POLLIN.unsigned_abs()) != 0);
    assert_eq!(pop_all(&mut it.rings).unwrap(), [(5, None)]);
}

#[hil::test]
fn a_command_takes_a_batch(_: &mut Target) {
    let mut it = opened().unwrap();
    for batch in [&[nop(1), nonsense(2), nop(3)][..], &[], &[nop(4)]] {
        for descriptor in batch {
            assert!(it.rings.push(descriptor).unwrap());
        }
        it.rings.submit_by(&mut it.ring, &it.session, 0, 7).unwrap();
        let taken = next(&mut it.ring, 7).unwrap().result;
        assert_eq!(taken, Ok(u32::try_from(batch.len()).unwrap()));
    }
    let expected = [(1, None), (2, Some(libc::EINVAL)), (3, None), (4, None)];
    assert_eq!(pop_all(&mut it.rings).unwrap(), expected);
}

#[hil::test]
fn a_command_takes_no_more_than_it_says(_: &mut Target) {
    let mut it = opened().unwrap();
    for n in 0..5 {
        it.rings.push(&nop(n)).unwrap();
    }
    it.rings.publish().unwrap();
    let argument = Submit {
        count: 2,
        ..Submit::default()
    };
    assert_eq!(send(&mut it, ioctl::SUBMIT, argument), Ok(2));
    assert_eq!(pop_all(&mut it.rings).unwrap().len(), 2);
}

#[hil::test]
fn a_command_waits_for_completions_while_its_thread_does_not(_: &mut Target) {
    let mut it = opened().unwrap();
    let stalled = Stalled::new(&it.device, LONG).unwrap();
    let batch = [small_copy(1), small_copy(2), small_copy(3)];
    for descriptor in &batch {
        it.rings.push(descriptor).unwrap();
    }
    it.rings.submit_by(&mut it.ring, &it.session, 2, 7).unwrap();
    assert!(nothing(&mut it.ring));
    assert_eq!(workers().unwrap(), 0);
    stalled.lift().unwrap();
    assert_eq!(next(&mut it.ring, 7).unwrap().result, Ok(3));
    assert!(pop_all(&mut it.rings).unwrap().len() >= 2);
}

#[hil::test]
fn a_command_waits_for_no_more_than_there_will_be(_: &mut Target) {
    let mut it = opened().unwrap();
    it.session
        .coalesce(Coalescing {
            count: 100,
            delay: Duration::from_secs(1),
        })
        .unwrap();
    let start = Instant::now();
    it.rings.push(&small_copy(1)).unwrap();
    it.rings
        .submit_by(&mut it.ring, &it.session, 50, 7)
        .unwrap();
    assert_eq!(next(&mut it.ring, 7).unwrap().result, Ok(1));
    let argument = Submit {
        wait: 50,
        ..Submit::default()
    };
    assert_eq!(send(&mut it, ioctl::SUBMIT, argument), Ok(0));
    assert!(start.elapsed() < SOON, "it is not kept waiting");
}

#[hil::test]
fn commands_wait_for_their_own_number_of_completions(_: &mut Target) {
    let mut it = opened().unwrap();
    let stalled = Stalled::new(&it.device, LONG).unwrap();
    // The first of them is done at once.
    for descriptor in [nop(0), small_copy(1), small_copy(2), small_copy(3)] {
        it.rings.push(&descriptor).unwrap();
    }
    for wait in [4, 3, 2, 1] {
        it.rings
            .submit_by(&mut it.ring, &it.session, wait, u64::from(wait))
            .unwrap();
    }
    assert_eq!(next(&mut it.ring, 1).unwrap().result, Ok(0));
    assert!(nothing(&mut it.ring));
    stalled.lift().unwrap();
    // The engine ends one after the other, so each command has another moment at which it ends.
    let found = it.ring.wait(3, PATIENCE).unwrap();
    let results: Vec<_> = found.iter().map(|c| (c.token, c.result)).collect();
    // The first has taken all.
    assert_eq!(results, [(2, Ok(0)), (3, Ok(0)), (4, Ok(4))]);
}

#[hil::test]
fn a_command_ends_although_its_completion_comes_while_it_is_issued(_: &mut Target) {
    let mut it = opened().unwrap();
    let attributes = it.device.attributes();
    let _timeout = attributes
        .directory()
        .restore_later(attribute::TIMEOUT_MS)
        .unwrap();
    // No copy is late here, however little time the processor has.
    attributes.set_timeout(LONG).unwrap();
    for lap in 0..300 {
        assert!(it.rings.push(&small_copy(lap)).unwrap());
        it.rings
            .submit_by(&mut it.ring, &it.session, 1, lap)
            .unwrap();
        assert_eq!(next(&mut it.ring, lap).unwrap().result, Ok(1));
        assert_eq!(pop_all(&mut it.rings).unwrap(), [(lap, None)]);
    }
}

#[hil::test]
fn a_command_that_nobody_wants_any_more_is_cancelled(_: &mut Target) {
    let mut it = opened().unwrap();
    let stalled = Stalled::new(&it.device, LONG).unwrap();
    it.rings.push(&small_copy(1)).unwrap();
    it.rings.submit_by(&mut it.ring, &it.session, 1, 7).unwrap();
    it.rings.submit_by(&mut it.ring, &it.session, 1, 8).unwrap();
    assert!(nothing(&mut it.ring));
    // The kernel cancels what a ring has under way when that is closed.
    drop(it.ring);
    stalled.lift().unwrap();
    let readable = it.session.poll(Interest::READABLE, PATIENCE).unwrap();
    assert!(readable.readable);
    // What it has taken is done all the same.
    assert_eq!(pop_all(&mut it.rings).unwrap(), [(1, None)]);
    let device = it.device;
    drop((it.session, it.rings));
    // The command keeps the session until it has been cancelled.
    let sessions = || Ok(device.attributes().sessions()?);
    wait_until(sessions, |sessions| *sessions == 0).unwrap();
}

#[hil::test]
fn a_command_ends_when_the_device_goes(_: &mut Target) {
    let mut it = opened().unwrap();
    let _stalled = Stalled::new(&it.device, LONG).unwrap();
    it.rings.push(&small_copy(1)).unwrap();
    for token in [7, 8] {
        it.rings
            .submit_by(&mut it.ring, &it.session, 1, token)
            .unwrap();
    }
    it.ring.poll(&it.session, Interest::NONE, 9).unwrap();
    let unbound = Unbound::new().unwrap();
    let mut found = it.ring.wait(3, PATIENCE).unwrap();
    found.sort_by_key(|completion| completion.token);
    assert_eq!(found[0].result, Ok(1), "it had taken one");
    assert_eq!(found[1].result, Ok(0), "there is no more to come");
    assert!(found[2].result.unwrap() & u32::from(libc::POLLHUP.unsigned_abs()) != 0);
    it.ring.read(&it.session, vec![0; 8], 10).unwrap();
    let gone = Err(libc::ENODEV);
    assert_eq!(next(&mut it.ring, 10).unwrap().result, gone);
    assert_eq!(send(&mut it, ioctl::SUBMIT, Submit::default()), gone);
    assert_eq!(send(&mut it, 0, Submit::default()), gone);
    unbound.rebind().unwrap();
}

#[hil::test]
fn too_many_commands_are_refused(_: &mut Target) {
    let mut it = opened().unwrap();
    let stalled = Stalled::new(&it.device, LONG).unwrap();
    it.rings.push(&small_copy(1)).unwrap();
    it.rings.submit(&it.session, 0).unwrap();
    for token in 0..64 {
        it.rings
            .submit_by(&mut it.ring, &it.session, 1, token)
            .unwrap();
    }
    assert!(nothing(&mut it.ring));
    it.rings
        .submit_by(&mut it.ring, &it.session, 1, 64)
        .unwrap();
    assert_eq!(next(&mut it.ring, 64).unwrap().result, Err(libc::EBUSY));
    stalled.lift().unwrap();
    assert_eq!(it.ring.wait(64, PATIENCE).unwrap().len(), 64);
}

#[hil::test]
fn an_operation_that_is_none_is_refused(_: &mut Target) {
    let mut it = opened().unwrap();
    for operation in [0, ioctl::COPY, ioctl::SUBMIT | 0xff, u32::MAX] {
        let sent = send(&mut it, operation, Submit::default());
        assert_eq!(sent, Err(libc::ENOTTY), "{operation:#x}");
    }
}

#[hil::test]
fn an_operation_of_another_size_is_refused(_: &mut Target) {
    let mut it = opened().unwrap();
    for size in [0, 8, 24] {
        let operation = on_target::with_size(ioctl::SUBMIT, size);
        let sent = send(&mut it, operation, Submit::default());
        assert_eq!(sent, Err(libc::EINVAL), "{size}");
    }
}

#[hil::test]
fn a_command_with_a_flag_is_refused(_: &mut Target) {
    let mut it = opened().unwrap();
    let argument = Submit {
        flags: 1,
        ..Submit::default()
    };
    assert_eq!(send(&mut it, ioctl::SUBMIT, argument), Err(libc::EINVAL));
}

#[hil::test]
fn a_command_that_says_what_it_has_taken_is_refused(_: &mut Target) {
    let mut it = opened().unwrap();
    let argument = Submit {
        taken: 1,
        ..Submit::default()
    };
    assert_eq!(send(&mut it, ioctl::SUBMIT, argument), Err(libc::EINVAL));
}

// Where things are in a `struct io_uring_sqe`, include/uapi/linux/io_uring.h.
const FLAGS: usize = 1;
const ADDRESS: usize = 16;
const LENGTH: usize = 24;
const COMMAND_FLAGS: usize = 28;
const FILE_INDEX: usize = 44;
/// `IOSQE_BUFFER_SELECT`
const BUFFER_SELECT: u8 = 1 << 5;
/// `IORING_URING_CMD_FIXED`
const FIXED: u8 = 1;
/// `IORING_URING_CMD_MULTISHOT`
const MULTISHOT: u8 = 2;

/// The result of a good command of whose entry some bytes are others.
fn sent_with(bytes: &[(usize, u8)]) -> Result<i32> {
    Ok(on_target::command_with(&opened()?.session, bytes)?)
}

#[hil::test]
fn a_command_with_nothing_else_in_its_entry_is_good(_: &mut Target) {
    assert_eq!(sent_with(&[]).unwrap(), 0);
}

#[hil::test]
fn a_command_with_an_address_is_refused(_: &mut Target) {
    for byte in [ADDRESS, ADDRESS + 7] {
        assert_eq!(sent_with(&[(byte, 1)]).unwrap(), -libc::EINVAL);
    }
}

#[hil::test]
fn a_command_with_a_length_is_refused(_: &mut Target) {
    for byte in [LENGTH, LENGTH + 3] {
        assert_eq!(sent_with(&[(byte, 1)]).unwrap(), -libc::EINVAL);
    }
}

#[hil::test]
fn a_command_with_the_index_of_a_file_is_refused(_: &mut Target) {
    for byte in [FILE_INDEX, FILE_INDEX + 3] {
        assert_eq!(sent_with(&[(byte, 1)]).unwrap(), -libc::EINVAL);
    }
}

#[hil::test]
fn a_command_with_a_registered_buffer_is_refused(_: &mut Target) {
    let refused = sent_with(&[(COMMAND_FLAGS, FIXED)]).unwrap();
    assert_eq!(refused, -libc::EINVAL);
}

#[hil::test]
fn a_command_that_is_to_be_completed_again_and_again_is_refused(_: &mut Target) {
    // The kernel itself wants buffers to be provided for such a one.
    let refused = sent_with(&[(COMMAND_FLAGS, MULTISHOT), (FLAGS, BUFFER_SELECT)]).unwrap();
    assert_eq!(refused, -libc::EINVAL);
}

#[hil::test]
fn a_command_on_rings_that_are_none_is_refused(_: &mut Target) {
    let mut it = opened().unwrap();
    let memory = it.rings.memory();
    memory
        .store_release(index::SUBMISSION_TAIL, 1 << 30)
        .unwrap();
    let sent = send(&mut it, ioctl::SUBMIT, Submit::default());
    assert_eq!(sent, Err(libc::EINVAL));
}

#[hil::test]
fn a_command_whose_rings_become_none_ends(_: &mut Target) {
    let mut it = opened().unwrap();
    let stalled = Stalled::new(&it.device, LONG).unwrap();
    for descriptor in [small_copy(1), small_copy(2)] {
        it.rings.push(&descriptor).unwrap();
    }
    it.rings.submit_by(&mut it.ring, &it.session, 2, 7).unwrap();
    let memory = it.rings.memory();
    memory
        .store_release(index::COMPLETION_HEAD, 1 << 30)
        .unwrap();
    stalled.lift().unwrap();
    assert_eq!(next(&mut it.ring, 7).unwrap().result, Ok(2));
}

/// Leaves reads, polls and commands under way.
fn be_killed() -> Result<()> {
    let mut it = opened()?;
    let _stalled = Stalled::new(&it.device, LONG)?;
    it.session.write(b"on its way")?;
    it.ring.read(&it.session, vec![0; 64], 1)?;
    it.ring.poll(&it.session, Interest::NONE, 2)?;
    it.rings.push(&small_copy(1))?;
    it.rings.submit_by(&mut it.ring, &it.session, 1, 3)?;
    it.rings.submit_by(&mut it.ring, &it.session, 1, 4)?;
    let role = role().ok_or("no role")?;
    role.ready()?;
    role.wait()
}

#[hil::test]
fn nothing_is_left_of_a_client_that_is_killed(_: &mut Target) {
    if role().is_some() {
        return be_killed().unwrap();
    }
    let device = Device::first().unwrap();
    // Takes back what the client, being killed, does not.
    let stalled = Stalled::new(&device, LONG).unwrap();
    for _ in 0..3 {
        let mut client = Client::start("nothing_is_left_of_a_client_that_is_killed", "").unwrap();
        client.signal(SIGKILL).unwrap();
        client.end().unwrap();
        let sessions = || Ok(device.attributes().sessions()?);
        wait_until(sessions, |sessions| *sessions == 0).unwrap();
    }
    stalled.lift().unwrap();
    let mut it = opened().unwrap();
    submit(&mut it.rings, &it.session, &[small_copy(1)], 1).unwrap();
}

#[hil::test]
fn commands_are_cancelled_while_they_are_completed(_: &mut Target) {
    for lap in 0..50 {
        let mut it = opened().unwrap();
        for n in 0..4 {
            it.rings.push(&small_copy(n)).unwrap();
        }
        for wait in 1..=4 {
            it.rings
                .submit_by(&mut it.ring, &it.session, wait, u64::from(wait))
                .unwrap();
        }
        thread::sleep(Duration::from_micros(lap * 10));
        drop(it.ring);
    }
    let device = Device::first().unwrap();
    let sessions = || Ok(device.attributes().sessions()?);
    wait_until(sessions, |sessions| *sessions == 0).unwrap();
}

hil::main!();
