// SPDX-License-Identifier: MIT OR Apache-2.0

//! `/dev/dmacopyN` as a stream: open, read, write and poll.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dmacopy_client::{Counters, Device, Session, State};
use hil::Target;
use kernel_channels::{Interest, Readiness};
use on_target::{
    Errno, PATIENCE, Result, Stalled, in_thread, pattern, read_beyond, wait_for_waiting,
    write_beyond,
};

/// Long enough for a test to do what it wants before a stalled transfer times out.
const LONG: Duration = Duration::from_secs(30);
/// Long enough to fill a stream before its first transfer times out.
const MEDIUM: Duration = Duration::from_millis(700);
const SHORT: Duration = Duration::from_millis(50);
const NOW: Option<Duration> = Some(Duration::ZERO);

/// The most that one read or one write moves.
const MOST: usize = 16 << 10;

/// Reads until the stream ends.
fn read_all(session: &Session) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut bytes = vec![0; 4096];
    loop {
        match session.read(&mut bytes)? {
            0 => return Ok(all),
            length => all.extend_from_slice(&bytes[..length]),
        }
    }
}

/// Writes to a session that does not wait until it takes no more, and returns what it took.
fn write_until_full(session: &Session) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let bytes = pattern(all.len() as u64 + 1, 5000);
        match session.write(&bytes) {
            Ok(taken) => all.extend_from_slice(&bytes[..taken]),
            result if result.errno() == Some(libc::EAGAIN) => return Ok(all),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes to a session that waits for as long as it would not have to.
fn write_until_blocked(session: &Session) -> Result<()> {
    while session.poll(Interest::WRITABLE, NOW)?.writable {
        session.write(&pattern(9, 5000))?;
    }
    Ok(())
}

#[hil::test]
fn the_node_is_for_root_and_its_group(_: &mut Target) {
    let device = Device::first().unwrap();
    let metadata = fs::metadata(device.node()).unwrap();
    let owner = (metadata.uid(), metadata.gid());
    assert_eq!((metadata.mode() & 0o7777, owner), (0o660, (0, 0)));
}

#[hil::test]
fn seeking_returns_espipe(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut file = File::open(device.node()).unwrap();
    let error = file.seek(SeekFrom::Start(0)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
}

#[hil::test]
fn reading_and_writing_at_a_position_return_espipe(_: &mut Target) {
    let device = Device::first().unwrap();
    let options = File::options().read(true).write(true).to_owned();
    let file = options.open(device.node()).unwrap();
    let read = file.read_at(&mut [0; 16], 0).unwrap_err();
    assert_eq!(read.raw_os_error(), Some(libc::ESPIPE));
    let written = file.write_at(b"x", 0).unwrap_err();
    assert_eq!(written.raw_os_error(), Some(libc::ESPIPE));
}

#[hil::test]
fn an_empty_stream_reads_as_ended(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    assert_eq!(session.read(&mut [0; 16]).unwrap(), 0);
}

#[hil::test]
fn written_bytes_come_back_in_order(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let sent = pattern(1, 10_000);
    for piece in sent.chunks(777) {
        assert_eq!(session.write(piece).unwrap(), piece.len());
    }
    assert_eq!(read_all(&session).unwrap(), sent);
}

#[hil::test]
fn a_short_read_leaves_the_rest_for_the_next(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let sent = pattern(2, 1000);
    session.write(&sent).unwrap();
    let mut first = [0; 10];
    assert_eq!(session.read(&mut first).unwrap(), 10);
    assert_eq!(first, sent[..10]);
    assert_eq!(read_all(&session).unwrap(), sent[10..]);
}

#[hil::test]
fn writing_from_memory_that_cannot_be_read_returns_efault(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let errno = write_beyond(&session, &[], 100).errno();
    assert_eq!(errno, Some(libc::EFAULT));
    session.write(b"next").unwrap();
    assert_eq!(read_all(&session).unwrap(), b"next");
}

#[hil::test]
fn a_write_takes_no_more_than_can_be_read(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let sent = pattern(31, 300);
    // The kernel may stop a little before the edge.
    let taken = write_beyond(&session, &sent, 100).unwrap();
    assert!(taken > 0);
    assert_eq!(read_all(&session).unwrap(), sent[..taken]);
}

#[hil::test]
fn reading_into_memory_that_cannot_be_written_returns_efault_and_loses_nothing(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    session.write(b"kept").unwrap();
    let errno = read_beyond(&session, 0, 100).errno();
    assert_eq!(errno, Some(libc::EFAULT));
    assert_eq!(read_all(&session).unwrap(), b"kept");
}

#[hil::test]
fn a_read_gives_what_can_be_written_and_leaves_the_rest(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let sent = pattern(32, 1000);
    session.write(&sent).unwrap();
    // The kernel may stop a little before the edge.
    let read = read_beyond(&session, 300, 100).unwrap();
    assert!(!read.is_empty());
    let rest = read_all(&session).unwrap();
    assert_eq!([read, rest].concat(), sent);
}

#[hil::test]
fn one_call_moves_16_kib_at_most(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let sent = pattern(33, 2 * MOST);
    assert_eq!(session.write(&sent).unwrap(), MOST);
    assert_eq!(session.write(&sent[MOST..]).unwrap(), MOST);
    session.poll(Interest::READABLE, PATIENCE).unwrap();
    wait_for_waiting(&Device::first().unwrap(), 0).unwrap();
    let mut bytes = vec![0; 2 * MOST];
    let length = session.read(&mut bytes).unwrap();
    assert!(length <= MOST, "{length} bytes");
    assert!(bytes[..length] == sent[..length]);
}

#[hil::test]
fn a_stream_holds_64_kib(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.nonblocking_session().unwrap();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    assert_eq!(write_until_full(&session).unwrap().len(), 64 << 10);
}

#[hil::test]
fn a_stream_holds_64_writes(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.nonblocking_session().unwrap();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    for _ in 0..64 {
        assert_eq!(session.write(b"x").unwrap(), 1);
    }
    assert_eq!(session.write(b"x").errno(), Some(libc::EAGAIN));
    let full = session.poll(Interest::WRITABLE, NOW).unwrap();
    assert_eq!(full, Readiness::default());
}

#[hil::test]
fn more_than_fits_into_the_stream_goes_through_it(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let sent = pattern(3, 1 << 20);
    let received = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut all = Vec::new();
            let mut bytes = vec![0; 10_000];
            while all.len() < sent.len() {
                session.poll(Interest::READABLE, PATIENCE).unwrap();
                let length = session.read(&mut bytes).unwrap();
                all.extend_from_slice(&bytes[..length]);
            }
            all
        });
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let taken = session.write(rest).unwrap();
            rest = &rest[taken..];
        }
        reader.join().unwrap()
    });
    assert!(received == sent, "the stream changed the bytes");
}

#[hil::test]
fn transfers_and_bytes_are_counted_exactly(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let before = device.attributes().counters().unwrap();
    for length in [1, 100, 4097] {
        assert_eq!(session.write(&pattern(4, length)).unwrap(), length);
    }
    assert_eq!(read_all(&session).unwrap().len(), 4198);
    let expected = Counters {
        transfers: before.transfers + 3,
        bytes: before.bytes + 4198,
        errors: before.errors,
    };
    assert_eq!(device.attributes().counters().unwrap(), expected);
}

#[hil::test]
fn writing_nothing_transfers_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let before = device.attributes().counters().unwrap();
    assert_eq!(session.write(&[]).unwrap(), 0);
    assert_eq!(session.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(device.attributes().counters().unwrap(), before);
}

#[hil::test]
fn sessions_do_not_see_each_others_streams(_: &mut Target) {
    let device = Device::first().unwrap();
    let (one, other) = (device.session().unwrap(), device.session().unwrap());
    one.write(b"one").unwrap();
    other.write(b"other").unwrap();
    assert_eq!(read_all(&other).unwrap(), b"other");
    assert_eq!(read_all(&one).unwrap(), b"one");
}

#[hil::test]
fn reading_what_is_in_flight_returns_eagain_to_those_who_do_not_wait(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.nonblocking_session().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"in flight").unwrap();
    assert_eq!(session.read(&mut [0; 16]).errno(), Some(libc::EAGAIN));
    stalled.lift().unwrap();
    assert!(session.poll(Interest::READABLE, PATIENCE).unwrap().readable);
    assert_eq!(read_all(&session).unwrap(), b"in flight");
}

#[hil::test]
fn writing_to_a_full_stream_returns_eagain_and_loses_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.nonblocking_session().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let sent = write_until_full(&session).unwrap();
    assert!(!sent.is_empty());
    assert_eq!(
        session.poll(Interest::READABLE_OR_WRITABLE, NOW).unwrap(),
        Readiness::default()
    );
    stalled.lift().unwrap();
    let mut received = Vec::new();
    while received.len() < sent.len() {
        assert!(session.poll(Interest::READABLE, PATIENCE).unwrap().readable);
        let mut bytes = [0; 4096];
        let length = session.read(&mut bytes).unwrap();
        received.extend_from_slice(&bytes[..length]);
    }
    assert!(received == sent, "the stream changed the bytes");
    assert!(session.poll(Interest::WRITABLE, PATIENCE).unwrap().writable);
}

#[hil::test]
fn a_stream_is_readable_once_the_engine_is_done(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"x").unwrap();
    let in_flight = session.poll(Interest::READABLE, Some(SHORT)).unwrap();
    assert_eq!(in_flight, Readiness::default());
    stalled.lift().unwrap();
    let done = session.poll(Interest::READABLE, PATIENCE).unwrap();
    let expected = Readiness {
        readable: true,
        ..Readiness::default()
    };
    assert_eq!(done, expected);
}

#[hil::test]
fn a_new_stream_can_be_written(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    assert!(session.poll(Interest::WRITABLE, NOW).unwrap().writable);
}

#[hil::test]
fn a_reader_sleeps_until_the_engine_is_done(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"late").unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let start = Instant::now();
            let mut bytes = [0; 16];
            let length = session.read(&mut bytes).unwrap();
            (bytes[..length].to_vec(), start.elapsed())
        });
        thread::sleep(SHORT);
        assert!(!reader.is_finished());
        stalled.lift().unwrap();
        let (bytes, waited) = reader.join().unwrap();
        assert_eq!(bytes, b"late");
        assert!(waited < LONG / 2, "woken after {waited:?} only");
    });
}

#[hil::test]
fn reading_from_a_stalled_engine_returns_etimedout_once(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let before = device.attributes().counters().unwrap();
    let stalled = Stalled::new(&device, SHORT).unwrap();
    // The time begins with the transfer.
    let start = Instant::now();
    session.write(b"lost").unwrap();
    assert_eq!(session.read(&mut [0; 16]).errno(), Some(libc::ETIMEDOUT));
    assert!(
        start.elapsed() >= SHORT,
        "timed out after {:?}",
        start.elapsed()
    );
    assert_eq!(session.read(&mut [0; 16]).unwrap(), 0);
    stalled.lift().unwrap();

    let after = device.attributes().counters().unwrap();
    assert_eq!(after.errors, before.errors + 1);
    assert_eq!(after.bytes, before.bytes);
    session.write(b"found").unwrap();
    assert_eq!(read_all(&session).unwrap(), b"found");
}

#[hil::test]
fn all_writes_that_time_out_fail_one_read(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let before = device.attributes().counters().unwrap();
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    for piece in [b"lost", b"with", b"this"] {
        session.write(piece).unwrap();
    }
    wait_for_waiting(&device, 0).unwrap();
    assert_eq!(session.read(&mut [0; 16]).errno(), Some(libc::ETIMEDOUT));
    assert_eq!(session.read(&mut [0; 16]).unwrap(), 0);
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.errors, before.errors + 3);
}

#[hil::test]
fn who_only_polls_is_told_of_a_stalled_engine(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, SHORT).unwrap();
    let start = Instant::now();
    session.write(b"lost").unwrap();
    let found = session.poll(Interest::READABLE, PATIENCE).unwrap();
    assert!(found.readable, "{found}");
    assert!(
        start.elapsed() >= SHORT,
        "timed out after {:?}",
        start.elapsed()
    );
    assert_eq!(device.attributes().state().unwrap(), State::Stalled);
    assert_eq!(session.read(&mut [0; 16]).errno(), Some(libc::ETIMEDOUT));
    stalled.lift().unwrap();
    session.write(b"found").unwrap();
    assert_eq!(read_all(&session).unwrap(), b"found");
}

#[hil::test]
fn a_writer_to_a_full_stream_goes_on_when_a_reader_takes_a_failure(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let stalled = Stalled::new(&device, MEDIUM).unwrap();
    write_until_blocked(&session).unwrap();
    let (reader, writer) = (Arc::clone(&session), Arc::clone(&session));
    let reader = in_thread(move || reader.read(&mut [0; 16]).errno());
    thread::sleep(SHORT);
    let writer = in_thread(move || writer.write(b"next").map_err(|e| e.to_string()));
    thread::sleep(SHORT);
    assert!(writer.try_recv().is_err(), "the stream was not full");
    let (read, written) = (reader.recv_timeout(LONG / 3), writer.recv_timeout(LONG / 3));
    assert_eq!(read.unwrap(), Some(libc::ETIMEDOUT));
    assert_eq!(written.unwrap(), Ok(4));
    stalled.lift().unwrap();
}

#[hil::test]
fn a_writer_to_a_full_stream_that_nobody_reads_is_told_of_the_failure(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let stalled = Stalled::new(&device, MEDIUM).unwrap();
    write_until_blocked(&session).unwrap();
    let writer = Arc::clone(&session);
    let writer = in_thread(move || writer.write(b"next").errno());
    assert_eq!(
        writer.recv_timeout(LONG / 3).unwrap(),
        Some(libc::ETIMEDOUT)
    );
    stalled.lift().unwrap();
    // Who polls or reads is told too, since the bytes do not come.
    assert!(session.poll(Interest::READABLE, NOW).unwrap().readable);
    assert_eq!(session.read(&mut [0; 16]).errno(), Some(libc::ETIMEDOUT));
    session.write(b"found").unwrap();
    // What had not waited for that long when the engine went on has come through.
    let read = read_all(&session).unwrap();
    assert!(read.ends_with(b"found"), "{} bytes", read.len());
}

#[hil::test]
fn a_session_that_is_closed_in_flight_leaves_nothing_behind(_: &mut Target) {
    let device = Device::first().unwrap();
    let sessions = device.attributes().sessions().unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"abandoned").unwrap();
    let before = device.attributes().counters().unwrap();
    drop(session);
    stalled.lift().unwrap();

    assert_eq!(device.attributes().sessions().unwrap(), sessions);
    let session = device.session().unwrap();
    session.copy(0, 2048, 8).unwrap();
    let after = device.attributes().counters().unwrap();
    assert_eq!(
        after.bytes,
        before.bytes + 8,
        "the abandoned bytes were moved"
    );
}

hil::main!();
