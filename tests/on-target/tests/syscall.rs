// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls by their numbers: the driver through those that have no wrapper, and what the kernel
//! counts of them.

use std::fs::{self, File};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use dmacopy_client::Device;
use hil::Target;
use kernel_channels::Interest;
use kernel_channels::syscall::{self, Call, Flags};
use kernel_channels::tracepoint::{Counter, Event, Sampler};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::gettid;
use on_target::{Client, Errno, PATIENCE, Result, Role, Stalled, Unbound, pattern, role};

/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);
const LENGTH: usize = 777;

/// A tracepoint of a system call, at its begin or its end.
fn event(side: &str, call: Call) -> Event {
    Event::find("syscalls", &format!("sys_{side}_{call}")).unwrap()
}

fn rounds(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

/// All that is in a stream, once it is there.
fn drain(file: impl AsFd, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match syscall::read(&file, &mut bytes[filled..], None, Flags::NONE)? {
            0 => return Err(format!("the stream ended after {filled} bytes").into()),
            more => filled += more,
        }
    }
    Ok(bytes)
}

/// Is a client that has written to its session, and keeps it.
fn hold(role: &Role) {
    let session = Device::first().unwrap().session().unwrap();
    assert_eq!(session.write(&pattern(5, LENGTH)).unwrap(), LENGTH);
    session.poll(Interest::READABLE, PATIENCE).unwrap();
    role.ready().unwrap();
    role.wait().unwrap();
}

/// The number of a process's descriptor that leads to a device's node.
fn number_in(process: u32, device: &Device) -> Result<i32> {
    for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
        let path = entry?.path();
        if fs::read_link(&path).is_ok_and(|target| target == device.node()) {
            let name = path.file_name().ok_or("no name")?;
            return Ok(name.to_string_lossy().parse()?);
        }
    }
    Err("the process has not opened the node".into())
}

#[hil::test]
fn each_call_is_counted_by_its_number(_: &mut Target) {
    let mut getppid = Counter::of_this_thread(&event("enter", Call::GETPPID)).unwrap();
    let mut preadv2 = Counter::of_this_thread(&event("enter", Call::PREADV2)).unwrap();
    syscall::floor(rounds(123));
    assert_eq!((getppid.read().unwrap(), preadv2.read().unwrap()), (123, 0));
    let session = Device::first().unwrap().session().unwrap();
    syscall::read(&session, &mut [0], None, Flags::NONE).unwrap();
    assert_eq!((getppid.read().unwrap(), preadv2.read().unwrap()), (123, 1));
}

#[hil::test]
fn each_thread_counts_its_own_calls(_: &mut Target) {
    thread::scope(|scope| {
        for number in 1..=4 {
            scope.spawn(move || {
                let entered = event("enter", Call::GETPPID);
                let mut counter = Counter::of_this_thread(&entered).unwrap();
                syscall::floor(rounds(number * 100));
                assert_eq!(counter.read().unwrap(), u64::from(number * 100));
            });
        }
    });
}

#[hil::test]
fn the_kernel_gets_the_arguments_and_returns_the_result(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    assert_eq!(session.write(&[7; LENGTH]).unwrap(), LENGTH);
    session.poll(Interest::READABLE, PATIENCE).unwrap();
    let (enter, exit) = (event("enter", Call::PREADV2), event("exit", Call::PREADV2));
    let mut entered = Sampler::open(&enter).unwrap();
    let mut left = Sampler::open(&exit).unwrap();
    let mut bytes = [0; 100];
    assert_eq!(
        syscall::read(&session, &mut bytes, None, Flags::NO_WAIT).unwrap(),
        100
    );
    let refused = syscall::read(&session, &mut bytes, None, Flags::from_bits(1 << 30));
    assert_eq!(refused.errno(), Some(libc::EOPNOTSUPP));

    let this = i128::from(gettid().as_raw());
    let file = i128::from(session.as_fd().as_raw_fd());
    for (flags, returned) in [(libc::RWF_NOWAIT, 100), (1 << 30, -libc::EOPNOTSUPP)] {
        let sample = entered.next(LONG).unwrap().unwrap().record;
        let number = |field| enter.number(&sample, field).unwrap();
        assert_eq!((number("common_pid"), number("fd")), (this, file));
        assert_eq!((number("vlen"), number("flags")), (1, i128::from(flags)));
        let sample = left.next(LONG).unwrap().unwrap().record;
        assert_eq!(exit.number(&sample, "ret").unwrap(), i128::from(returned));
    }
}

#[hil::test]
fn a_read_that_must_not_wait_returns_eagain_until_there_is_something(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    assert_eq!(session.write(&[7; LENGTH]).unwrap(), LENGTH);
    let mut bytes = [0; LENGTH];
    let empty = syscall::read(&session, &mut bytes, None, Flags::NO_WAIT);
    assert_eq!(empty.errno(), Some(libc::EAGAIN));
    stalled.lift().unwrap();
    session.poll(Interest::READABLE, PATIENCE).unwrap();
    let read = syscall::read(&session, &mut bytes, None, Flags::NO_WAIT).unwrap();
    assert!(read > 0 && bytes[..read].iter().all(|byte| *byte == 7));
}

#[hil::test]
fn what_is_written_with_a_flag_goes_through_the_engine(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let before = device.attributes().counters().unwrap();
    let sent = pattern(3, LENGTH);
    assert_eq!(
        syscall::write(&session, &sent, None, Flags::NO_WAIT).unwrap(),
        LENGTH
    );
    assert_eq!(drain(&session, LENGTH).unwrap(), sent);
    let after = device.attributes().counters().unwrap();
    assert_eq!(after.bytes - before.bytes, LENGTH as u64);
}

#[hil::test]
fn an_offset_in_a_stream_returns_espipe(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let read = syscall::read(&session, &mut [0], Some(0), Flags::NONE);
    assert_eq!(read.errno(), Some(libc::ESPIPE));
    let written = syscall::write(&session, &[0], Some(4096), Flags::NONE);
    assert_eq!(written.errno(), Some(libc::ESPIPE));
}

#[hil::test]
fn a_flag_that_there_is_not_returns_eopnotsupp(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let unknown = Flags::from_bits(1 << 29);
    let read = syscall::read(&session, &mut [0], None, unknown);
    assert_eq!(read.errno(), Some(libc::EOPNOTSUPP));
    let written = syscall::write(&session, &[0], None, unknown | Flags::NO_WAIT);
    assert_eq!(written.errno(), Some(libc::EOPNOTSUPP));
}

#[hil::test]
fn a_device_is_no_file_to_copy_from_or_to(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let path = "/tmp/on-target-copy";
    fs::write(path, "copied").unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    fs::remove_file(path).unwrap();
    assert_eq!(
        syscall::copy(&session, &file, 1).errno(),
        Some(libc::EINVAL)
    );
    assert_eq!(
        syscall::copy(&file, &session, 1).errno(),
        Some(libc::EINVAL)
    );
    let program = File::open("/proc/self/exe").unwrap();
    assert_eq!(syscall::copy(&file, &program, 1).errno(), Some(libc::EBADF));
}

#[hil::test]
fn the_session_is_the_device_that_sysfs_tells(_: &mut Target) {
    for device in Device::all().unwrap() {
        let status = syscall::identify(device.session().unwrap()).unwrap();
        assert!(status.is_character_device());
        let (major, minor) = status.device;
        let expected = device.attributes().directory().text("dev").unwrap();
        assert_eq!(format!("{major}:{minor}"), expected);
    }
}

#[hil::test]
fn a_session_that_is_taken_from_a_process_outlives_it(_: &mut Target) {
    if let Some(role) = role() {
        return hold(&role);
    }
    let test = "a_session_that_is_taken_from_a_process_outlives_it";
    let device = Device::first().unwrap();
    let mut client = Client::start(test, "holder").unwrap();
    let process = syscall::open_process(client.id()).unwrap();
    let number = number_in(client.id(), &device).unwrap();
    let taken: OwnedFd = syscall::take_descriptor(&process, number).unwrap();
    client.signal(Signal::SIGKILL).unwrap();
    assert_eq!(client.end().unwrap().code(), None);
    assert_eq!(device.attributes().sessions().unwrap(), 1);
    assert_eq!(drain(&taken, LENGTH).unwrap(), pattern(5, LENGTH));
    drop(taken);
    assert_eq!(device.attributes().sessions().unwrap(), 0);
    let gone = syscall::take_descriptor(&process, number);
    assert_eq!(gone.errno(), Some(libc::ESRCH));
}

#[hil::test]
fn two_processes_read_one_session_and_each_byte_once(_: &mut Target) {
    if let Some(role) = role() {
        let session = Device::first().unwrap().session().unwrap();
        assert_eq!(session.write(&pattern(5, LENGTH)).unwrap(), LENGTH);
        session.poll(Interest::READABLE, PATIENCE).unwrap();
        role.ready().unwrap();
        role.wait().unwrap();
        let rest = drain(&session, LENGTH - 300).unwrap();
        assert_eq!(rest, pattern(5, LENGTH)[300..]);
        return;
    }
    let test = "two_processes_read_one_session_and_each_byte_once";
    let device = Device::first().unwrap();
    let mut client = Client::start(test, "reader").unwrap();
    let process = syscall::open_process(client.id()).unwrap();
    let number = number_in(client.id(), &device).unwrap();
    let taken = syscall::take_descriptor(&process, number).unwrap();
    assert_eq!(drain(&taken, 300).unwrap(), pattern(5, LENGTH)[..300]);
    client.go().unwrap();
    assert!(client.end().unwrap().success());
    assert_eq!(
        syscall::read(&taken, &mut [0], None, Flags::NONE).unwrap(),
        0
    );
}

#[hil::test]
fn what_is_not_there_cannot_be_taken(_: &mut Target) {
    let this = syscall::open_process(std::process::id()).unwrap();
    for number in [-1, 1000] {
        let taken = syscall::take_descriptor(&this, number);
        assert_eq!(taken.errno(), Some(libc::EBADF), "{number}");
    }
    assert_eq!(syscall::open_process(0).errno(), Some(libc::EINVAL));
    assert_eq!(syscall::open_process(1 << 30).errno(), Some(libc::ESRCH));
    let session = Device::first().unwrap().session().unwrap();
    let no_process = syscall::take_descriptor(&session, 0);
    assert_eq!(no_process.errno(), Some(libc::EBADF));
}

#[hil::test]
fn a_session_that_is_closed_on_exec_is_not_passed_on(_: &mut Target) {
    let device = Device::first().unwrap();
    if let Some(role) = role() {
        let inherited = fs::read_link(format!("/proc/self/fd/{}", role.name));
        role.ready().unwrap();
        let is_session = inherited.is_ok_and(|target| target == device.node());
        std::process::exit(is_session.into());
    }
    let test = "a_session_that_is_closed_on_exec_is_not_passed_on";
    let session = device.session().unwrap();
    let number = session.as_fd().as_raw_fd();
    let inherits = || {
        let mut client = Client::start(test, &number.to_string()).unwrap();
        client.end().unwrap().code()
    };
    assert_eq!(inherits(), Some(0), "std opens files so");
    fcntl(&session, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    assert_eq!(inherits(), Some(1));
    syscall::close_on_exec(number.unsigned_abs()).unwrap();
    assert_eq!(inherits(), Some(0));
    session.info().unwrap();
}

#[hil::test]
fn a_device_that_has_gone_returns_enodev_to_each_call(_: &mut Target) {
    let session = Device::first().unwrap().session().unwrap();
    let unbound = Unbound::new().unwrap();
    let read = syscall::read(&session, &mut [0], None, Flags::NO_WAIT);
    assert_eq!(read.errno(), Some(libc::ENODEV));
    let written = syscall::write(&session, &[0], None, Flags::NONE);
    assert_eq!(written.errno(), Some(libc::ENODEV));
    assert!(syscall::identify(&session).unwrap().is_character_device());
    unbound.rebind().unwrap();
}

hil::main!();
