// SPDX-License-Identifier: MIT OR Apache-2.0

//! The uevents that tell of a stalled engine and of its recovery.

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use dmacopy_client::{Device, State};
use dmacopy_uapi::names::{self, state, uevent};
use hil::Target;
use kernel_channels::Error;
use kernel_channels::uevent::{Action, Event, Monitor, last_seqnum};
use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, setsockopt,
    socket,
};
use on_target::{Errno, PATIENCE, Result, Stalled};

const SHORT: Duration = Duration::from_millis(30);
/// Long enough for a test to do what it wants before a stalled transfer times out.
const LONG: Duration = Duration::from_secs(30);

/// The next event of this device, or none within some time.
fn next(monitor: &Monitor, device: &Device, timeout: Option<Duration>) -> Result<Option<Event>> {
    while let Some(event) = monitor.next(timeout)? {
        if event.devpath.rsplit('/').next() == Some(device.name()) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// The engine's state and the number of a transfer, as an event tells them.
fn told(event: &Event) -> Result<(String, u64)> {
    let state = event.variables.get(uevent::STATE).ok_or("no state")?;
    let sequence = event.variables.get(uevent::SEQUENCE).ok_or("no sequence")?;
    Ok((state.clone(), sequence.parse()?))
}

#[hil::test]
fn a_stall_and_the_recovery_are_told_once_each(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let last = session.copy(0, 2048, 1).unwrap().sequence;
    let monitor = Monitor::open().unwrap();

    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    let event = next(&monitor, &device, PATIENCE).unwrap().unwrap();
    assert_eq!(event.action, Action::Change);
    assert_eq!(told(&event).unwrap(), (state::STALLED.to_owned(), last + 1));
    assert_eq!(device.attributes().state().unwrap(), State::Stalled);

    // Still stalled, so there is nothing new.
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    assert_eq!(next(&monitor, &device, Some(SHORT)).unwrap(), None);

    stalled.lift().unwrap();
    let event = next(&monitor, &device, PATIENCE).unwrap().unwrap();
    assert_eq!(told(&event).unwrap(), (state::RUNNING.to_owned(), last + 3));
    assert_eq!(device.attributes().state().unwrap(), State::Running);
    assert_eq!(session.copy(0, 2048, 1).unwrap().sequence, last + 3);
    assert_eq!(next(&monitor, &device, Some(SHORT)).unwrap(), None);
}

#[hil::test]
fn a_recovery_begins_with_the_first_transfer_that_completes(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let last = session.copy(0, 2048, 1).unwrap().sequence;
    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    device.attributes().set_timeout(LONG).unwrap();
    session.write(b"first").unwrap();
    session.write(b"second").unwrap();

    let monitor = Monitor::open().unwrap();
    stalled.lift().unwrap();
    let event = next(&monitor, &device, PATIENCE).unwrap().unwrap();
    assert_eq!(told(&event).unwrap(), (state::RUNNING.to_owned(), last + 2));
}

#[hil::test]
fn an_event_says_which_device_it_is_about(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let monitor = Monitor::open().unwrap();
    let before = last_seqnum().unwrap();
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    let event = next(&monitor, &device, PATIENCE).unwrap().unwrap();
    assert_eq!(event.subsystem.as_deref(), Some(names::CLASS));
    assert_eq!(event.variables["DEVNAME"], device.name());
    assert!(before < event.seqnum && event.seqnum <= last_seqnum().unwrap());
}

#[hil::test]
fn a_copy_that_succeeds_is_no_event(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let monitor = Monitor::open().unwrap();
    session.copy(0, 2048, 1).unwrap();
    assert_eq!(next(&monitor, &device, Some(SHORT)).unwrap(), None);
}

#[hil::test]
fn what_another_program_sends_is_no_event(_: &mut Target) {
    let device = Device::first().unwrap();
    let monitor = Monitor::open().unwrap();
    let name = device.name();
    let forged = format!(
        "change@/devices/virtual/misc/{name}\0ACTION=change\0\
         DEVPATH=/devices/virtual/misc/{name}\0SUBSYSTEM=misc\0SEQNUM=1\0"
    );
    let sender = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkKObjectUEvent,
    )
    .unwrap();
    // To whom the kernel tells.
    let group = NetlinkAddr::new(0, 1);
    let sent = sendto(
        sender.as_raw_fd(),
        forged.as_bytes(),
        &group,
        MsgFlags::empty(),
    );
    assert_eq!(sent, Ok(forged.len()));
    assert_eq!(next(&monitor, &device, Some(SHORT)).unwrap(), None);
}

#[hil::test]
fn who_does_not_read_is_told_that_uevents_were_lost_and_goes_on(_: &mut Target) {
    const EVENTS: u64 = 200;
    let device = Device::first().unwrap();
    // The kernel tells of the device when it is asked to.
    let tell = || device.attributes().directory().set("uevent", "change");
    let monitor = Monitor::open().unwrap();
    setsockopt(&monitor, RcvBuf, &0).unwrap();
    for _ in 0..EVENTS {
        tell().unwrap();
    }
    let (mut seen, mut lost) = (0, 0);
    loop {
        match next(&monitor, &device, Some(SHORT)) {
            Ok(Some(_)) => seen += 1,
            Ok(None) => break,
            Err(error) => {
                let error = error.downcast_ref();
                assert!(matches!(error, Some(Error::UeventsLost)), "{error:?}");
                lost += 1;
            }
        }
    }
    assert!(
        lost > 0 && seen > 0 && seen < EVENTS,
        "lost {lost} times, seen {seen}"
    );
    tell().unwrap();
    assert!(next(&monitor, &device, PATIENCE).unwrap().is_some());
}

#[hil::test]
fn a_reset_on_demand_is_told_with_its_number(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let monitor = Monitor::open().unwrap();
    session.reset_engine().unwrap();
    let event = next(&monitor, &device, PATIENCE).unwrap().unwrap();
    assert_eq!(event.action, Action::Change);
    let resets = device.attributes().directory();
    let resets = resets.text(names::attribute::RESETS).unwrap();
    assert_eq!(event.variables.get(uevent::RESETS), Some(&resets));
    assert_eq!(event.variables.get(uevent::STATE), None);
    assert_eq!(next(&monitor, &device, Some(SHORT)).unwrap(), None);
}

hil::main!();
