// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who goes first: clients that are interrupted or killed, a driver that is unbound, a module that is
//! unloaded.
//!
//! No room of its own: what is tested here is where the rooms meet.

use std::os::unix::process::ExitStatusExt;
use std::os::unix::thread::JoinHandleExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dmacopy_client::{Device, Session};
use dmacopy_uapi::{ioctl, names};
use hil::Target;
use kernel_channels::Interest;
use kernel_channels::mmap::Mapping;
use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;
use nix::unistd;
use on_target::{
    Client, Errno, PATIENCE, Refusable, Result, Role, Stalled, Unbound, Unloaded, asleep_in,
    in_thread, interrupted_by, pattern, restarted_after, role, try_mapping, wait_for_waiting,
};

/// Long enough for a test to do what it wants before a stalled transfer times out.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);
/// Less than [`LONG`], so that what is woken by the timeout is not taken for woken by the test.
const SOON: Duration = Duration::from_secs(10);

/// Whether a device does its work, as a new session sees it.
fn works(device: &Device) -> Result<bool> {
    let session = device.session()?;
    let sent = pattern(21, 1000);
    let mut buffer = session.buffer()?;
    buffer.write(0, &sent)?;
    session.copy(0, 2048, 1000)?;
    Ok(buffer.copy_to_vec(2048, 1000)? == sent)
}

/// Writes for as long as a session takes bytes without waiting.
fn fill(session: &Session) -> Result<()> {
    let now = Some(Duration::ZERO);
    while session.poll(Interest::WRITABLE, now)?.writable {
        session.write(&[0; 5000])?;
    }
    Ok(())
}

#[hil::test]
fn unbinding_wakes_a_blocked_reader_with_enodev(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let _stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"never read").unwrap();
    let reader = Arc::clone(&session);
    let blocked = in_thread(move || reader.read(&mut [0; 16]).errno());
    thread::sleep(SHORT);
    assert!(blocked.try_recv().is_err(), "the reader did not block");
    let unbound = Unbound::new().unwrap();
    assert_eq!(blocked.recv_timeout(SOON).unwrap(), Some(libc::ENODEV));
    unbound.rebind().unwrap();
}

#[hil::test]
fn unbinding_wakes_a_blocked_writer_with_enodev(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let _stalled = Stalled::new(&device, LONG).unwrap();
    fill(&session).unwrap();
    let writer = Arc::clone(&session);
    let blocked = in_thread(move || writer.write(b"next").errno());
    thread::sleep(SHORT);
    assert!(blocked.try_recv().is_err(), "the writer did not block");
    let unbound = Unbound::new().unwrap();
    assert_eq!(blocked.recv_timeout(SOON).unwrap(), Some(libc::ENODEV));
    unbound.rebind().unwrap();
}

#[hil::test]
fn unbinding_ends_a_copy_under_way_with_enodev(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let _stalled = Stalled::new(&device, LONG).unwrap();
    let copier = Arc::clone(&session);
    let blocked = in_thread(move || copier.copy(0, 2048, 64).errno());
    wait_for_waiting(&device, 1).unwrap();
    let unbound = Unbound::new().unwrap();
    assert_eq!(blocked.recv_timeout(SOON).unwrap(), Some(libc::ENODEV));
    unbound.rebind().unwrap();
}

#[hil::test]
fn unbinding_wakes_who_polls_with_hang_up_and_error(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let poller = Arc::clone(&session);
    let blocked = in_thread(move || poller.poll(Interest::READABLE, Some(LONG)).unwrap());
    thread::sleep(SHORT);
    assert!(blocked.try_recv().is_err(), "there was something to read");
    let unbound = Unbound::new().unwrap();
    let found = blocked.recv_timeout(SOON).unwrap();
    assert!(found.hang_up && found.error, "{found}");
    unbound.rebind().unwrap();
}

#[hil::test]
fn a_file_of_an_unbound_device_answers_enodev_and_can_be_closed(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    session.write(b"left behind").unwrap();
    let unbound = Unbound::new().unwrap();
    let gone = Some(libc::ENODEV);
    assert_eq!(session.read(&mut [0; 16]).errno(), gone);
    assert_eq!(session.write(b"x").errno(), gone);
    assert_eq!(session.copy(0, 2048, 64).errno(), gone);
    assert_eq!(session.info().errno(), gone);
    assert!(Device::open(device.node()).is_err());
    assert!(device.session().is_err());
    unbound.rebind().unwrap();

    // The old file is of the old device, which does not come back.
    assert_eq!(session.read(&mut [0; 16]).errno(), gone);
    let again = Device::first().unwrap();
    assert_eq!(again.attributes().sessions().unwrap(), 0);
    drop(session);
    assert_eq!(again.attributes().sessions().unwrap(), 0);
    assert!(works(&again).unwrap());
}

#[hil::test]
fn a_file_of_an_unbound_device_answers_enodev_to_nothing_and_to_nonsense(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let unbound = Unbound::new().unwrap();
    let gone = Some(libc::ENODEV);
    assert_eq!(session.read(&mut []).errno(), gone);
    assert_eq!(session.write(&[]).errno(), gone);
    assert_eq!(session.copy(0, 0, 0).errno(), gone);
    let unknown = session.request(ioctl::COPY | 0xff, Some(&mut [0; 48]));
    assert_eq!(unknown.errno(), gone);
    unbound.rebind().unwrap();
}

#[hil::test]
fn a_file_of_an_unbound_device_maps_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let bytes = usize::try_from(session.info().unwrap().buffer_bytes).unwrap();
    let unbound = Unbound::new().unwrap();
    let gone = Some(libc::ENODEV);
    assert_eq!(Mapping::map(&session, 0, bytes).errno(), gone);
    // What would be refused anyhow is refused for the same reason.
    assert_eq!(
        try_mapping(&session, Refusable::Private, bytes).errno(),
        gone
    );
    unbound.rebind().unwrap();
}

#[hil::test]
fn a_device_that_is_bound_again_is_a_new_one_with_the_same_name(_: &mut Target) {
    let device = Device::first().unwrap();
    assert!(works(&device).unwrap());
    for _ in 0..5 {
        Unbound::new().unwrap().rebind().unwrap();
        let again = Device::first().unwrap();
        assert_eq!(again.name(), device.name());
        let counters = again.attributes().counters().unwrap();
        assert_eq!(counters, dmacopy_client::Counters::default());
        assert!(works(&again).unwrap());
    }
}

/// Maps the buffer, and accesses a page of it when the device has gone.
fn access_later(role: &Role) -> Result<()> {
    let session = Device::first()?.session()?;
    let mut buffer = session.buffer()?;
    if role.name == "touched" {
        buffer.fill(0, 64, 1)?;
    }
    role.ready()?;
    role.wait()?;
    buffer.read(0, &mut [0; 64])?;
    Ok(())
}

#[hil::test]
fn an_access_to_the_buffer_of_an_unbound_device_raises_sigbus(_: &mut Target) {
    if let Some(role) = role() {
        return access_later(&role).unwrap();
    }
    let test = "an_access_to_the_buffer_of_an_unbound_device_raises_sigbus";
    for role in ["touched", "untouched"] {
        let mut client = Client::start(test, role).unwrap();
        let unbound = Unbound::new().unwrap();
        client.go().unwrap();
        let end = client.end().unwrap();
        assert_eq!(end.signal(), Some(libc::SIGBUS), "{role}: {end}");
        unbound.rebind().unwrap();
        assert!(works(&Device::first().unwrap()).unwrap());
    }
}

#[hil::test]
fn a_module_with_an_open_file_cannot_be_unloaded(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let errno = Unloaded::new().errno();
    assert_eq!(errno, Some(libc::EWOULDBLOCK));
    session.copy(0, 2048, 64).unwrap();
    let buffer = session.buffer().unwrap();
    drop(session);
    // The mapping keeps the file.
    assert_eq!(Unloaded::new().errno(), Some(libc::EWOULDBLOCK));
    buffer.read(0, &mut [0; 64]).unwrap();
}

#[hil::test]
fn a_module_with_an_open_debugfs_file_cannot_be_unloaded(_: &mut Target) {
    let device = Device::first().unwrap();
    let folder = format!("/sys/kernel/debug/{}/{}", names::DRIVER, device.name());
    for name in [names::debugfs::ENGINE, names::debugfs::STALL] {
        let file = std::fs::File::open(format!("{folder}/{name}")).unwrap();
        assert_eq!(Unloaded::new().errno(), Some(libc::EWOULDBLOCK), "{name}");
        drop(file);
    }
    Unloaded::new().unwrap().reload().unwrap();
}

#[hil::test]
fn a_module_that_nobody_uses_can_be_unloaded_and_loaded_again(_: &mut Target) {
    let name = Device::first().unwrap().name().to_owned();
    for _ in 0..3 {
        let unloaded = Unloaded::new().unwrap();
        assert!(Device::first().is_err());
        unloaded.reload().unwrap();
        let device = Device::first().unwrap();
        assert_eq!(device.name(), name);
        assert!(works(&device).unwrap());
    }
}

#[hil::test]
fn a_module_that_is_unloaded_leaves_no_watchdog_behind(_: &mut Target) {
    let device = Device::first().unwrap();
    let timeout = Duration::from_millis(200);
    device.attributes().set_timeout(timeout).unwrap();
    assert!(works(&device).unwrap());
    let unloaded = Unloaded::new().unwrap();
    // Its time comes while there is no code for it; the kernel's log would tell.
    thread::sleep(2 * timeout);
    unloaded.reload().unwrap();
    assert!(works(&Device::first().unwrap()).unwrap());
}

#[hil::test]
fn a_signal_with_a_handler_interrupts_a_copy(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    interrupted_by(Signal::SIGUSR1).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let copier = Arc::clone(&session);
    let copier = thread::spawn(move || copier.copy(0, 2048, 64).errno());
    wait_for_waiting(&device, 1).unwrap();
    pthread_kill(copier.as_pthread_t(), Signal::SIGUSR1).unwrap();
    assert_eq!(copier.join().unwrap(), Some(libc::EINTR));
    wait_for_waiting(&device, 0).unwrap();
    stalled.lift().unwrap();
    session.copy(0, 2048, 64).unwrap();
}

#[hil::test]
fn a_signal_with_a_handler_interrupts_a_read_and_loses_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    interrupted_by(Signal::SIGUSR1).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"late").unwrap();
    let reader = Arc::clone(&session);
    let read = move || unistd::read(&*reader, &mut [0; 16]).errno();
    let reader = asleep_in(libc::SYS_read, read).unwrap();
    pthread_kill(reader.as_pthread_t(), Signal::SIGUSR1).unwrap();
    assert_eq!(reader.join().unwrap(), Some(libc::EINTR));
    stalled.lift().unwrap();
    let mut bytes = [0; 16];
    assert_eq!(session.read(&mut bytes).unwrap(), 4);
    assert_eq!(&bytes[..4], b"late");
}

#[hil::test]
fn a_signal_with_a_handler_interrupts_a_write(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    interrupted_by(Signal::SIGUSR1).unwrap();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    fill(&session).unwrap();
    let writer = Arc::clone(&session);
    let write = move || unistd::write(&*writer, b"next").errno();
    let writer = asleep_in(libc::SYS_write, write).unwrap();
    pthread_kill(writer.as_pthread_t(), Signal::SIGUSR1).unwrap();
    assert_eq!(writer.join().unwrap(), Some(libc::EINTR));
}

#[hil::test]
fn a_copy_is_restarted_after_a_signal_that_asks_for_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    restarted_after(Signal::SIGUSR1).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let copier = Arc::clone(&session);
    let copy = move || copier.copy(0, 2048, 64).errno();
    let copier = asleep_in(libc::SYS_ioctl, copy).unwrap();
    pthread_kill(copier.as_pthread_t(), Signal::SIGUSR1).unwrap();
    stalled.lift().unwrap();
    assert_eq!(copier.join().unwrap(), None);
}

#[hil::test]
fn a_read_is_restarted_after_a_signal_that_asks_for_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    restarted_after(Signal::SIGUSR1).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"late").unwrap();
    let reader = Arc::clone(&session);
    let read = move || unistd::read(&*reader, &mut [0; 16]);
    let reader = asleep_in(libc::SYS_read, read).unwrap();
    pthread_kill(reader.as_pthread_t(), Signal::SIGUSR1).unwrap();
    stalled.lift().unwrap();
    assert_eq!(reader.join().unwrap(), Ok(4));
}

#[hil::test]
fn a_write_is_restarted_after_a_signal_that_asks_for_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    restarted_after(Signal::SIGUSR1).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    fill(&session).unwrap();
    let writer = Arc::clone(&session);
    let write = move || unistd::write(&*writer, b"next");
    let writer = asleep_in(libc::SYS_write, write).unwrap();
    pthread_kill(writer.as_pthread_t(), Signal::SIGUSR1).unwrap();
    stalled.lift().unwrap();
    // Room comes with a reader only.
    session.read(&mut [0; 5000]).unwrap();
    assert_eq!(writer.join().unwrap(), Ok(4));
}

/// Copies once, and checks what was copied.
fn copy_once(role: &Role) -> Result<()> {
    let session = Device::first()?.session()?;
    let mut buffer = session.buffer()?;
    let sent = pattern(22, 64);
    buffer.write(0, &sent)?;
    role.ready()?;
    session.copy(0, 2048, 64)?;
    assert_eq!(buffer.copy_to_vec(2048, 64)?, sent);
    Ok(())
}

#[hil::test]
fn a_copy_that_was_stopped_starts_again_when_it_is_continued(_: &mut Target) {
    if let Some(role) = role() {
        return copy_once(&role).unwrap();
    }
    let device = Device::first().unwrap();
    let before = device.attributes().counters().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let test = "a_copy_that_was_stopped_starts_again_when_it_is_continued";
    let mut client = Client::start(test, "copies").unwrap();
    wait_for_waiting(&device, 1).unwrap();
    client.signal(Signal::SIGSTOP).unwrap();
    client.stopped().unwrap();
    wait_for_waiting(&device, 0).unwrap();
    client.signal(Signal::SIGCONT).unwrap();
    wait_for_waiting(&device, 1).unwrap();
    stalled.lift().unwrap();
    assert!(client.end().unwrap().success());
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.bytes, before.bytes + 64);
}

/// Puts work into the queue, and waits for the end.
fn queue_work(role: &Role) -> Result<()> {
    let session = Device::first()?.session()?;
    let _buffer = session.buffer()?;
    for _ in 0..3 {
        session.write(&[1; 100])?;
    }
    role.ready()?;
    if role.name == "copies" {
        session.copy(0, 2048, 64)?;
    }
    role.wait()
}

#[hil::test]
fn a_client_that_is_killed_leaves_neither_session_nor_work_behind(_: &mut Target) {
    if let Some(role) = role() {
        return queue_work(&role).unwrap();
    }
    let device = Device::first().unwrap();
    let test = "a_client_that_is_killed_leaves_neither_session_nor_work_behind";
    for (role, waiting) in [("waits", 3), ("copies", 4)] {
        let stalled = Stalled::new(&device, LONG).unwrap();
        let mut client = Client::start(test, role).unwrap();
        wait_for_waiting(&device, waiting).unwrap();
        assert_eq!(device.attributes().sessions().unwrap(), 1);
        client.signal(Signal::SIGKILL).unwrap();
        assert_eq!(client.end().unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(device.attributes().sessions().unwrap(), 0);
        wait_for_waiting(&device, 0).unwrap();
        stalled.lift().unwrap();
        assert!(works(&device).unwrap());
    }
}

#[hil::test]
fn unbinding_while_the_engine_works_harms_nobody(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = Arc::new(device.session().unwrap());
    let copier = Arc::clone(&session);
    let copies = in_thread(move || {
        loop {
            let errno = copier.copy(0, 4096, 4096).errno();
            if errno.is_some() {
                return errno;
            }
        }
    });
    thread::sleep(SHORT);
    let unbound = Unbound::new().unwrap();
    assert_eq!(copies.recv_timeout(SOON).unwrap(), Some(libc::ENODEV));
    let found = session.poll(Interest::NONE, PATIENCE).unwrap();
    assert!(found.hang_up && found.error, "{found}");
    unbound.rebind().unwrap();
    assert!(works(&Device::first().unwrap()).unwrap());
}

hil::main!();
