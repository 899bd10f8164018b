// SPDX-License-Identifier: MIT OR Apache-2.0

//! BPF programs at the driver's tracepoints, and the functions that it offers to them.

use std::time::Duration;

use dmacopy_client::Device;
use dmacopy_uapi::names::{DRIVER, field, kfunc, tracepoint};
use hil::Target;
use kernel_channels::bpf::{
    Array, Code, Function, Kind, Program, Register, RingBuffer, Size, programs,
};
use kernel_channels::tracepoint::Event;
use kernel_channels::{Error, sysfs};
use on_target::{Errno, Result, Stalled, Unbound, Unloaded};

const SHORT: Duration = Duration::from_millis(50);
/// Longer than a record takes to be seen.
const SOON: Duration = Duration::from_secs(10);

fn event(name: &str) -> Event {
    Event::find(tracepoint::SYSTEM, name).unwrap()
}

/// What a function says of a device.
fn ask(name: &str, device: u64) -> i64 {
    let function = Function::find(DRIVER, name).unwrap();
    let program = Program::load("ask", Kind::Call, &programs::query(&function)).unwrap();
    let mut memory = [device.to_ne_bytes(), [0; 8]].concat();
    assert_eq!(program.run(&mut memory).unwrap(), 0);
    i64::from_ne_bytes(memory[8..].try_into().unwrap())
}

fn number(device: &Device) -> u64 {
    let number = device.name().strip_prefix(DRIVER).unwrap();
    number.parse().unwrap()
}

#[hil::test]
fn a_bpf_histogram_has_each_latency_in_its_place(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let complete = event(tracepoint::COMPLETE);
    let array = Array::new("latency", 64).unwrap();
    let code = programs::histogram(&complete, field::LATENCY_NS, &array).unwrap();
    let program = Program::load("latency", Kind::Tracepoint, &code).unwrap();
    session.copy(0, 2048, 1).unwrap();
    assert_eq!(array.read().unwrap(), [0; 64], "not attached yet");

    let attached = program.attach(&complete).unwrap();
    let mut expected = [0; 64];
    for _ in 0..100 {
        let duration = session.copy(0, 2048, 100).unwrap().duration;
        expected[duration.as_nanos().ilog2() as usize] += 1;
    }
    assert_eq!(array.read().unwrap(), expected);

    drop(attached);
    session.copy(0, 2048, 1).unwrap();
    assert_eq!(array.read().unwrap(), expected, "not attached any more");
}

#[hil::test]
fn a_bpf_histogram_counts_from_one_power_of_two_to_the_next(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let complete = event(tracepoint::COMPLETE);
    let array = Array::new("length", 64).unwrap();
    let code = programs::histogram(&complete, field::LENGTH, &array).unwrap();
    let program = Program::load("length", Kind::Tracepoint, &code).unwrap();
    let _attached = program.attach(&complete).unwrap();
    for length in [1, 2, 3, 4, 7, 8, 1023, 1024, 2047, 2048] {
        session.copy(0, 2048, length).unwrap();
    }
    let mut expected = [0; 64];
    for (magnitude, count) in [(0, 1), (1, 2), (2, 2), (3, 1), (9, 1), (10, 2), (11, 1)] {
        expected[magnitude] = count;
    }
    assert_eq!(array.read().unwrap(), expected);
}

#[hil::test]
fn a_bpf_ring_buffer_has_each_error_and_nothing_else(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let error = event(tracepoint::ERROR);
    let mut ring = RingBuffer::new("errors", 4096).unwrap();
    let fields = [field::SEQUENCE, field::LENGTH, field::ERRNO];
    let code = programs::record(&error, &fields, &ring).unwrap();
    let program = Program::load("errors", Kind::Tracepoint, &code).unwrap();
    let attached = program.attach(&error).unwrap();
    let last = session.copy(0, 2048, 1).unwrap().sequence;

    let stalled = Stalled::new(&device, SHORT).unwrap();
    for length in [10, 20] {
        assert_eq!(session.copy(0, 2048, length).errno(), Some(libc::ETIMEDOUT));
    }
    stalled.lift().unwrap();
    session.copy(0, 2048, 30).unwrap();
    drop((attached, program));

    for (sequence, length) in [(last + 1, 10), (last + 2, 20)] {
        let record = ring.next(SOON).unwrap().unwrap();
        let words = record.chunks(8).map(|word| word.try_into().unwrap());
        let words: Vec<_> = words.map(u64::from_ne_bytes).collect();
        assert_eq!(words, [sequence, length, libc::ETIMEDOUT as u64]);
    }
    assert_eq!(ring.next(SHORT).unwrap(), None);
}

#[hil::test]
fn a_bpf_ring_buffer_is_used_again_and_again(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let submit = event(tracepoint::SUBMIT);
    let mut ring = RingBuffer::new("lengths", 4096).unwrap();
    let code = programs::record(&submit, &[field::LENGTH], &ring).unwrap();
    let program = Program::load("lengths", Kind::Tracepoint, &code).unwrap();
    let _attached = program.attach(&submit).unwrap();
    // A record takes 16 bytes, so this goes round four times.
    for length in 1..=1024_u64 {
        session.copy(0, 2048, length).unwrap();
        let record = ring.next(SOON).unwrap().unwrap();
        assert_eq!(record, length.to_ne_bytes());
    }
    // What does not fit any more is lost, and what is there is not.
    for length in 1..=300 {
        session.copy(0, 2048, length).unwrap();
    }
    let mut read = 0;
    while let Some(record) = ring.next(SHORT).unwrap() {
        read += 1_u64;
        assert_eq!(record, read.to_ne_bytes());
    }
    // One place remains empty, so that a full buffer does not look like an empty one.
    assert!((255..=256).contains(&read), "{read}");
}

#[hil::test]
fn a_function_for_bpf_says_what_the_attribute_says(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let number = number(&device);
    let attributes = device.attributes();
    let said = || [kfunc::TRANSFERS, kfunc::BYTES, kfunc::ERRORS].map(|name| ask(name, number));
    let counted = || {
        let counters = attributes.counters().unwrap();
        [counters.transfers, counters.bytes, counters.errors].map(|n| i64::try_from(n).unwrap())
    };
    let before = said();
    assert_eq!(before, counted());
    session.copy(0, 2048, 100).unwrap();
    session.copy(0, 2048, 200).unwrap();
    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 1).errno(), Some(libc::ETIMEDOUT));
    stalled.lift().unwrap();
    assert_eq!(said(), counted());
    assert_eq!(said(), [before[0] + 2, before[1] + 300, before[2] + 1]);
}

#[hil::test]
fn a_function_for_bpf_knows_no_device_that_is_not_there(_: &mut Target) {
    let device = Device::first().unwrap();
    let number = number(&device);
    let enodev = i64::from(-libc::ENODEV);
    for absent in [number + 1000, u64::from(u32::MAX)] {
        assert_eq!(ask(kfunc::TRANSFERS, absent), enodev);
    }
    assert!(ask(kfunc::TRANSFERS, number) >= 0);
    let unbound = Unbound::new().unwrap();
    assert_eq!(ask(kfunc::TRANSFERS, number), enodev);
    unbound.rebind().unwrap();
    assert_eq!(ask(kfunc::TRANSFERS, number), 0, "counted anew");
}

#[hil::test]
fn a_function_that_is_not_for_bpf_is_not_found(_: &mut Target) {
    for name in ["dmacopy_transfer", "dmacopy_count_nothing", ""] {
        let error = Function::find(DRIVER, name).unwrap_err();
        assert!(matches!(error, Error::Function { .. }), "{error}");
        assert!(error.to_string().contains(DRIVER), "{error}");
    }
    let error = Function::find("no_such_module", kfunc::BYTES).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    // It is there, but not offered: the verifier refuses the call.
    let function = Function::find(DRIVER, "dmacopy_register_kfuncs").unwrap();
    let refused = Program::load("refused", Kind::Call, &programs::query(&function));
    assert!(
        matches!(refused, Err(Error::Verifier { .. })),
        "{refused:?}"
    );
}

#[hil::test]
fn a_bpf_program_that_the_verifier_refuses_is_told_why(_: &mut Target) {
    // It reads beyond the stack.
    let mut code = Code::new();
    code.load(Size::Double, Register::R0, Register::R10, 8);
    code.exit();
    let error = Program::load("refused", Kind::Tracepoint, &code).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    let Error::Verifier { program, log, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(program, "refused");
    assert!(log.contains("invalid read from stack"), "{log}");
    assert!(error.to_string().contains(log), "{error}");

    // It reads beyond the record, which is told only now.
    let mut code = Code::new();
    code.load(Size::Double, Register::R0, Register::R1, 512);
    code.set(Register::R0, 0);
    code.exit();
    let program = Program::load("beyond", Kind::Tracepoint, &code).unwrap();
    let error = program.attach(&event(tracepoint::SUBMIT)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    assert!(error.to_string().contains("beyond"), "{error}");
}

#[hil::test]
fn a_module_that_a_bpf_program_uses_stays_until_it_does_not(_: &mut Target) {
    let function = Function::find(DRIVER, kfunc::BYTES).unwrap();
    let program = Program::load("caller", Kind::Call, &programs::query(&function)).unwrap();
    drop(function);
    assert_eq!(Unloaded::new().errno(), Some(libc::EAGAIN), "called");
    drop(program);
    let submit = event(tracepoint::SUBMIT);
    let array = Array::new("length", 64).unwrap();
    let code = programs::histogram(&submit, field::LENGTH, &array).unwrap();
    let program = Program::load("watcher", Kind::Tracepoint, &code).unwrap();
    let attached = program.attach(&submit).unwrap();
    assert_eq!(Unloaded::new().errno(), Some(libc::EAGAIN), "watched");
    drop((attached, program));

    // The kernel frees a program some time after its last descriptor has been closed.
    let unloaded = on_target::wait_until(|| Ok(Unloaded::new().ok()), Option::is_some);
    let reloaded: Result<()> = unloaded.unwrap().unwrap().reload();
    reloaded.unwrap();
    assert!(sysfs::Device::at("/sys/kernel/btf").is_ok());
    let device = Device::first().unwrap();
    device.session().unwrap().copy(0, 2048, 7).unwrap();
    assert_eq!(ask(kfunc::BYTES, number(&device)), 7);
}

hil::main!();
