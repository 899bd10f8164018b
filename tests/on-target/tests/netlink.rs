// SPDX-License-Identifier: MIT OR Apache-2.0

//! The generic netlink family: questions, refusals, lists and events.

use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dmacopy_client::{Device, Event, Events, Query, State};
use dmacopy_uapi::names::attribute as file;
use dmacopy_uapi::netlink::{FAMILY, VERSION, attribute, command, group};
use hil::Target;
use kernel_channels::Error;
use kernel_channels::netlink::{Attribute, Connection, Failure, Listener, Message};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, getsockname, sendto,
    socket,
};
use nix::unistd::{Gid, Uid, setresgid, setresuid};
use on_target::{Bound, Client, Dump, Errno, PATIENCE, Packet, Stalled, Unbound, Unloaded, role};

const SHORT: Duration = Duration::from_millis(30);
/// Long enough for a test to do what it wants before a stalled transfer times out.
const LONG: Duration = Duration::from_secs(30);
/// Who has no privilege.
const NOBODY: u32 = 65534;

/// What a refused request was refused with: the error number, the kernel's words, the attribute.
fn refusal(answer: std::result::Result<Vec<Message>, Error>) -> (i32, String, Option<u16>) {
    let failure = match answer {
        Err(Error::Netlink { source, .. }) => *source,
        other => panic!("not refused: {other:?}"),
    };
    let Failure::Refused {
        reason,
        attribute,
        source,
        ..
    } = failure
    else {
        panic!("not refused: {failure:?}");
    };
    let errno = source.raw_os_error().unwrap();
    (errno, reason.unwrap_or_default(), attribute)
}

/// The number of a device, as its name tells it.
fn number(device: &Device) -> u32 {
    let digits = device.name().trim_start_matches(|c: char| !c.is_numeric());
    digits.parse().unwrap()
}

fn state_changed(device: &Device, state: State, sequence: u64) -> Event {
    Event::StateChanged {
        number: number(device),
        state,
        sequence,
    }
}

#[hil::test]
fn the_family_is_found_with_its_version_and_its_group(_: &mut Target) {
    let connection = Connection::open(FAMILY).unwrap();
    let family = connection.family();
    assert_eq!(family.name, FAMILY);
    assert_eq!(family.version, u32::from(VERSION));
    let groups: Vec<_> = family.groups.keys().collect();
    assert_eq!(groups, [group::EVENTS]);
}

#[hil::test]
fn what_is_told_of_a_device_is_in_sysfs_and_info_too(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    session.copy(0, 2048, 321).unwrap();
    let info = session.info().unwrap();
    let files = device.attributes().directory();

    let told = Query::open().unwrap().device(number(&device)).unwrap();
    assert_eq!(told.number, number(&device));
    assert_eq!(told.name, device.name());
    assert_eq!(told.abi_version, info.abi_version);
    assert_eq!(told.engine, info.engine);
    assert_eq!(told.capabilities, info.capabilities);
    assert_eq!(told.buffer_bytes, info.buffer_bytes);
    assert_eq!(told.max_transfer_bytes, info.max_transfer_bytes);
    assert_eq!(told.state, device.attributes().state().unwrap());
    assert_eq!(told.counters, device.attributes().counters().unwrap());
    assert!(told.counters.transfers > 0 && told.counters.bytes >= 321);
    assert_eq!(told.sessions, 1);
    assert_eq!(told.sessions, files.number(file::SESSIONS).unwrap());
    let timeout = files.number(file::TIMEOUT_MS).unwrap();
    assert_eq!(told.timeout, Duration::from_millis(timeout));
    assert_ne!(told.timeout, Duration::ZERO);
}

#[hil::test]
fn what_changes_is_told_the_next_time(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut query = Query::open().unwrap();
    let before = query.device(number(&device)).unwrap();
    session.copy(0, 2048, 321).unwrap();
    let _another = device.session().unwrap();
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));

    let after = query.device(number(&device)).unwrap();
    assert_eq!(after.counters.transfers - before.counters.transfers, 1);
    assert_eq!(after.counters.bytes - before.counters.bytes, 321);
    assert_eq!(after.counters.errors - before.counters.errors, 1);
    assert_eq!(after.sessions - before.sessions, 1);
    assert_eq!(after.timeout, SHORT);
    assert_eq!(
        (before.state, after.state),
        (State::Running, State::Stalled)
    );
}

#[hil::test]
fn an_answer_has_each_attribute_once_and_short_numbers(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut query = Query::open().unwrap();
    let request = Attribute::u32(attribute::NUMBER, number(&device));
    let answers = query.connection().request(command::GET_DEVICE, &[request]);
    let answers = answers.unwrap();
    assert_eq!(answers.len(), 1);
    for attribute in [attribute::CAPABILITIES, attribute::BUFFER_BYTES] {
        assert_eq!(answers[0].attribute(attribute).unwrap().len(), 4);
    }
    assert_eq!(answers[0].command, command::GET_DEVICE);
    assert_eq!(answers[0].version, VERSION);
    let numbers: Vec<_> = answers[0].attributes.iter().map(|a| a.number).collect();
    assert_eq!(numbers, (1..=13).collect::<Vec<_>>());
}

#[hil::test]
fn a_device_that_is_not_there_is_refused_in_words(_: &mut Target) {
    let mut connection = Connection::open(FAMILY).unwrap();
    for number in [1_000, u32::MAX] {
        let request = Attribute::u32(attribute::NUMBER, number);
        let (errno, reason, attribute) =
            refusal(connection.request(command::GET_DEVICE, &[request]));
        assert_eq!(errno, libc::ENODEV);
        assert_eq!(reason, "there is no device with this number");
        assert_eq!(attribute, Some(attribute::NUMBER));
    }
    let error = Query::open().unwrap().device(1_000).unwrap_err();
    assert_eq!(error.to_string(), "dmacopy1000: cannot query its status");
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}

#[hil::test]
fn a_request_without_a_number_is_refused_in_words(_: &mut Target) {
    let mut connection = Connection::open(FAMILY).unwrap();
    let (errno, reason, attribute) = refusal(connection.request(command::GET_DEVICE, &[]));
    assert_eq!(errno, libc::EINVAL);
    assert_eq!(reason, "an attribute is missing");
    assert_eq!(attribute, Some(attribute::NUMBER));
}

#[hil::test]
fn an_attribute_that_does_not_fit_the_policy_is_refused(_: &mut Target) {
    let mut connection = Connection::open(FAMILY).unwrap();
    let right = || Attribute::u32(attribute::NUMBER, number(&Device::first().unwrap()));
    let with = |number, length| Attribute {
        number,
        payload: vec![0; length],
    };
    for attributes in [
        vec![with(attribute::NUMBER, 0)],
        vec![with(attribute::NUMBER, 2)],
        vec![with(attribute::NUMBER, 8)],
        vec![with(0, 4), right()],
        vec![right(), with(attribute::NAME, 4)],
        vec![right(), with(attribute::SEQUENCE, 8)],
        vec![right(), with(0x3fff, 0)],
    ] {
        let answer = connection.request(command::GET_DEVICE, &attributes);
        let (errno, reason, _) = refusal(answer);
        assert_eq!(errno, libc::EINVAL, "{attributes:?}");
        assert_ne!(reason, "", "{attributes:?}");
    }
    connection.request(command::GET_DEVICE, &[right()]).unwrap();
}

#[hil::test]
fn a_list_takes_no_attributes(_: &mut Target) {
    let mut connection = Connection::open(FAMILY).unwrap();
    let number = Attribute::u32(attribute::NUMBER, 0);
    let (errno, ..) = refusal(connection.dump(command::GET_DEVICE, &[number]));
    assert_eq!(errno, libc::EINVAL);
}

#[hil::test]
fn a_command_that_does_not_exist_is_refused(_: &mut Target) {
    let mut connection = Connection::open(FAMILY).unwrap();
    let events = [
        command::DEVICE_ADDED,
        command::DEVICE_REMOVED,
        command::STATE_CHANGED,
    ];
    for unknown in [0, 200, u8::MAX].into_iter().chain(events) {
        let (errno, ..) = refusal(connection.request(unknown, &[]));
        assert_eq!(errno, libc::EOPNOTSUPP, "{unknown}");
        let (errno, ..) = refusal(connection.dump(unknown, &[]));
        assert_eq!(errno, libc::EOPNOTSUPP, "{unknown}");
    }
}

#[hil::test(timeout = "60 s")]
fn a_list_tells_of_all_devices_in_their_order(_: &mut Target) {
    let mut query = Query::open().unwrap();
    let names = |query: &mut Query| -> Vec<String> {
        let devices = query.devices().unwrap();
        devices.into_iter().map(|device| device.name).collect()
    };
    let listed = || -> Vec<String> {
        let devices = Device::all().unwrap();
        devices.iter().map(|d| d.name().to_owned()).collect()
    };
    let one = names(&mut query);
    assert_eq!(one, listed());

    let bound = Bound::all().unwrap();
    assert!(bound.count() > 0, "this board has nothing to bind");
    let many = names(&mut query);
    assert_eq!(many.len(), one.len() + bound.count());
    assert_eq!(many, listed());
    let single: Vec<_> = query.devices().unwrap();
    for status in &single {
        assert_eq!(query.device(status.number).unwrap(), *status);
    }

    // A number between others that nobody has.
    let unbound = Unbound::new().unwrap();
    let left = names(&mut query);
    let mut gone = single.iter().filter(|status| !left.contains(&status.name));
    let gone = gone.next().unwrap().number;
    assert_eq!(query.device(gone).errno(), Some(libc::ENODEV));
    unbound.rebind().unwrap();
    bound.release().unwrap();
    assert_eq!(names(&mut query), one);
}

#[hil::test(timeout = "60 s", requires("free-devices"))]
fn a_list_of_several_packets_has_each_device_once(_: &mut Target) {
    let bound = Bound::all().unwrap();
    let family = Connection::open(FAMILY).unwrap().family().id;
    let packets = Dump::of_devices(family).unwrap().rest().unwrap();
    assert!(packets.len() > 1, "{packets:?}");
    assert!(packets.iter().all(|packet| !packet.interrupted));
    let numbers: Vec<_> = packets.into_iter().flat_map(|p| p.numbers).collect();
    let all = Device::all().unwrap();
    assert_eq!(numbers, all.iter().map(number).collect::<Vec<_>>());
    bound.release().unwrap();
}

#[hil::test(timeout = "60 s", requires("free-devices"))]
fn a_list_that_changes_while_it_is_read_says_so(_: &mut Target) {
    let bound = Bound::all().unwrap();
    let family = Connection::open(FAMILY).unwrap().family().id;
    let mut dump = Dump::of_devices(family).unwrap();
    bound.release().unwrap();
    let first = dump.packet().unwrap();
    assert!(!first.interrupted && !first.done, "{first:?}");
    // None is left of those that would have come.
    let rest = dump.rest().unwrap();
    let gone = Packet {
        numbers: Vec::new(),
        interrupted: true,
        done: true,
    };
    assert_eq!(rest, [gone]);
}

#[hil::test(timeout = "60 s", requires("free-devices"))]
fn a_list_that_is_not_read_to_its_end_keeps_the_module(_: &mut Target) {
    let bound = Bound::all().unwrap();
    let family = Connection::open(FAMILY).unwrap().family().id;
    let mut read = Dump::of_devices(family).unwrap();
    let closed = Dump::of_devices(family).unwrap();
    assert_eq!(Unloaded::new().errno(), Some(libc::EAGAIN));
    read.rest().unwrap();
    assert_eq!(Unloaded::new().errno(), Some(libc::EAGAIN));
    drop(closed);
    bound.release().unwrap();
    Unloaded::new().unwrap().reload().unwrap();
}

#[hil::test]
fn a_stall_and_the_recovery_are_told_once_each_to_all_who_listen(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let last = session.copy(0, 2048, 1).unwrap().sequence;
    let mut listeners = vec![Events::listen().unwrap(), Events::listen().unwrap()];

    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    let expected = state_changed(&device, State::Stalled, last + 1);
    for events in &mut listeners {
        assert_eq!(events.next(PATIENCE).unwrap(), Some(expected.clone()));
    }
    // Still stalled, so there is nothing new.
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    listeners.push(Events::listen().unwrap());
    for events in &mut listeners {
        assert_eq!(events.next(Some(SHORT)).unwrap(), None);
    }

    stalled.lift().unwrap();
    let expected = state_changed(&device, State::Running, last + 3);
    for events in &mut listeners {
        assert_eq!(events.next(PATIENCE).unwrap(), Some(expected.clone()));
    }
    session.copy(0, 2048, 1).unwrap();
    for events in &mut listeners {
        assert_eq!(events.next(Some(SHORT)).unwrap(), None);
    }
}

#[hil::test]
fn a_device_that_goes_and_comes_is_told(_: &mut Target) {
    let device = Device::first().unwrap();
    let (number, name) = (number(&device), device.name().to_owned());
    let mut events = Events::listen().unwrap();
    let mut query = Query::open().unwrap();

    let unbound = Unbound::new().unwrap();
    let gone = Event::Removed {
        number,
        name: name.clone(),
    };
    assert_eq!(events.next(PATIENCE).unwrap(), Some(gone));
    assert_eq!(query.device(number).errno(), Some(libc::ENODEV));
    let others = query.devices().unwrap();
    assert!(others.iter().all(|status| status.number != number));

    unbound.rebind().unwrap();
    let come = Event::Added { number, name };
    assert_eq!(events.next(PATIENCE).unwrap(), Some(come));
    assert_eq!(query.device(number).unwrap().sessions, 0);
    assert_eq!(events.next(Some(SHORT)).unwrap(), None);
}

#[hil::test]
fn a_device_that_goes_while_it_is_stalled_is_told_in_order(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let last = session.copy(0, 2048, 1).unwrap().sequence;
    let mut events = Events::listen().unwrap();
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    let unbound = Unbound::new().unwrap();
    let stalled = state_changed(&device, State::Stalled, last + 1);
    assert_eq!(events.next(PATIENCE).unwrap(), Some(stalled));
    let next = events.next(PATIENCE).unwrap();
    assert!(matches!(next, Some(Event::Removed { .. })), "{next:?}");
    unbound.rebind().unwrap();
    let next = events.next(PATIENCE).unwrap();
    assert!(matches!(next, Some(Event::Added { .. })), "{next:?}");
}

#[hil::test]
fn a_copy_that_succeeds_is_no_event(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut events = Events::listen().unwrap();
    session.copy(0, 2048, 1).unwrap();
    assert_eq!(events.next(Some(SHORT)).unwrap(), None);
}

#[hil::test(timeout = "60 s")]
fn who_does_not_read_is_told_that_events_were_lost_and_goes_on(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut slow = Events::listen().unwrap();
    nix::sys::socket::setsockopt(&slow, nix::sys::socket::sockopt::RcvBuf, &0).unwrap();
    for _ in 0..20 {
        let stalled = Stalled::new(&device, SHORT).unwrap();
        assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
        stalled.lift().unwrap();
        session.copy(0, 2048, 1).unwrap();
    }
    let mut lost = 0;
    let mut seen = 0;
    loop {
        match slow.next(Some(SHORT)) {
            Ok(Some(_)) => seen += 1,
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS), "{error}");
                lost += 1;
            }
        }
    }
    assert!(
        lost > 0 && seen > 0 && seen < 40,
        "lost {lost}, seen {seen}"
    );

    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    assert!(slow.next(PATIENCE).unwrap().is_some());
    stalled.lift().unwrap();
}

#[hil::test]
fn what_another_program_sends_to_a_listener_is_no_event(_: &mut Target) {
    let mut listener = Listener::join(FAMILY, group::EVENTS).unwrap();
    let descriptor = listener.as_fd().as_raw_fd();
    let address: NetlinkAddr = getsockname(descriptor).unwrap();
    // `struct nlmsghdr` and `struct genlmsghdr`, as the driver's events begin.
    let mut forged = [0; 20];
    forged[0] = 20;
    forged[4..6].copy_from_slice(&listener.family().id.to_ne_bytes());
    forged[16] = command::STATE_CHANGED;
    forged[17] = VERSION;
    let sender = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )
    .unwrap();
    let sent = sendto(sender.as_raw_fd(), &forged, &address, MsgFlags::empty());
    assert_eq!(sent, Ok(forged.len()));
    assert_eq!(listener.next(Some(SHORT)).unwrap(), None);

    let unbound = Unbound::new().unwrap();
    let event = listener.next(PATIENCE).unwrap().unwrap();
    assert_eq!(event.command, command::DEVICE_REMOVED);
    unbound.rebind().unwrap();
}

#[hil::test]
fn no_privilege_is_needed(_: &mut Target) {
    if let Some(role) = role() {
        setresgid(NOBODY.into(), NOBODY.into(), NOBODY.into()).unwrap();
        let nobody = Uid::from_raw(NOBODY);
        setresuid(nobody, nobody, nobody).unwrap();
        assert_eq!(Gid::effective(), NOBODY.into());
        let mut events = Events::listen().unwrap();
        let mut query = Query::open().unwrap();
        let devices = query.devices().unwrap();
        assert_eq!(query.device(devices[0].number).unwrap(), devices[0]);
        role.ready().unwrap();
        role.wait().unwrap();
        let event = events.next(PATIENCE).unwrap();
        let is_stall = matches!(event, Some(Event::StateChanged { .. }));
        std::process::exit(if is_stall { 0 } else { 3 });
    }
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut client = Client::start("no_privilege_is_needed", "nobody").unwrap();
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    client.go().unwrap();
    assert!(client.end().unwrap().success());
}

#[hil::test]
fn the_family_goes_and_comes_with_the_module_whoever_listens(_: &mut Target) {
    let mut events = Events::listen().unwrap();
    let mut query = Query::open().unwrap();
    let devices = Device::all().unwrap();
    let unloaded = Unloaded::new().unwrap();

    for _ in devices {
        let gone = events.next(PATIENCE).unwrap();
        assert!(matches!(gone, Some(Event::Removed { .. })), "{gone:?}");
    }
    let error = Connection::open(FAMILY).unwrap_err();
    let Error::Netlink { source, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(*source, Failure::NoFamily), "{source}");
    assert_eq!(query.devices().errno(), Some(libc::ENOENT));
    Listener::join(FAMILY, group::EVENTS).unwrap_err();

    unloaded.reload().unwrap();
    // Who has joined the family that has gone is no member of the new one.
    assert_eq!(events.next(Some(SHORT)).unwrap(), None);
    let device = Device::first().unwrap();
    let told = Query::open().unwrap().device(number(&device)).unwrap();
    assert_eq!(told.name, device.name());
    assert_eq!(told.counters.transfers, 0);
}

#[hil::test(timeout = "60 s")]
fn questions_during_unbinding_get_the_device_or_enodev(_: &mut Target) {
    let number = number(&Device::first().unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let asking = thread::spawn(move || -> std::result::Result<_, dmacopy_client::Error> {
        let mut query = Query::open()?;
        loop {
            // Before asking, so that the last answer is about a device that is there.
            let last = seen.load(Ordering::SeqCst);
            query.devices()?;
            match query.device(number) {
                Err(error) if !last && error.raw_os_error() == Some(libc::ENODEV) => {}
                answer if last => return answer,
                answer => drop(answer?),
            }
        }
    });
    for _ in 0..20 {
        Unbound::new().unwrap().rebind().unwrap();
    }
    over.store(true, Ordering::SeqCst);
    assert_eq!(asking.join().unwrap().unwrap().number, number);
}

#[hil::test(timeout = "60 s")]
fn who_hears_that_a_device_has_gone_does_not_find_it(_: &mut Target) {
    let number = number(&Device::first().unwrap());
    for _ in 0..20 {
        let mut events = Events::listen().unwrap();
        let mut query = Query::open().unwrap();
        let hearing = thread::spawn(move || {
            let heard = events.next(PATIENCE).unwrap();
            (heard, query.device(number).errno())
        });
        let unbound = Unbound::new().unwrap();
        let (heard, found) = hearing.join().unwrap();
        assert!(matches!(heard, Some(Event::Removed { .. })), "{heard:?}");
        assert_eq!(found, Some(libc::ENODEV));
        unbound.rebind().unwrap();
    }
}

#[hil::test]
fn a_stalled_engine_does_not_keep_questions_waiting(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let _stalled = Stalled::new(&device, LONG).unwrap();
    session.write(b"waits").unwrap();
    let told = Query::open().unwrap().device(number(&device)).unwrap();
    assert_eq!(told.state, State::Running);
}

hil::main!();
