// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cached buffers of a session: their numbers, transfers in and between them, the passing from
//! one side to the other, and mappings that outlive them.
//!
//! No room of its own: what is tested here is where `ioctl` and `mmap` meet.

use dmacopy_client::{
    Buffer, BufferNumber, Descriptor, Device, Direction, Place, RingCompletion, Session,
};
use dmacopy_uapi::ioctl::{self, CreateBuffer, FreeBuffer, Sync, map_offset};
use dmacopy_uapi::ring::{COPY, FILL, NOP};
use hil::Target;
use kernel_channels::mmap::Mapping;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use on_target::{
    Errno, PATIENCE, Result, Stalled, child_reads, page_bytes, pattern, spliced, wait_for_waiting,
};
use zerocopy::IntoBytes;

const BYTES: u64 = 64 << 10;
const LENGTH: usize = BYTES as usize;
const FIRST: BufferNumber = BufferNumber::FIRST;

fn session() -> Result<Session> {
    Ok(Device::first()?.session()?)
}

/// A new cached buffer and a view of it.
fn cached(session: &Session) -> Result<(BufferNumber, Buffer)> {
    let number = session.create_buffer(BYTES)?;
    Ok((number, session.map_buffer(number, LENGTH)?))
}

/// Copies by `COPY`, and passes the bytes to the engine before and to this program after that.
fn copy(session: &Session, source: Place, destination: Place, length: u64) -> Result<()> {
    let (from, to) = (source.offset, destination.offset);
    session.sync_for_device(source.buffer, from..from + length, Direction::ToDevice)?;
    let written = to..to + length;
    let both = Direction::Bidirectional;
    session.sync_for_device(destination.buffer, written.clone(), both)?;
    session.copy_between(source, destination, length)?;
    session.sync_for_cpu(destination.buffer, written, Direction::FromDevice)?;
    Ok(())
}

fn at(buffer: BufferNumber, offset: u64) -> Place {
    Place { buffer, offset }
}

/// Sends a structure by a request's bare code; the error number, if it failed.
fn refusal<T: IntoBytes + zerocopy::FromBytes>(
    session: &Session,
    code: u32,
    mut argument: T,
) -> Option<i32> {
    session.request(code, Some(argument.as_mut_bytes())).errno()
}

#[hil::test]
fn numbers_are_the_lowest_that_are_free(_: &mut Target) {
    let session = session().unwrap();
    let numbers = |count: usize| -> Vec<u8> {
        let made = (0..count).map(|_| session.create_buffer(BYTES).unwrap().get());
        made.collect()
    };
    assert_eq!(numbers(3), [1, 2, 3]);
    session.free_buffer(2.into()).unwrap();
    assert_eq!(
        session.map_buffer(2.into(), LENGTH).errno(),
        Some(libc::EINVAL)
    );
    assert_eq!(numbers(2), [2, 4]);
    // Another session has numbers of its own.
    let other = self::session().unwrap();
    assert_eq!(other.create_buffer(BYTES).unwrap().get(), 1);
}

#[hil::test]
fn what_offers_buffers_says_so(_: &mut Target) {
    let info = session().unwrap().info().unwrap();
    let offered = ioctl::CAP_BUFFERS | ioctl::CAP_DMA_BUF;
    assert_eq!(info.capabilities & offered, offered);
}

#[hil::test]
fn a_cached_buffer_is_zero_whoever_had_its_memory(_: &mut Target) {
    for _ in 0..8 {
        let session = session().unwrap();
        let (_, mut buffer) = cached(&session).unwrap();
        let content = buffer.copy_to_vec(0, LENGTH).unwrap();
        assert!(content.iter().all(|byte| *byte == 0));
        buffer.fill(0, LENGTH, 0xff).unwrap();
    }
}

#[hil::test]
fn bytes_move_between_buffers_and_within_them(_: &mut Target) {
    let session = session().unwrap();
    let (one, mut one_view) = cached(&session).unwrap();
    let (other, other_view) = cached(&session).unwrap();
    let mut first = session.buffer().unwrap();

    // Over the ends of pages, from and to places that fit no word.
    let sent = pattern(31, 10_007);
    one_view.write(4091, &sent).unwrap();
    copy(&session, at(one, 4091), at(other, 8197), 10_007).unwrap();
    assert!(other_view.copy_to_vec(8197, 10_007).unwrap() == sent);
    copy(&session, at(other, 8197), at(FIRST, 3), 10_007).unwrap();
    assert!(first.copy_to_vec(3, 10_007).unwrap() == sent);
    copy(&session, at(other, 8197), at(other, 40_001), 10_007).unwrap();
    assert!(other_view.copy_to_vec(40_001, 10_007).unwrap() == sent);

    let sent = pattern(32, LENGTH);
    first.write(0, &sent).unwrap();
    copy(&session, at(FIRST, 0), at(one, 0), BYTES).unwrap();
    assert!(one_view.copy_to_vec(0, LENGTH).unwrap() == sent);
    // What was not to be moved stays.
    let around = other_view.copy_to_vec(0, 8197).unwrap();
    assert!(around.iter().all(|byte| *byte == 0));
    assert_eq!(other_view.copy_to_vec(18_204, 1).unwrap(), [0]);
}

#[hil::test]
fn descriptors_name_buffers(_: &mut Target) {
    let session = session().unwrap();
    let (one, view) = cached(&session).unwrap();
    let (other, other_view) = cached(&session).unwrap();
    let fill = Descriptor {
        opcode: FILL,
        destination_buffer: one.get(),
        length: 5003,
        source: u64::from_le_bytes(*b"abcdefgh"),
        destination: 4093,
        user_data: 1,
        ..Descriptor::default()
    };
    let copy = Descriptor {
        opcode: COPY,
        source_buffer: one.get(),
        destination_buffer: other.get(),
        source: 4093,
        destination: 9,
        user_data: 2,
        ..fill
    };
    let back = Descriptor {
        source_buffer: other.get(),
        destination_buffer: FIRST.get(),
        source: 9,
        destination: 0,
        user_data: 3,
        ..copy
    };
    let results = submit(&session, &[fill, copy, back]).unwrap();
    assert_eq!(results, [(1, None), (2, None), (3, None)]);
    for number in [one, other] {
        let all = Direction::Bidirectional;
        session.sync_for_cpu(number, 0..BYTES, all).unwrap();
    }
    let expected: Vec<_> = b"abcdefgh".iter().copied().cycle().take(5003).collect();
    assert!(view.copy_to_vec(4093, 5003).unwrap() == expected);
    assert!(other_view.copy_to_vec(9, 5003).unwrap() == expected);
    let first = session.buffer().unwrap();
    assert!(first.copy_to_vec(0, 5003).unwrap() == expected);
    assert_eq!(view.copy_to_vec(4092, 1).unwrap(), [0]);
    assert_eq!(view.copy_to_vec(9096, 1).unwrap(), [0]);
}

/// Submits descriptors, and what they ended with.
fn submit(session: &Session, descriptors: &[Descriptor]) -> Result<Vec<(u64, Option<i32>)>> {
    let mut rings = session.rings()?;
    for descriptor in descriptors {
        assert!(rings.push(descriptor)?, "the ring is full");
    }
    rings.submit(session, u32::try_from(descriptors.len())?)?;
    let mut results = Vec::new();
    while let Some(RingCompletion { user_data, errno }) = rings.pop()? {
        results.push((user_data, errno));
    }
    Ok(results)
}

#[hil::test]
fn each_end_of_a_copy_lies_within_its_buffer(_: &mut Target) {
    let session = session().unwrap();
    let small = session.create_buffer(page_bytes().unwrap()).unwrap();
    let page = page_bytes().unwrap();
    let (large, mut view) = cached(&session).unwrap();
    let sent = pattern(33, LENGTH);
    view.write(0, &sent).unwrap();
    let errno = |source, destination, length| {
        let result = session.copy_between(source, destination, length);
        result.errno()
    };
    let invalid = Some(libc::EINVAL);
    assert_eq!(errno(at(small, 0), at(large, 0), page + 1), invalid);
    assert_eq!(errno(at(small, page), at(large, 0), 1), invalid);
    assert_eq!(
        errno(at(small, 0), at(large, BYTES - page + 1), page),
        invalid
    );
    assert_eq!(errno(at(large, 0), at(small, 0), page + 1), invalid);
    assert_eq!(errno(at(large, u64::MAX), at(small, 0), 1), invalid);
    assert_eq!(errno(at(large, 0), at(small, u64::MAX), 1), invalid);
    assert_eq!(errno(at(large, 0), at(large, 99), 100), invalid);
    assert_eq!(errno(at(large, 0), at(small, 0), 0), invalid);
    for none in [3, 255] {
        assert_eq!(errno(at(none.into(), 0), at(large, 0), 1), invalid);
        assert_eq!(errno(at(large, 0), at(none.into(), 0), 1), invalid);
    }
    assert!(
        view.copy_to_vec(0, LENGTH).unwrap() == sent,
        "something moved"
    );
    // The same ranges of two buffers do not overlap.
    session
        .copy_between(at(small, 0), at(large, 0), page)
        .unwrap();
}

#[hil::test]
fn each_descriptor_that_names_a_wrong_buffer_completes_with_einval(_: &mut Target) {
    let session = session().unwrap();
    let (one, _view) = cached(&session).unwrap();
    let good = Descriptor {
        opcode: COPY,
        source_buffer: one.get(),
        destination_buffer: 0,
        length: 16,
        destination: 64,
        ..Descriptor::default()
    };
    let bad = [
        Descriptor {
            source_buffer: 2,
            ..good
        },
        Descriptor {
            destination_buffer: 2,
            ..good
        },
        Descriptor {
            destination_buffer: 255,
            ..good
        },
        Descriptor {
            source: BYTES - 15,
            ..good
        },
        Descriptor {
            destination_buffer: one.get(),
            destination: 15,
            ..good
        },
        Descriptor {
            opcode: FILL,
            ..good
        },
        Descriptor {
            opcode: FILL,
            source_buffer: 0,
            destination_buffer: 2,
            ..good
        },
        Descriptor {
            opcode: NOP,
            length: 0,
            destination: 0,
            ..good
        },
        Descriptor {
            opcode: NOP,
            source_buffer: 0,
            destination_buffer: one.get(),
            length: 0,
            destination: 0,
            ..good
        },
    ];
    let results = submit(&session, &bad).unwrap();
    assert_eq!(results, [(0, Some(libc::EINVAL)); 9]);
    assert_eq!(submit(&session, &[good]).unwrap(), [(0, None)]);
}

#[hil::test]
fn each_value_that_a_new_buffer_cannot_have_returns_einval(_: &mut Target) {
    let session = session().unwrap();
    let good = CreateBuffer {
        bytes: BYTES,
        ..CreateBuffer::default()
    };
    let page = page_bytes().unwrap();
    let bad = [
        CreateBuffer { bytes: 0, ..good },
        CreateBuffer {
            bytes: page - 1,
            ..good
        },
        CreateBuffer {
            bytes: page + 1,
            ..good
        },
        CreateBuffer {
            bytes: (4 << 20) + page,
            ..good
        },
        CreateBuffer {
            bytes: u64::MAX,
            ..good
        },
        CreateBuffer {
            bytes: u64::MAX - page + 1,
            ..good
        },
        CreateBuffer { flags: 1, ..good },
        CreateBuffer { buffer: 1, ..good },
    ];
    for create in bad {
        let errno = refusal(&session, ioctl::CREATE_BUFFER, create);
        assert_eq!(errno, Some(libc::EINVAL), "{create:?}");
    }
    assert_eq!(session.create_buffer(4 << 20).unwrap().get(), 1);
}

#[hil::test]
fn a_session_has_as_many_buffers_as_numbers(_: &mut Target) {
    let session = session().unwrap();
    let page = page_bytes().unwrap();
    for number in 1..=255 {
        assert_eq!(session.create_buffer(page).unwrap().get(), number);
    }
    assert_eq!(session.create_buffer(page).errno(), Some(libc::ENOSPC));
    session.free_buffer(100.into()).unwrap();
    assert_eq!(session.create_buffer(page).unwrap().get(), 100);
    assert_eq!(session.create_buffer(page).errno(), Some(libc::ENOSPC));
}

#[hil::test]
fn buffers_that_were_given_up_count_as_long_as_transfers_use_them(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    let page = page_bytes().unwrap();
    let stalled = Stalled::new(&device, PATIENCE.unwrap()).unwrap();
    for _ in 0..255 {
        let number = session.create_buffer(page).unwrap();
        assert_eq!(number.get(), 1, "the others have no number");
        let copy = Descriptor {
            opcode: COPY,
            source_buffer: number.get(),
            length: 1,
            ..Descriptor::default()
        };
        assert!(rings.push(&copy).unwrap());
        assert_eq!(rings.submit(&session, 0).unwrap(), 1);
        session.free_buffer(number).unwrap();
    }
    assert_eq!(session.create_buffer(page).errno(), Some(libc::ENOSPC));
    stalled.lift().unwrap();
    rings.submit(&session, 255).unwrap();
    session.create_buffer(page).unwrap();
}

#[hil::test]
fn a_buffer_that_is_none_cannot_be_given_up(_: &mut Target) {
    let session = session().unwrap();
    let number = session.create_buffer(BYTES).unwrap();
    session.free_buffer(number).unwrap();
    for buffer in [0, 1, 2, 255, 256, 257, u32::MAX] {
        let free = FreeBuffer { buffer, flags: 0 };
        let errno = refusal(&session, ioctl::FREE_BUFFER, free);
        assert_eq!(errno, Some(libc::EINVAL), "{buffer}");
    }
    let number = session.create_buffer(BYTES).unwrap();
    let free = FreeBuffer {
        buffer: number.get().into(),
        flags: 1,
    };
    let errno = refusal(&session, ioctl::FREE_BUFFER, free);
    assert_eq!(errno, Some(libc::EINVAL));
    session.map_buffer(number, LENGTH).unwrap();
}

#[hil::test]
fn each_part_of_a_sync_is_checked(_: &mut Target) {
    let session = session().unwrap();
    let number = session.create_buffer(BYTES).unwrap();
    let good = Sync {
        offset: BYTES - 16,
        length: 16,
        buffer: number.get().into(),
        direction: ioctl::DIRECTION_BIDIRECTIONAL,
        side: ioctl::SYNC_FOR_CPU,
        flags: 0,
    };
    let bad = [
        Sync {
            offset: BYTES - 15,
            ..good
        },
        Sync {
            offset: BYTES,
            ..good
        },
        Sync {
            offset: u64::MAX,
            ..good
        },
        Sync {
            offset: u64::MAX - 15,
            ..good
        },
        Sync { length: 0, ..good },
        Sync {
            length: u64::MAX,
            ..good
        },
        Sync { length: 17, ..good },
        Sync { buffer: 2, ..good },
        Sync {
            buffer: 256,
            ..good
        },
        Sync {
            buffer: 257,
            ..good
        },
        Sync {
            direction: 0,
            ..good
        },
        Sync {
            direction: 4,
            ..good
        },
        Sync { side: 0, ..good },
        Sync { side: 3, ..good },
        Sync { flags: 1, ..good },
    ];
    for sync in bad {
        let errno = refusal(&session, ioctl::SYNC, sync);
        assert_eq!(errno, Some(libc::EINVAL), "{sync:?}");
    }
    for direction in 1..=3 {
        for side in 1..=2 {
            let sync = Sync {
                direction,
                side,
                ..good
            };
            assert_eq!(refusal(&session, ioctl::SYNC, sync), None, "{sync:?}");
            // Of the first one it has nothing to do, and says the same.
            let first = Sync {
                buffer: 0,
                offset: 0,
                ..sync
            };
            assert_eq!(refusal(&session, ioctl::SYNC, first), None);
            // The rings behind it are no part of it.
            let offset = session.info().unwrap().buffer_bytes - 15;
            let beyond = Sync { offset, ..first };
            assert_eq!(refusal(&session, ioctl::SYNC, beyond), Some(libc::EINVAL));
        }
    }
}

#[hil::test]
fn each_mapping_that_a_cached_buffer_cannot_have_is_refused(_: &mut Target) {
    let session = session().unwrap();
    let number = session.create_buffer(BYTES).unwrap();
    let (start, page) = (map_offset(number.get()), page_bytes().unwrap());
    let map = |offset, length| Mapping::map(&session, offset, length).errno();
    let invalid = Some(libc::EINVAL);
    assert_eq!(map(start, LENGTH + 1), invalid);
    assert_eq!(map(start + page, LENGTH), invalid);
    assert_eq!(map(start + BYTES, 1), invalid);
    assert_eq!(map(map_offset(2), 1), invalid);
    assert_eq!(map(map_offset(255) + (1 << 32), 1), invalid);
    let last = Mapping::map(&session, start + BYTES - page, 16).unwrap();
    assert_eq!(last.copy_to_vec(0, 16).unwrap(), [0; 16]);
}

#[hil::test]
fn a_child_of_fork_does_not_inherit_a_cached_buffer(_: &mut Target) {
    let session = session().unwrap();
    let (_, buffer) = cached(&session).unwrap();
    let end = child_reads(&buffer).unwrap();
    assert!(
        matches!(end, WaitStatus::Signaled(_, Signal::SIGSEGV, _)),
        "{end:?}"
    );
}

#[hil::test]
fn a_mapping_outlives_its_buffer_and_its_session(_: &mut Target) {
    let session = session().unwrap();
    let (number, mut buffer) = cached(&session).unwrap();
    let sent = pattern(34, LENGTH);
    buffer.write(0, &sent).unwrap();
    session.free_buffer(number).unwrap();
    let (again, mut next) = cached(&session).unwrap();
    assert_eq!(again, number);
    assert!(
        next.copy_to_vec(0, LENGTH)
            .unwrap()
            .iter()
            .all(|byte| *byte == 0)
    );
    next.fill(0, LENGTH, 0x5a).unwrap();
    assert!(buffer.copy_to_vec(0, LENGTH).unwrap() == sent);
    drop(session);
    assert!(buffer.copy_to_vec(0, LENGTH).unwrap() == sent);
    assert_eq!(next.copy_to_vec(LENGTH - 1, 1).unwrap(), [0x5a]);
}

#[hil::test]
fn the_kernel_does_io_on_the_pages_of_a_cached_buffer(_: &mut Target) {
    let session = session().unwrap();
    let (number, mut buffer) = cached(&session).unwrap();
    let sent = pattern(35, 4096);
    buffer.write(0, &sent).unwrap();
    let offset = i64::try_from(map_offset(number.get())).unwrap();
    assert!(spliced(&session, offset, 4096).unwrap() == sent);
    // The first one's pages are the device's.
    assert_eq!(spliced(&session, 0, 4096).errno(), Some(libc::EFAULT));
}

#[hil::test]
fn a_transfer_keeps_the_buffer_that_was_given_up(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let (number, mut buffer) = cached(&session).unwrap();
    let sent = pattern(36, LENGTH / 4);
    buffer.write(0, &sent).unwrap();
    let all = 0..BYTES;
    session
        .sync_for_device(number, all, Direction::ToDevice)
        .unwrap();
    let stalled = Stalled::new(&device, PATIENCE.unwrap()).unwrap();
    let mut rings = session.rings().unwrap();
    let copy = Descriptor {
        opcode: COPY,
        source_buffer: number.get(),
        length: u32::try_from(LENGTH / 4).unwrap(),
        ..Descriptor::default()
    };
    assert!(rings.push(&copy).unwrap());
    rings.submit(&session, 0).unwrap();
    wait_for_waiting(&device, 1).unwrap();
    session.free_buffer(number).unwrap();
    drop(buffer);
    // The number goes to another, which the transfer does not read.
    let (again, mut next) = cached(&session).unwrap();
    assert_eq!(again, number);
    next.fill(0, LENGTH, 0xff).unwrap();
    stalled.lift().unwrap();
    rings.submit(&session, 1).unwrap();
    assert_eq!(rings.pop().unwrap().unwrap().errno, None);
    let moved = session
        .buffer()
        .unwrap()
        .copy_to_vec(0, LENGTH / 4)
        .unwrap();
    assert!(moved == sent, "the engine moved other bytes");
}

hil::main!();
