// SPDX-License-Identifier: MIT OR Apache-2.0

//! The function as an emulator and a driver see it, by the protocol's own client.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod driver;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use dmacopy_device::faults::Command;
use dmacopy_device::model::Model;
use dmacopy_device::port::{self, Answer};
use dmacopy_device::registers::{Descriptor, completion, control, offset, status};
use driver::{DATA, Driver, RAM, copy, eventually, nop};

const SOON: Duration = Duration::from_secs(20);
/// Long enough for what does not come.
const A_WHILE: Duration = Duration::from_millis(100);

#[test]
fn a_doorbell_leads_to_a_completion_and_then_to_a_message() {
    let mut driver = Driver::started();
    for round in 0..300u32 {
        let byte = round.to_le_bytes()[0];
        driver.fill(DATA, &[byte; 1000]);
        driver.submit(&[copy(DATA, DATA + 0x1001, 1000)]);
        assert!(driver.message_within(SOON), "round {round}");
        let found = driver.completion(round);
        assert_eq!((found.status, found.cookie), (completion::OK, 0xc0ffee));
        assert_eq!(driver.bytes(DATA + 0x1000, 1002)[1..1001], [byte; 1000]);
    }
    let guards = driver.bytes(DATA + 0x1000, 1002);
    assert_eq!((guards[0], guards[1001]), (0, 0));
    let state = driver.state();
    assert_eq!((state.descriptors, state.bytes), (300, 300_000));
    assert_eq!((state.messages, state.trouble), (300, None));
}

#[test]
fn the_function_is_found_where_the_datasheet_says() {
    let mut driver = Driver::started();
    let identity = driver.config(0);
    assert_eq!(identity, 0x10f0_1af4);
    assert_eq!(driver.config(8) >> 8, 0x08_8000);
    assert_eq!(driver.read(offset::ID), 0x4341_4d44);
    // Any other access reads all ones, writes nothing, and harms nothing.
    assert_eq!(driver.read_bytes(1, 4), [0xff; 4]);
    assert_eq!(driver.read_bytes(0, 8), [0xff; 8]);
    assert_eq!(driver.read_bytes(0, 2), [0xff; 2]);
    driver.write_bytes(offset::CONTROL as u64, &[2]);
    driver.write_bytes(offset::CONTROL as u64, &[2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(driver.read(offset::STATUS), status::RUNNING);
    assert_eq!(driver.state().bad_accesses, 5);
}

#[test]
fn a_lost_message_leaves_the_completion() {
    let mut driver = Driver::started();
    driver.command(&Command::LoseMessages(1));
    driver.submit(&[nop()]);
    assert!(driver.completed_within(1, SOON));
    assert!(!driver.message_within(A_WHILE));
    driver.submit(&[nop()]);
    assert!(driver.message_within(SOON));
    let state = driver.state();
    assert_eq!((state.messages, state.lost_messages), (1, 1));
}

#[test]
fn a_spurious_message_has_no_cause() {
    let mut driver = Driver::started();
    driver.command(&Command::SpuriousMessages(1));
    assert!(driver.message_within(SOON));
    assert_eq!(driver.read(offset::IRQ_STATUS), 0);
}

#[test]
fn a_stuck_engine_is_busy_until_it_is_released_or_reset() {
    let mut driver = Driver::started();
    driver.command(&Command::Stick(true));
    driver.submit(&[nop()]);
    assert!(!driver.message_within(A_WHILE));
    let busy = status::RUNNING | status::BUSY;
    assert_eq!(driver.read(offset::STATUS), busy);
    driver.command(&Command::Stick(false));
    assert!(driver.message_within(SOON));

    driver.command(&Command::Stick(true));
    driver.submit(&[nop()]);
    assert_eq!(driver.read(offset::STATUS), busy);
    driver.reset();
    driver.start();
    driver.command(&Command::Clear);
    driver.submit(&[nop()]);
    assert!(driver.message_within(SOON));
    assert_eq!(driver.completion(0).sequence, 1);
}

#[test]
fn a_frozen_engine_cannot_be_reset() {
    let mut driver = Driver::started();
    driver.command(&Command::Freeze(true));
    driver.write(offset::CONTROL, control::RESET);
    driver.submit(&[nop()]);
    assert!(!driver.message_within(A_WHILE));
    assert_eq!(
        driver.read(offset::CONTROL) & control::RESET,
        control::RESET
    );
    driver.function_level_reset();
    driver.set_command(0x06);
    assert_eq!(driver.state().resets, driver.resets_before());
    driver.command(&Command::Clear);
    assert!(eventually(SOON, || driver.read(offset::CONTROL) == 0));
}

#[test]
fn a_dead_function_reads_all_ones() {
    let mut driver = Driver::started();
    driver.command(&Command::Die(true));
    driver.submit(&[nop()]);
    assert_eq!(driver.read(offset::STATUS), u32::MAX);
    assert_eq!(driver.config(0), u32::MAX);
    assert!(!driver.message_within(A_WHILE));
    driver.command(&Command::Die(false));
    assert_eq!(driver.read(offset::HEAD), 0);
    assert_eq!(driver.config(0), 0x10f0_1af4);
}

#[test]
fn a_dead_function_forgets_what_it_was_doing() {
    let mut driver = Driver::started();
    driver.command(&Command::Stick(true));
    driver.submit(&[nop()]);
    driver.command(&Command::Die(true));
    driver.command(&Command::Clear);
    assert!(!driver.completed_within(1, A_WHILE));
    assert_eq!(driver.read(offset::STATUS), 0);
}

#[test]
fn a_failure_meets_the_descriptor_it_is_meant_for() {
    let mut driver = Driver::started();
    let status = completion::INTERNAL;
    driver.command(&Command::FailCookie { cookie: 2, status });
    let marked = |cookie| Descriptor { cookie, ..nop() };
    driver.submit(&[marked(1), marked(2), marked(3)]);
    assert!(driver.completed_within(3, SOON));
    let found = [0, 1, 2].map(|index| driver.completion(index).status);
    assert_eq!(found, [completion::OK, status, completion::OK]);
}

#[test]
fn a_refused_range_is_refused_until_faults_are_cleared() {
    let mut driver = Driver::started();
    let (address, length) = (DATA + 100, 1);
    driver.command(&Command::Refuse { address, length });
    driver.submit(&[
        copy(DATA, DATA + 0x1000, 200),
        copy(DATA + 0x1000, DATA, 200),
    ]);
    assert!(driver.completed_within(2, SOON));
    assert_eq!(driver.completion(0).status, completion::SOURCE_REFUSED);
    assert_eq!(driver.completion(1).status, completion::DESTINATION_REFUSED);
    driver.command(&Command::Clear);
    driver.submit(&[copy(DATA, DATA + 0x1000, 200)]);
    assert!(driver.completed_within(3, SOON));
    assert_eq!(driver.completion(2).status, completion::OK);
}

#[test]
fn a_slow_completion_comes_late_and_can_be_aborted() {
    let mut driver = Driver::started();
    driver.command(&Command::Slow(50_000));
    let started = std::time::Instant::now();
    driver.submit(&[nop()]);
    assert!(driver.message_within(SOON));
    assert!(started.elapsed() >= Duration::from_millis(50));
    driver.command(&Command::Slow(3_600_000_000));
    driver.submit(&[nop()]);
    driver.reset();
    assert!(!driver.message_within(A_WHILE));
}

#[test]
fn a_corrupted_transfer_is_told_as_done() {
    let mut driver = Driver::started();
    driver.fill(DATA, b"pattern");
    driver.command(&Command::Corrupt(1));
    driver.submit(&[copy(DATA, DATA + 64, 7), copy(DATA, DATA + 128, 7)]);
    assert!(driver.completed_within(2, SOON));
    assert_eq!(driver.completion(0).status, completion::OK);
    assert_ne!(driver.bytes(DATA + 64, 7), b"pattern");
    assert_eq!(driver.bytes(DATA + 128, 7), b"pattern");
}

#[test]
fn without_bus_master_nothing_is_accessed_or_sent() {
    let mut driver = Driver::started();
    driver.set_command(0x02);
    driver.submit(&[nop()]);
    assert!(!driver.message_within(A_WHILE));
    assert_eq!(driver.read(offset::STATUS), status::FATAL);
    assert_eq!(driver.state().blocked_messages, 1);
    assert_eq!(driver.completion(0).sequence, 0);
}

#[test]
fn a_function_level_reset_stops_and_resets_everything() {
    let mut driver = Driver::started();
    driver.function_level_reset();
    assert_eq!(driver.config(4) & 0xffff, 0, "command register");
    assert_eq!(driver.read(offset::STATUS), u32::MAX, "memory space is off");
    driver.set_command(0x06);
    assert_eq!(driver.read(offset::STATUS), 0);
    driver.start();
    driver.submit(&[nop()]);
    assert!(driver.message_within(SOON));
}

#[test]
fn the_next_emulator_finds_a_function_that_was_just_switched_on() {
    let mut driver = Driver::started();
    driver.submit(&[nop()]);
    assert!(driver.message_within(SOON));
    let model = driver.unplug();
    assert!(eventually(SOON, || !model
        .command(&Command::State)
        .is_connected));
    let mut driver = Driver::connected(model);
    assert_eq!(driver.config(4) & 0xffff, 0);
    driver.set_command(0x06);
    assert_eq!(driver.read(offset::STATUS), 0);
    assert_eq!(driver.read(offset::RING_SIZE), 0);
    driver.share_memory();
    driver.start();
    driver.submit(&[copy(DATA, DATA + 64, 64)]);
    assert!(driver.message_within(SOON));
    assert_eq!(driver.completion(0).status, completion::OK);
}

#[test]
fn a_function_that_was_given_up_takes_no_more_emulators() {
    let model = Model::start().unwrap();
    let socket = model.socket().unwrap();
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let open = UnixStream::connect(&path);
    assert!(open.is_ok(), "{open:?}");
    drop(model);
    let refused = || UnixStream::connect(&path).is_err();
    assert!(eventually(SOON, refused));
}

#[test]
fn memory_that_was_taken_away_is_out_of_reach() {
    let mut driver = Driver::started();
    driver.take_memory_away();
    driver.submit(&[nop()]);
    assert!(driver.message_within(SOON));
    assert_eq!(driver.read(offset::STATUS), status::FATAL);
    driver.reset();
    driver.share_memory();
    driver.start();
    driver.submit(&[copy(RAM + 0x8000, DATA, 8)]);
    assert!(driver.message_within(SOON));
}

#[test]
fn the_fault_port_takes_lines_and_refuses_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults");
    let model = Arc::new(Model::start().unwrap());
    port::listen(model, UnixListener::bind(&path).unwrap()).unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let reader = stream.try_clone().unwrap();
    let mut answers = BufReader::new(reader).lines();
    let mut ask = |line: &str| {
        writeln!(stream, "{line}").unwrap();
        let answer = answers.next().unwrap().unwrap();
        serde_json::from_str::<Answer>(&answer).unwrap()
    };
    for line in [
        r#""state""#,
        r#""clear""#,
        r#"{"lose_messages": 1}"#,
        r#"{"spurious_messages": 1}"#,
        r#"{"stick": true}"#,
        r#"{"freeze": false}"#,
        r#"{"die": false}"#,
        r#"{"fail": {"count": 1, "status": 5}}"#,
        r#"{"fail_cookie": {"cookie": 7, "status": 5}}"#,
        r#"{"refuse": {"address": 4096, "length": 16}}"#,
        r#"{"slow": 100}"#,
        r#"{"corrupt": 1}"#,
    ] {
        assert!(matches!(ask(line), Answer::Ok(_)), "{line}");
    }
    let Answer::Ok(state) = ask("\"state\"") else {
        panic!("the state is refused");
    };
    assert_eq!((state.is_connected, state.blocked_messages), (false, 1));
    for line in ["", "state", r#"{"loose": 1}"#, r#"{"fail": {"count": 1}}"#] {
        assert!(matches!(ask(line), Answer::Error(_)), "{line}");
    }
}
