// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signals say which session has what to read, and that the device has gone.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process;
use std::time::Duration;

use dmacopy_client::{Coalescing, Device, Rings, Session};
use hil::Target;
use kernel_channels::Readiness;
use kernel_channels::signal::{Blocked, Info, Notification, Signal};
use nix::sys::signal::Signal::SIGKILL;
use on_target::{
    Client, Errno, PATIENCE, Result, Stalled, Unbound, nonsense, nop, role, small_copy, submit,
    wait_until,
};

const NOW: Option<Duration> = Some(Duration::ZERO);
const SHORT: Duration = Duration::from_millis(50);

/// `POLL_IN`, `POLL_ERR` and `POLL_HUP` of `sigaction(2)`.
const POLL_IN: i32 = 1;
const POLL_ERR: i32 = 4;
const POLL_HUP: i32 = 6;

fn queued() -> Signal {
    Signal::real_time(0).unwrap()
}

fn opened() -> Result<(Device, Session, Rings)> {
    let device = Device::first()?;
    let session = device.session()?;
    let rings = session.rings()?;
    Ok((device, session, rings))
}

/// What a signal tells of a session, if it is about that.
fn about(info: Option<Info>, session: &Session) -> Option<(i32, Readiness)> {
    let info = info?;
    let poll = info.poll?;
    (poll.descriptor == session.as_fd().as_raw_fd()).then_some((info.code, poll.readiness))
}

const INPUT: (i32, Readiness) = (
    POLL_IN,
    Readiness {
        readable: true,
        writable: false,
        priority: false,
        hang_up: false,
        error: false,
    },
);

#[hil::test]
fn a_completion_sends_a_signal_that_says_of_which_session(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (device, session, mut rings) = opened().unwrap();
    let (_, other, _) = opened().unwrap();
    let _first = session.signal_this_thread(queued()).unwrap();
    let _second = other.signal_this_thread(queued()).unwrap();
    let stalled = Stalled::new(&device, Duration::from_secs(30)).unwrap();
    submit(&mut rings, &session, &[small_copy(1)], 0).unwrap();
    assert_eq!(blocked.wait(Some(SHORT)).unwrap(), None);
    stalled.lift().unwrap();
    let info = blocked.wait(PATIENCE).unwrap();
    assert_eq!(about(info, &session), Some(INPUT));
    assert_eq!(blocked.wait(Some(SHORT)).unwrap(), None, "one is enough");
}

#[hil::test]
fn each_batch_sends_a_signal_and_none_is_lost(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, mut rings) = opened().unwrap();
    let _notification = session.signal_this_thread(queued()).unwrap();
    for n in 0..10 {
        submit(&mut rings, &session, &[nop(n), nop(n)], 0).unwrap();
    }
    for n in 0..10 {
        let info = blocked.wait(NOW).unwrap();
        assert_eq!(about(info, &session), Some(INPUT), "{n}");
    }
    assert_eq!(blocked.wait(NOW).unwrap(), None);
}

#[hil::test]
fn a_completion_that_is_a_failure_says_so_first(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, mut rings) = opened().unwrap();
    let _notification = session.signal_this_thread(queued()).unwrap();
    submit(&mut rings, &session, &[nop(1), nonsense(2)], 0).unwrap();
    let (code, readiness) = about(blocked.wait(NOW).unwrap(), &session).unwrap();
    assert_eq!(code, POLL_ERR);
    assert!(readiness.error && !readiness.readable, "{readiness}");
    let info = blocked.wait(NOW).unwrap();
    assert_eq!(about(info, &session), Some(INPUT));
    // Only once.
    submit(&mut rings, &session, &[nop(3)], 0).unwrap();
    let info = blocked.wait(NOW).unwrap();
    assert_eq!(about(info, &session), Some(INPUT));
    assert_eq!(blocked.wait(NOW).unwrap(), None);
}

#[hil::test]
fn a_stalled_engine_sends_the_failure_of_a_copy(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (device, session, mut rings) = opened().unwrap();
    let _notification = session.signal_this_thread(queued()).unwrap();
    let _stalled = Stalled::new(&device, SHORT).unwrap();
    submit(&mut rings, &session, &[small_copy(1)], 0).unwrap();
    let info = blocked.wait(PATIENCE).unwrap();
    assert_eq!(about(info, &session).unwrap().0, POLL_ERR);
    assert_eq!(rings.pop().unwrap().unwrap().errno, Some(libc::ETIMEDOUT));
}

#[hil::test]
fn the_stream_sends_a_signal_when_it_can_be_read(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, _) = opened().unwrap();
    let _notification = session.signal_this_thread(queued()).unwrap();
    session.write(b"signal").unwrap();
    let info = blocked.wait(PATIENCE).unwrap();
    assert_eq!(about(info, &session), Some(INPUT));
    assert_eq!(session.read(&mut [0; 16]).unwrap(), 6);
}

#[hil::test]
fn sigio_comes_for_many_completions_as_one(_: &mut Target) {
    let blocked = Blocked::new(&[Signal::IO]).unwrap();
    let (_, session, mut rings) = opened().unwrap();
    let _notification = session.signal_this_thread(Signal::IO).unwrap();
    for n in 0..3 {
        submit(&mut rings, &session, &[nop(n)], 0).unwrap();
    }
    assert_eq!(blocked.wait(NOW).unwrap().unwrap().signal, Signal::IO);
    assert_eq!(blocked.wait(NOW).unwrap(), None);
}

#[hil::test]
fn signals_are_coalesced_as_everything_is(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, mut rings) = opened().unwrap();
    let _notification = session.signal_this_thread(queued()).unwrap();
    let coalescing = Coalescing {
        count: 3,
        delay: SHORT,
    };
    session.coalesce(coalescing).unwrap();
    submit(&mut rings, &session, &[nop(1), nonsense(2)], 0).unwrap();
    assert_eq!(blocked.wait(NOW).unwrap(), None);
    submit(&mut rings, &session, &[nop(3)], 0).unwrap();
    // What has failed is not forgotten meanwhile.
    let info = blocked.wait(NOW).unwrap();
    assert_eq!(about(info, &session).unwrap().0, POLL_ERR);
    let info = blocked.wait(NOW).unwrap();
    assert_eq!(about(info, &session), Some(INPUT));
    submit(&mut rings, &session, &[nop(4)], 0).unwrap();
    assert_eq!(blocked.wait(NOW).unwrap(), None);
    // The timer sends it as well.
    let info = blocked.wait(PATIENCE).unwrap();
    assert_eq!(about(info, &session), Some(INPUT));
}

#[hil::test]
fn a_device_that_goes_sends_its_last_signal(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, _) = opened().unwrap();
    let _notification = session.signal_this_thread(queued()).unwrap();
    let unbound = Unbound::new().unwrap();
    let (code, readiness) = about(blocked.wait(PATIENCE).unwrap(), &session).unwrap();
    assert_eq!(code, POLL_HUP);
    assert!(readiness.hang_up && readiness.error, "{readiness}");
    assert_eq!(blocked.wait(NOW).unwrap(), None);
    unbound.rebind().unwrap();
}

#[hil::test]
fn what_was_untold_sends_no_signal_after_the_last(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, mut rings) = opened().unwrap();
    let _notification = session.signal_this_thread(queued()).unwrap();
    let delay = Duration::from_secs(1);
    session.coalesce(Coalescing { count: 100, delay }).unwrap();
    submit(&mut rings, &session, &[nop(1)], 0).unwrap();
    let unbound = Unbound::new().unwrap();
    let next = || about(blocked.wait(PATIENCE).unwrap(), &session).unwrap().0;
    // If unbinding takes that long, the time has passed before.
    while next() != POLL_HUP {}
    assert_eq!(blocked.wait(Some(delay + SHORT)).unwrap(), None);
    unbound.rebind().unwrap();
}

#[hil::test]
fn nobody_is_sent_a_signal_who_has_not_asked_or_does_not_want_it_any_more(_: &mut Target) {
    let blocked = Blocked::new(&[queued(), Signal::IO]).unwrap();
    let (_, session, mut rings) = opened().unwrap();
    submit(&mut rings, &session, &[nop(1)], 0).unwrap();
    assert_eq!(blocked.wait(NOW).unwrap(), None);
    let notification = session.signal_this_thread(queued()).unwrap();
    drop(notification);
    submit(&mut rings, &session, &[nop(2)], 0).unwrap();
    assert_eq!(blocked.wait(NOW).unwrap(), None);
    // Again, from the start.
    let notification = session.signal_this_thread(queued()).unwrap();
    submit(&mut rings, &session, &[nop(3)], 0).unwrap();
    let info = blocked.wait(NOW).unwrap();
    assert_eq!(about(info, &session), Some(INPUT));
    drop(notification);
}

#[hil::test]
fn all_descriptors_of_one_file_have_one_owner(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, mut rings) = opened().unwrap();
    let second = session.as_fd().try_clone_to_owned().unwrap();
    let notification = Notification::to_this_thread(&second, queued()).unwrap();
    submit(&mut rings, &session, &[nop(1)], 0).unwrap();
    let info = blocked.wait(NOW).unwrap().unwrap();
    assert_eq!(info.poll.unwrap().descriptor, second.as_raw_fd());
    assert_eq!(blocked.wait(NOW).unwrap(), None);
    // The file stays open, and goes on sending, when that descriptor is closed.
    std::mem::forget(notification);
    drop(second);
    submit(&mut rings, &session, &[nop(2)], 0).unwrap();
    assert!(blocked.wait(NOW).unwrap().is_some());
}

#[hil::test]
fn a_file_that_is_closed_while_it_sends_signals_sends_no_more(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let device = Device::first().unwrap();
    for _ in 0..10 {
        let (_, session, mut rings) = opened().unwrap();
        let notification = session.signal_this_thread(queued()).unwrap();
        std::mem::forget(notification);
        let batch = [small_copy(1), small_copy(2), small_copy(3)];
        submit(&mut rings, &session, &batch, 0).unwrap();
    }
    assert_eq!(device.attributes().sessions().unwrap(), 0);
    while blocked.wait(NOW).unwrap().is_some() {}
    let (_, session, mut rings) = opened().unwrap();
    submit(&mut rings, &session, &[nop(1)], 0).unwrap();
    assert_eq!(blocked.wait(NOW).unwrap(), None);
}

#[hil::test]
fn a_device_goes_while_signals_are_asked_for_and_the_file_is_closed_later(_: &mut Target) {
    let blocked = Blocked::new(&[queued()]).unwrap();
    let (_, session, _) = opened().unwrap();
    let notification = session.signal_this_thread(queued()).unwrap();
    Unbound::new().unwrap().rebind().unwrap();
    assert!(blocked.wait(PATIENCE).unwrap().is_some());
    drop(notification);
    // Asking a device that has gone is no error, and brings none.
    let notification = session.signal_this_thread(queued()).unwrap();
    std::mem::forget(notification);
    assert_eq!(session.write(b"x").errno(), Some(libc::ENODEV));
    assert_eq!(blocked.wait(NOW).unwrap(), None);
    drop(session);
}

/// Waits for a signal of the test's session, and says by its end whether it came.
fn be_signalled() -> Result<()> {
    let blocked = Blocked::new(&[queued()])?;
    if let Some(role) = role() {
        role.ready()?;
    }
    let came = blocked.wait(PATIENCE)?;
    process::exit(match came.and_then(|info| info.poll) {
        Some(poll) if poll.readiness.readable => 42,
        _ => 1,
    });
}

#[hil::test]
fn another_process_can_have_the_signal_and_may_be_gone(_: &mut Target) {
    if role().is_some() {
        return be_signalled().unwrap();
    }
    let test = "another_process_can_have_the_signal_and_may_be_gone";
    let (_, session, mut rings) = opened().unwrap();
    let mut client = Client::start(test, "signalled").unwrap();
    let notification = Notification::to_process(&session, client.id(), queued()).unwrap();
    submit(&mut rings, &session, &[nop(1)], 0).unwrap();
    // The signal may have met a thread that has not blocked it, which ends the client as well.
    let status = client.end().unwrap();
    let came = status.code() == Some(42) || status.signal() == Some(queued().number());
    assert!(came, "{status}");
    submit(&mut rings, &session, &[nop(2)], 0).unwrap();
    drop(notification);
}

/// Asks for signals, and has some on their way.
fn be_killed() -> Result<()> {
    let _blocked = Blocked::new(&[queued()])?;
    let (_, session, mut rings) = opened()?;
    let _notification = session.signal_this_thread(queued())?;
    let _stalled = Stalled::new(&Device::first()?, Duration::from_secs(30))?;
    submit(&mut rings, &session, &[small_copy(1), nop(2)], 0)?;
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
    let stalled = Stalled::new(&device, Duration::from_secs(30)).unwrap();
    let mut client = Client::start("nothing_is_left_of_a_client_that_is_killed", "").unwrap();
    client.signal(SIGKILL).unwrap();
    client.end().unwrap();
    let sessions = || Ok(device.attributes().sessions()?);
    wait_until(sessions, |sessions| *sessions == 0).unwrap();
    stalled.lift().unwrap();
    let (_, session, mut rings) = opened().unwrap();
    submit(&mut rings, &session, &[small_copy(1)], 1).unwrap();
}

hil::main!();
