// SPDX-License-Identifier: MIT OR Apache-2.0

//! dma-bufs that a session makes and takes: whose the memory is, what outlives whom, and memory that
//! a program, other programs and the engine share.
//!
//! No room of its own: what is tested here is where `ioctl`, `mmap` and other drivers meet.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use dmacopy_client::{BufferNumber, Descriptor, Device, Direction, Place, Session};
use dmacopy_uapi::ioctl::{self, ExportBuffer, ImportBuffer};
use dmacopy_uapi::ring::COPY;
use hil::Target;
use kernel_channels::mmap::Mapping;
use kernel_channels::mmap::dma_buf::{Access, DmaBuf};
use kernel_channels::mmap::memfd::MemFd;
use nix::errno::Errno as Number;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::fstat;
use on_target::{
    Client, Errno, Refusable, Result, Role, Stalled, Unbound, Unloaded, page_bytes, pattern, role,
    spliced, try_making_executable, try_mapping, wait_for_waiting, wait_on_shared_word, wait_until,
    wake_shared_word,
};
use zerocopy::IntoBytes;

const BYTES: u64 = 64 << 10;
const LENGTH: usize = BYTES as usize;
const FIRST: BufferNumber = BufferNumber::FIRST;
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn session() -> Result<Session> {
    Ok(Device::first()?.session()?)
}

fn at(buffer: BufferNumber, offset: u64) -> Place {
    Place { buffer, offset }
}

/// A session with a cached buffer, and its dma-buf.
fn exported() -> Result<(Session, BufferNumber, DmaBuf)> {
    let session = session()?;
    let number = session.create_buffer(BYTES)?;
    let dma_buf = session.export_buffer(number)?;
    Ok((session, number, dma_buf))
}

/// Memory of this program, and its dma-buf.
fn shared() -> Result<(MemFd, DmaBuf)> {
    let memory = MemFd::new(BYTES)?;
    let dma_buf = DmaBuf::of(&memory, 0, BYTES)?;
    Ok((memory, dma_buf))
}

/// Has the engine copy the buffer to the first one, and reads that.
fn through_the_engine(session: &Session, number: BufferNumber) -> Result<Vec<u8>> {
    session.sync_for_device(number, 0..BYTES, Direction::ToDevice)?;
    session.copy_between(at(number, 0), at(FIRST, 0), BYTES)?;
    Ok(session.buffer()?.copy_to_vec(0, LENGTH)?)
}

/// Sends a structure by a request's bare code; the error number, if it failed.
fn refusal<T: IntoBytes + zerocopy::FromBytes>(
    session: &Session,
    code: u32,
    mut argument: T,
) -> Option<i32> {
    session.request(code, Some(argument.as_mut_bytes())).errno()
}

/// How many dma-bufs there are, as the kernel counts them.
fn dma_bufs() -> Result<u64> {
    let list = fs::read_to_string("/sys/kernel/debug/dma_buf/bufinfo")?;
    // Each has a total of its devices.
    let mut totals = list.lines().filter_map(|line| line.strip_prefix("Total "));
    let count = totals.find_map(|total| Some(total.split_once(" objects, ")?.0));
    Ok(count.ok_or("no total")?.parse()?)
}

#[hil::test]
fn a_dma_buf_has_the_memory_of_its_buffer(_: &mut Target) {
    let (session, number, dma_buf) = exported().unwrap();
    assert_eq!(dma_buf.bytes().unwrap(), BYTES);
    let mut mapping = dma_buf.map(0, LENGTH).unwrap();
    let mut buffer = session.map_buffer(number, LENGTH).unwrap();
    let sent = pattern(41, LENGTH);
    dma_buf.begin(Access::Write).unwrap();
    mapping.write(0, &sent).unwrap();
    dma_buf.end(Access::Write).unwrap();
    assert!(buffer.copy_to_vec(0, LENGTH).unwrap() == sent);
    assert!(through_the_engine(&session, number).unwrap() == sent);
    buffer.write(4096, b"the other way").unwrap();
    dma_buf.begin(Access::ReadWrite).unwrap();
    assert_eq!(mapping.copy_to_vec(4096, 13).unwrap(), b"the other way");
    dma_buf.end(Access::ReadWrite).unwrap();
    let page = page_bytes().unwrap();
    let part = dma_buf.map(page, 16).unwrap();
    let place = usize::try_from(page).unwrap();
    let whole = mapping.copy_to_vec(place, 16).unwrap();
    assert_eq!(part.copy_to_vec(0, 16).unwrap(), whole);
}

#[hil::test]
fn a_dma_buf_does_not_survive_execve(_: &mut Target) {
    let (_session, _, exported) = exported().unwrap();
    let (_memory, shared) = shared().unwrap();
    for dma_buf in [exported, shared] {
        let flags = fcntl(&dma_buf, FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
    }
}

#[hil::test]
fn each_mapping_that_a_dma_buf_cannot_have_is_refused(_: &mut Target) {
    let (_session, _, dma_buf) = exported().unwrap();
    let page = page_bytes().unwrap();
    let invalid = Some(libc::EINVAL);
    assert_eq!(dma_buf.map(0, LENGTH + 1).errno(), invalid);
    assert_eq!(dma_buf.map(page, LENGTH).errno(), invalid);
    assert_eq!(dma_buf.map(BYTES, 1).errno(), invalid);
    assert_eq!(
        try_mapping(&dma_buf, Refusable::Private, LENGTH).errno(),
        invalid
    );
    let errno = try_mapping(&dma_buf, Refusable::Executable, LENGTH).errno();
    assert!(
        [libc::EACCES, libc::EPERM].map(Some).contains(&errno),
        "{errno:?}"
    );
    let errno = try_making_executable(&dma_buf, LENGTH).errno();
    assert_eq!(errno, Some(libc::EACCES));
}

#[hil::test]
fn each_part_of_an_export_is_checked(_: &mut Target) {
    let session = session().unwrap();
    let number = session.create_buffer(BYTES).unwrap();
    let good = ExportBuffer {
        buffer: number.get().into(),
        ..ExportBuffer::default()
    };
    let bad = [
        ExportBuffer { buffer: 0, ..good },
        ExportBuffer { buffer: 2, ..good },
        ExportBuffer {
            buffer: 255,
            ..good
        },
        ExportBuffer {
            buffer: 257,
            ..good
        },
        ExportBuffer { flags: 1, ..good },
        ExportBuffer { fd: 1, ..good },
        ExportBuffer {
            reserved: 1,
            ..good
        },
    ];
    let before = dma_bufs().unwrap();
    for export in bad {
        let errno = refusal(&session, ioctl::EXPORT_BUFFER, export);
        assert_eq!(errno, Some(libc::EINVAL), "{export:?}");
    }
    assert_eq!(dma_bufs().unwrap(), before);
    drop(session.export_buffer(number).unwrap());
}

#[hil::test]
fn a_dma_buf_outlives_its_number_its_session_and_the_device(_: &mut Target) {
    let (session, number, dma_buf) = exported().unwrap();
    let mut mapping = dma_buf.map(0, LENGTH).unwrap();
    let sent = pattern(42, LENGTH);
    mapping.write(0, &sent).unwrap();
    session.free_buffer(number).unwrap();
    assert!(mapping.copy_to_vec(0, LENGTH).unwrap() == sent);

    let kept = session.create_buffer(BYTES).unwrap();
    let kept_dma_buf = session.export_buffer(kept).unwrap();
    let mut view = session.map_buffer(kept, LENGTH).unwrap();
    view.write(0, b"before").unwrap();
    let unbound = Unbound::new().unwrap();
    assert_eq!(session.export_buffer(kept).errno(), Some(libc::ENODEV));
    assert_eq!(session.create_buffer(BYTES).errno(), Some(libc::ENODEV));
    let all = Direction::Bidirectional;
    let gone = session.sync_for_cpu(kept, 0..1, all).errno();
    assert_eq!(gone, Some(libc::ENODEV));
    // Whoever has the memory has it still, mapped now or before.
    view.write(6, b" and after").unwrap();
    let late = kept_dma_buf.map(0, LENGTH).unwrap();
    kept_dma_buf.begin(Access::ReadWrite).unwrap();
    assert_eq!(late.copy_to_vec(0, 16).unwrap(), b"before and after");
    kept_dma_buf.end(Access::ReadWrite).unwrap();
    assert!(mapping.copy_to_vec(0, LENGTH).unwrap() == sent);
    unbound.rebind().unwrap();

    // A device takes it from there, the same or another.
    drop(session);
    let session = self::session().unwrap();
    let (number, bytes) = session.import_buffer(&dma_buf).unwrap();
    assert_eq!(bytes, BYTES);
    assert!(through_the_engine(&session, number).unwrap() == sent);
}

#[hil::test]
fn a_module_with_a_dma_buf_cannot_be_unloaded(_: &mut Target) {
    let (session, _, dma_buf) = exported().unwrap();
    drop(session);
    let busy = Some(libc::EWOULDBLOCK);
    assert_eq!(Unloaded::new().errno(), busy);
    let mapping = dma_buf.map(0, LENGTH).unwrap();
    drop(dma_buf);
    assert_eq!(Unloaded::new().errno(), busy);
    drop(mapping);
    Unloaded::new().unwrap().reload().unwrap();
}

#[hil::test]
fn a_session_takes_what_it_or_another_one_gave(_: &mut Target) {
    let (giver, number, dma_buf) = exported().unwrap();
    let mut view = giver.map_buffer(number, LENGTH).unwrap();
    let sent = pattern(43, LENGTH);
    view.write(0, &sent).unwrap();
    let taker = session().unwrap();
    for session in [&giver, &taker] {
        let (taken, bytes) = session.import_buffer(&dma_buf).unwrap();
        assert_eq!(bytes, BYTES);
        assert!(through_the_engine(session, taken).unwrap() == sent);
        // An export of what was imported is the same dma-buf.
        let same = session.export_buffer(taken).unwrap();
        let inode = |dma_buf: &DmaBuf| fstat(dma_buf).unwrap().st_ino;
        assert_eq!(inode(&same), inode(&dma_buf));
    }
    // The one that has imported it twice has two numbers for the same memory.
    let (again, _) = giver.import_buffer(&dma_buf).unwrap();
    giver
        .copy_between(at(number, 0), at(again, BYTES / 2), 64)
        .unwrap();
    let moved = view.copy_to_vec(LENGTH / 2, 64).unwrap();
    assert!(moved == sent[..64], "the engine moved other bytes");
    drop(giver);
    drop(dma_buf);
    let (taken, mut expected) = (BufferNumber::from(1), sent);
    expected.copy_within(..64, LENGTH / 2);
    assert!(through_the_engine(&taker, taken).unwrap() == expected);
}

#[hil::test]
fn transfers_move_in_memory_of_the_program(_: &mut Target) {
    let session = session().unwrap();
    let (memory, dma_buf) = shared().unwrap();
    let mut mapping = memory.map(0, LENGTH).unwrap();
    let sent = pattern(44, LENGTH);
    mapping.write(0, &sent).unwrap();
    let (number, bytes) = session.import_buffer(&dma_buf).unwrap();
    assert_eq!(bytes, BYTES);
    // The session keeps all that it needs.
    drop(dma_buf);
    assert!(through_the_engine(&session, number).unwrap() == sent);

    let back = pattern(45, 20_011);
    session.buffer().unwrap().write(5, &back).unwrap();
    session
        .copy_between(at(FIRST, 5), at(number, 12_289), 20_011)
        .unwrap();
    let written = 12_289..12_289 + 20_011;
    session
        .sync_for_cpu(number, written, Direction::FromDevice)
        .unwrap();
    assert!(mapping.copy_to_vec(12_289, 20_011).unwrap() == back);
    assert!(mapping.copy_to_vec(0, 12_289).unwrap() == sent[..12_289]);
    assert!(mapping.copy_to_vec(32_300, 100).unwrap() == sent[32_300..32_400]);
    // And the kernel's own I/O goes by the same pages.
    let page = spliced(&memory, 16 << 10, 4096).unwrap();
    assert!(page == mapping.copy_to_vec(16 << 10, 4096).unwrap());
    session.free_buffer(number).unwrap();
    let gone = session.copy_between(at(number, 0), at(FIRST, 0), 1);
    assert_eq!(gone.errno(), Some(libc::EINVAL));
}

#[hil::test]
fn a_part_of_memory_is_imported_and_nothing_else_is_reached(_: &mut Target) {
    let session = session().unwrap();
    let memory = MemFd::new(BYTES).unwrap();
    let page = page_bytes().unwrap();
    let dma_buf = DmaBuf::of(&memory, page, 2 * page).unwrap();
    let (number, bytes) = session.import_buffer(&dma_buf).unwrap();
    assert_eq!(bytes, 2 * page);
    let fill = |length| session.copy_between(at(FIRST, 0), at(number, 0), length);
    let ones = vec![1; LENGTH];
    session.buffer().unwrap().write(0, &ones).unwrap();
    assert_eq!(fill(2 * page + 1).errno(), Some(libc::EINVAL));
    fill(2 * page).unwrap();
    let content = memory
        .map(0, LENGTH)
        .unwrap()
        .copy_to_vec(0, LENGTH)
        .unwrap();
    let pages = content.chunks(usize::try_from(page).unwrap());
    let sums: Vec<u64> = pages
        .map(|page| page.iter().copied().map(u64::from).sum())
        .collect();
    assert_eq!(sums[..4], [0, page, page, 0]);
}

#[hil::test]
fn what_is_no_dma_buf_is_not_imported(_: &mut Target) {
    let session = session().unwrap();
    let (memory, dma_buf) = shared().unwrap();
    let null = File::open("/dev/null").unwrap();
    for file in [memory.as_fd(), session.as_fd(), null.as_fd()] {
        assert_eq!(session.import_buffer(file).errno(), Some(libc::EINVAL));
    }
    let good = ImportBuffer {
        fd: dma_buf.as_fd().as_raw_fd(),
        ..ImportBuffer::default()
    };
    let bad = [
        (ImportBuffer { fd: -1, ..good }, libc::EBADF),
        (
            ImportBuffer {
                fd: i32::MAX,
                ..good
            },
            libc::EBADF,
        ),
        (
            ImportBuffer {
                fd: i32::MIN,
                ..good
            },
            libc::EBADF,
        ),
        (ImportBuffer { flags: 1, ..good }, libc::EINVAL),
        (ImportBuffer { bytes: 1, ..good }, libc::EINVAL),
        (ImportBuffer { buffer: 1, ..good }, libc::EINVAL),
        (
            ImportBuffer {
                reserved: 1,
                ..good
            },
            libc::EINVAL,
        ),
    ];
    for (import, expected) in bad {
        let errno = refusal(&session, ioctl::IMPORT_BUFFER, import);
        assert_eq!(errno, Some(expected), "{import:?}");
    }
    let (number, _) = session.import_buffer(&dma_buf).unwrap();
    assert_eq!(number.get(), 1);
    // It is mapped by the dma-buf, not by the session.
    let mapped = session.map_buffer(number, LENGTH);
    assert_eq!(mapped.errno(), Some(libc::EINVAL));
}

#[hil::test]
fn another_process_waits_for_what_the_engine_writes(_: &mut Target) {
    if let Some(role) = role() {
        return wait_for_the_engine(&role).unwrap();
    }
    let session = session().unwrap();
    let (memory, dma_buf) = shared().unwrap();
    let (number, _) = session.import_buffer(&dma_buf).unwrap();
    // A word that is not 0, and what is to be there by then.
    let mut sent = pattern(46, LENGTH);
    sent[..4].copy_from_slice(&1_u32.to_ne_bytes());
    session.buffer().unwrap().write(0, &sent).unwrap();

    let test = "another_process_waits_for_what_the_engine_writes";
    let path = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        memory.as_fd().as_raw_fd()
    );
    let mut client = Client::start(test, &path).unwrap();
    let woken = || Ok(wake_shared_word(&memory)?);
    wait_until(woken, |woken| *woken == 1).unwrap();
    session
        .copy_between(at(FIRST, 0), at(number, 0), BYTES)
        .unwrap();
    session
        .sync_for_cpu(number, 0..BYTES, Direction::FromDevice)
        .unwrap();
    wake_shared_word(&memory).unwrap();
    let end = client.end().unwrap();
    assert!(end.success(), "{end}");
}

/// Waits on the first word, and looks what has come with it.
fn wait_for_the_engine(role: &Role) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(&role.name)?;
    let mapping = Mapping::map(&file, 0, LENGTH)?;
    role.ready()?;
    let mut woken = 0;
    while mapping.load_acquire(0)? == 0 {
        match wait_on_shared_word(&file, 0, LONG) {
            Ok(()) => woken += 1,
            Err(Number::EAGAIN | Number::EINTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
    if woken == 0 {
        return Err("never woken up".into());
    }
    let mut expected = pattern(46, LENGTH);
    expected[..4].copy_from_slice(&1_u32.to_ne_bytes());
    // The last bytes are not before the first ones for those who did not ask the engine.
    let copied = || Ok(mapping.copy_to_vec(0, LENGTH)? == expected);
    wait_until(copied, |copied| *copied).map(drop)
}

#[hil::test]
fn an_unbound_device_lets_go_of_what_was_imported(_: &mut Target) {
    let before = dma_bufs().unwrap();
    let session = session().unwrap();
    let (memory, dma_buf) = shared().unwrap();
    let (number, _) = session.import_buffer(&dma_buf).unwrap();
    drop(dma_buf);
    session
        .copy_between(at(number, 0), at(FIRST, 0), 64)
        .unwrap();
    assert_eq!(dma_bufs().unwrap(), before + 1);
    let unbound = Unbound::new().unwrap();
    wait_until(dma_bufs, |now| *now == before).unwrap();
    let gone = Some(libc::ENODEV);
    let copied = session.copy_between(at(number, 0), at(FIRST, 0), 64);
    assert_eq!(copied.errno(), gone);
    assert_eq!(session.free_buffer(number).errno(), gone);
    let mut mapping = memory.map(0, LENGTH).unwrap();
    mapping.write(0, b"still ours").unwrap();
    unbound.rebind().unwrap();
    drop(session);
    let session = self::session().unwrap();
    let dma_buf = DmaBuf::of(&memory, 0, BYTES).unwrap();
    let (number, _) = session.import_buffer(&dma_buf).unwrap();
    let seen = through_the_engine(&session, number).unwrap();
    assert_eq!(seen[..10], *b"still ours");
}

#[hil::test]
fn buffers_under_way_do_not_keep_a_device(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = dma_bufs().unwrap();
    let session = device.session().unwrap();
    let (memory, dma_buf) = shared().unwrap();
    let (taken, _) = session.import_buffer(&dma_buf).unwrap();
    let made = session.create_buffer(BYTES).unwrap();
    let sent = pattern(47, LENGTH);
    memory.map(0, LENGTH).unwrap().write(0, &sent).unwrap();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    submit_copies(&session, taken, made).unwrap();
    wait_for_waiting(&device, 4).unwrap();
    session.free_buffer(taken).unwrap();
    drop(dma_buf);
    let unbound = Unbound::new().unwrap();
    wait_until(dma_bufs, |now| *now == before).unwrap();
    unbound.rebind().unwrap();
    let content = memory
        .map(0, LENGTH)
        .unwrap()
        .copy_to_vec(0, LENGTH)
        .unwrap();
    assert!(
        content == sent,
        "a transfer that was cancelled has moved bytes"
    );
}

/// Two copies in either direction.
fn submit_copies(session: &Session, one: BufferNumber, other: BufferNumber) -> Result<()> {
    let mut rings = session.rings()?;
    for (source, destination) in [(one, other), (other, one), (one, other), (other, one)] {
        let copy = Descriptor {
            opcode: COPY,
            source_buffer: source.get(),
            destination_buffer: destination.get(),
            length: u32::try_from(LENGTH)?,
            ..Descriptor::default()
        };
        assert!(rings.push(&copy)?, "the ring is full");
    }
    rings.submit(session, 0)?;
    Ok(())
}

#[hil::test]
fn a_client_that_is_killed_leaves_no_buffer_behind(_: &mut Target) {
    if let Some(role) = role() {
        return hold_buffers(&role).unwrap();
    }
    let device = Device::first().unwrap();
    let before = dma_bufs().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let test = "a_client_that_is_killed_leaves_no_buffer_behind";
    let mut client = Client::start(test, "holds").unwrap();
    wait_for_waiting(&device, 4).unwrap();
    assert_eq!(dma_bufs().unwrap(), before + 2);
    client.signal(Signal::SIGKILL).unwrap();
    assert_eq!(client.end().unwrap().signal(), Some(libc::SIGKILL));
    wait_until(dma_bufs, |now| *now == before).unwrap();
    wait_until(|| Ok(device.attributes().sessions()?), |open| *open == 0).unwrap();
    wait_for_waiting(&device, 0).unwrap();
    stalled.lift().unwrap();
    let (session, number, _) = exported().unwrap();
    session
        .copy_between(at(number, 0), at(FIRST, 0), 64)
        .unwrap();
}

/// Has one buffer of each kind, mapped, given away, and in use by the engine.
fn hold_buffers(role: &Role) -> Result<()> {
    let session = session()?;
    let (memory, dma_buf) = shared()?;
    let (taken, _) = session.import_buffer(&dma_buf)?;
    let made = session.create_buffer(BYTES)?;
    let given = session.export_buffer(made)?;
    let _again = session.import_buffer(&given)?;
    let mapped = (memory.map(0, LENGTH)?, given.map(0, LENGTH)?);
    mapped.0.read(0, &mut [0])?;
    mapped.1.read(0, &mut [0])?;
    submit_copies(&session, taken, made)?;
    role.ready()?;
    role.wait()
}

#[hil::test]
fn sessions_that_share_memory_do_not_wait_for_each_other(_: &mut Target) {
    let (memory, dma_buf) = shared().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let session = session().unwrap();
            let (number, _) = session.import_buffer(&dma_buf).unwrap();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    session
                        .copy_between(at(number, 0), at(FIRST, 0), BYTES)
                        .unwrap();
                    session
                        .copy_between(at(FIRST, 0), at(number, 0), BYTES)
                        .unwrap();
                    let all = Direction::Bidirectional;
                    session.sync_for_cpu(number, 0..BYTES, all).unwrap();
                    session.sync_for_device(number, 0..BYTES, all).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    drop(memory);
}

#[hil::test]
fn processes_cannot_wait_together_on_memory_of_a_device(_: &mut Target) {
    let session = session().unwrap();
    let waited = wait_on_shared_word(&session, 0, SHORT);
    assert_eq!(waited.errno(), Some(libc::EFAULT));
    let memory = MemFd::new(BYTES).unwrap();
    let waited = wait_on_shared_word(&memory, 0, SHORT);
    assert_eq!(waited.errno(), Some(libc::ETIMEDOUT));
}

hil::main!();
