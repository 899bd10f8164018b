// SPDX-License-Identifier: MIT OR Apache-2.0

//! The engine against the datasheet, without an emulator.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use zerocopy::FromZeros;

use super::*;
use crate::registers::{control, offset, opcode, sequence, status};

const RAM: u64 = 0x4000_0000;
const RAM_BYTES: u64 = 1 << 20;
const RING: u64 = RAM;
const COMPLETIONS: u64 = RAM + 0x1000;
const DATA: u64 = RAM + 0x2000;
const SIZE: u32 = 8;

/// An engine with its surroundings, and a clock that stands still.
struct Bench {
    engine: Engine,
    memory: Memory,
    faults: Faults,
    now: Instant,
    tail: u32,
    messages: u32,
}

impl Bench {
    fn stopped() -> Self {
        let file = tempfile::tempfile().unwrap();
        file.set_len(RAM_BYTES).unwrap();
        let mut memory = Memory::default();
        memory.set_master(true);
        memory.map(RAM, RAM_BYTES, file, 0, true).unwrap();
        let mut bench = Self {
            engine: Engine::default(),
            memory,
            faults: Faults::default(),
            now: Instant::now(),
            tail: 0,
            messages: 0,
        };
        bench.set_rings(SIZE);
        bench
    }

    fn running() -> Self {
        let mut bench = Self::stopped();
        bench.write(offset::IRQ_ENABLE, interrupt::ALL);
        bench.write(offset::CONTROL, control::ENABLE);
        bench.settle();
        assert_eq!(bench.read(offset::STATUS), status::RUNNING);
        bench
    }

    fn set_rings(&mut self, size: u32) {
        self.write(offset::RING_BASE_LO, RING as u32);
        self.write(offset::COMPLETION_BASE_LO, COMPLETIONS as u32);
        self.write(offset::RING_SIZE, size);
    }

    fn read(&self, register: usize) -> u32 {
        self.engine.read(register)
    }

    fn write(&mut self, register: usize, value: u32) {
        self.engine.write(register, value);
        self.messages += self.engine.take_messages();
    }

    /// Steps until the engine waits.
    fn settle(&mut self) -> Next {
        for _ in 0..10_000 {
            let next = self.engine.step(&self.memory, &mut self.faults, self.now);
            self.messages += self.engine.take_messages();
            if next != Next::Step {
                return next;
            }
        }
        panic!("the engine never rests");
    }

    fn put(&mut self, descriptor: Descriptor) {
        let address = RING + u64::from(slot(self.tail, SIZE)) * 32;
        self.memory.write(address, descriptor.as_bytes()).unwrap();
        self.tail = self.tail.wrapping_add(1);
    }

    fn submit(&mut self, descriptors: &[Descriptor]) -> Next {
        for descriptor in descriptors {
            self.put(*descriptor);
        }
        self.write(offset::TAIL, self.tail);
        self.settle()
    }

    fn completion(&self, index: u32) -> Completion {
        let mut completion = Completion::new_zeroed();
        let address = COMPLETIONS + u64::from(slot(index, SIZE)) * 16;
        let bytes = completion.as_mut_bytes();
        self.memory.read(address, bytes).unwrap();
        completion
    }

    /// The status of one descriptor, after it was executed.
    fn status_of(&mut self, descriptor: Descriptor) -> u32 {
        let index = self.tail;
        self.submit(&[descriptor]);
        let completion = self.completion(index);
        assert_eq!(completion.sequence, sequence(index), "{descriptor:?}");
        assert_eq!(completion.cookie, descriptor.cookie);
        completion.status
    }

    fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read(address, &mut bytes).unwrap();
        bytes
    }

    fn assert_fatal(&self, code: u32) {
        assert_eq!(self.read(offset::STATUS), status::FATAL);
        assert_eq!(self.read(offset::ERROR_INFO), code);
        assert_ne!(self.read(offset::IRQ_STATUS) & interrupt::ERROR, 0);
    }
}

fn nop(flags: u8) -> Descriptor {
    Descriptor {
        opcode: opcode::NOP,
        flags,
        ..Descriptor::default()
    }
}

fn copy(source: u64, destination: u64, length: u32) -> Descriptor {
    Descriptor {
        opcode: opcode::COPY,
        flags: flag::INTERRUPT,
        length,
        source,
        destination,
        cookie: 0xc0ffee,
        ..Descriptor::default()
    }
}

#[test]
fn registers_have_the_reset_values_of_the_datasheet() {
    let mut bench = Bench::running();
    let values = |engine: &Engine| [0, 4, 8, 0xc].map(|place| engine.read(place));
    let expected = [0x4341_4d44, 0x0001_0000, 0x0000_400c, 0x0010_0000];
    assert_eq!(values(&bench.engine), expected);
    bench.write(offset::COALESCE_COUNT, 1 << 16);
    bench.write(offset::COALESCE_MICROSECONDS, 7);
    assert_eq!(bench.read(offset::COALESCE_COUNT), 0xffff);
    bench.submit(&[nop(flag::INTERRUPT)]);
    bench.write(offset::CONTROL, control::RESET | control::ENABLE);
    assert_eq!(bench.read(offset::CONTROL) & control::RESET, control::RESET);
    bench.write(offset::COALESCE_COUNT, 5);
    assert_eq!(
        bench.read(offset::COALESCE_COUNT),
        0xffff,
        "it is resetting"
    );
    bench.settle();
    for place in (0x10..0x1000).step_by(4) {
        assert_eq!(bench.read(place), 0, "{place:#x}");
    }
    assert_eq!(values(&bench.engine), expected);
}

#[test]
fn rings_that_are_not_as_they_must_be_are_fatal_and_cannot_be_changed() {
    let cases = [
        (offset::RING_SIZE, 1, error::RING_SIZE),
        (offset::RING_SIZE, 3, error::RING_SIZE),
        (offset::RING_SIZE, 8192, error::RING_SIZE),
        (offset::RING_BASE_LO, RING as u32 + 32, error::RING_BASE),
        (offset::COMPLETION_BASE_LO, 16, error::COMPLETION_BASE),
    ];
    for (register, value, code) in cases {
        let mut bench = Bench::stopped();
        bench.write(register, value);
        bench.write(offset::CONTROL, control::ENABLE);
        bench.settle();
        bench.assert_fatal(code);
        bench.write(offset::RING_SIZE, 4);
        bench.write(offset::CONTROL, 0);
        bench.settle();
        bench.assert_fatal(code);
        assert_ne!(bench.read(offset::RING_SIZE), 4);
    }
    let mut last = Bench::stopped();
    last.write(offset::RING_BASE_LO, 0xffff_ffc0);
    last.write(offset::RING_BASE_HI, 0xffff_ffff);
    last.write(offset::CONTROL, control::ENABLE);
    last.settle();
    last.assert_fatal(error::RING_BASE);
    assert_eq!(last.read(offset::RING_BASE_HI), 0xffff_ffff);
}

#[test]
fn each_error_of_a_descriptor_has_its_status_and_writes_nothing() {
    let mut bench = Bench::running();
    bench.memory.refuse(DATA + 0x8000, 16);
    bench.memory.write(DATA, b"untouched").unwrap();
    let good = copy(DATA + 0x100, DATA, 9);
    let broken = [
        (Descriptor { opcode: 3, ..good }, completion::BAD_DESCRIPTOR),
        (Descriptor { flags: 2, ..good }, completion::BAD_DESCRIPTOR),
        (
            Descriptor {
                reserved: 1,
                ..good
            },
            completion::BAD_DESCRIPTOR,
        ),
        (Descriptor { length: 0, ..good }, completion::BAD_LENGTH),
        (copy(DATA, DATA, MAX_LENGTH + 1), completion::BAD_LENGTH),
        (copy(RAM - 1, DATA, 9), completion::SOURCE_REFUSED),
        (copy(u64::MAX - 3, DATA, 9), completion::SOURCE_REFUSED),
        (copy(DATA + 0x8008, DATA, 9), completion::SOURCE_REFUSED),
        (
            copy(DATA, RAM + RAM_BYTES - 8, 9),
            completion::DESTINATION_REFUSED,
        ),
        (
            copy(DATA, DATA + 0x7ff8, 9),
            completion::DESTINATION_REFUSED,
        ),
    ];
    for (index, (descriptor, expected)) in broken.into_iter().enumerate() {
        let messages = bench.messages;
        let quiet = Descriptor {
            flags: descriptor.flags & !flag::INTERRUPT,
            ..descriptor
        };
        assert_eq!(bench.status_of(quiet), expected, "case {index}");
        assert_eq!(bench.messages, messages + 1, "an error asks by itself");
        assert_eq!(bench.bytes(DATA, 9), b"untouched");
    }
    assert_eq!(bench.read(offset::STATUS), status::RUNNING);
    assert_eq!(bench.status_of(good), completion::OK);
    assert_eq!(bench.bytes(DATA, 9), [0; 9]);
}

#[test]
fn a_completion_comes_before_its_message_and_only_if_asked_for() {
    let mut bench = Bench::running();
    bench.submit(&[nop(0), nop(0)]);
    assert_eq!((bench.messages, bench.read(offset::HEAD)), (0, 2));
    bench.submit(&[nop(flag::INTERRUPT)]);
    assert_eq!(bench.messages, 1);
    assert_eq!(bench.read(offset::IRQ_STATUS), interrupt::COMPLETION);
    bench.submit(&[nop(flag::INTERRUPT)]);
    assert_eq!(bench.messages, 2, "the bit need not be cleared");
    bench.write(offset::IRQ_ENABLE, 0);
    bench.write(offset::IRQ_STATUS, interrupt::ALL);
    bench.submit(&[nop(flag::INTERRUPT)]);
    assert_eq!(bench.messages, 2);
    bench.write(offset::IRQ_ENABLE, interrupt::COMPLETION);
    assert_eq!(bench.messages, 3, "what came while disabled is told");
    bench.write(offset::IRQ_STATUS, interrupt::COMPLETION);
    bench.write(offset::IRQ_ENABLE, interrupt::COMPLETION);
    assert_eq!(bench.messages, 3);
}

#[test]
fn coalescing_waits_for_so_many_or_so_long() {
    let mut bench = Bench::running();
    bench.write(offset::COALESCE_COUNT, 3);
    bench.write(offset::COALESCE_MICROSECONDS, 100);
    let due = bench.now + Duration::from_micros(100);
    let next = bench.submit(&[nop(flag::INTERRUPT), nop(0), nop(flag::INTERRUPT)]);
    assert_eq!((bench.messages, next), (0, Next::At(due)));
    bench.now = due - Duration::from_micros(1);
    bench.settle();
    assert_eq!(bench.messages, 0);
    bench.now = due;
    assert_eq!((bench.settle(), bench.messages), (Next::Write, 1));
    let three = [nop(flag::INTERRUPT); 3];
    assert_eq!(bench.submit(&three), Next::Write);
    assert_eq!(bench.messages, 2);
    bench.submit(&three[..1]);
    bench.submit(&[copy(0, 0, 1)]);
    assert_eq!(bench.messages, 3, "an error is not held back");
    bench.submit(&three[..1]);
    bench.write(offset::COALESCE_COUNT, 0);
    assert_eq!(bench.messages, 4, "what is held back is told");
    bench.write(offset::COALESCE_COUNT, 3);
    bench.submit(&three[..1]);
    bench.write(offset::CONTROL, 0);
    bench.settle();
    assert_eq!(bench.messages, 5, "a stop holds nothing back");
    for (count, microseconds) in [(3, 0), (0, 100)] {
        let mut bench = Bench::running();
        bench.write(offset::COALESCE_COUNT, count);
        bench.write(offset::COALESCE_MICROSECONDS, microseconds);
        bench.submit(&three);
        assert_eq!(bench.messages, 3, "nothing is held back without a bound");
    }
    let mut bench = Bench::running();
    bench.write(offset::COALESCE_COUNT, 3);
    bench.write(offset::COALESCE_MICROSECONDS, 100);
    bench.submit(&three[..1]);
    bench.write(offset::TAIL, 100);
    assert_eq!(
        bench.messages, 2,
        "nor does a fatal error hold anything back"
    );
}

#[test]
fn a_doorbell_too_far_or_back_is_fatal() {
    for back in [false, true] {
        let mut bench = Bench::running();
        bench.faults.is_stuck = true;
        bench.write(offset::TAIL, SIZE);
        assert_eq!(bench.read(offset::STATUS), status::RUNNING | status::BUSY);
        bench.write(offset::TAIL, if back { SIZE - 1 } else { SIZE + 1 });
        bench.assert_fatal(error::DOORBELL);
        assert_eq!(bench.messages, 1);
        bench.faults.is_stuck = false;
        bench.settle();
        bench.assert_fatal(error::DOORBELL);
    }
    let mut stopped = Bench::stopped();
    stopped.write(offset::TAIL, 1);
    stopped.write(offset::CONTROL, control::ENABLE);
    stopped.settle();
    assert_eq!(
        stopped.read(offset::TAIL),
        0,
        "nothing is rung before it runs"
    );
}

#[test]
fn rings_out_of_reach_are_fatal() {
    let mut bench = Bench::running();
    bench.memory.set_master(false);
    bench.write(offset::TAIL, 1);
    bench.settle();
    bench.assert_fatal(error::DESCRIPTOR_READ);
    let mut bench = Bench::running();
    bench.memory.refuse(COMPLETIONS, 16);
    bench.submit(&[nop(0)]);
    bench.assert_fatal(error::COMPLETION_WRITE);
    assert_eq!(bench.read(offset::HEAD), 0);
}

#[test]
fn a_stop_ends_after_the_current_descriptor() {
    let mut bench = Bench::running();
    bench.faults.slow = Duration::from_micros(50);
    bench.submit(&[nop(0), nop(0)]);
    bench.write(offset::CONTROL, 0);
    bench.settle();
    assert_eq!(bench.read(offset::STATUS), status::RUNNING | status::BUSY);
    bench.now += Duration::from_micros(50);
    bench.settle();
    assert_eq!(
        (bench.read(offset::STATUS), bench.read(offset::HEAD)),
        (0, 1)
    );
    assert_eq!(bench.completion(0).sequence, 1);
    assert_eq!(bench.completion(1).sequence, 0, "it was forgotten");
    bench.write(offset::CONTROL, control::ENABLE);
    bench.settle();
    assert_eq!((bench.read(offset::HEAD), bench.read(offset::TAIL)), (0, 0));
}

#[test]
fn a_reset_aborts_without_completion_or_message() {
    let mut bench = Bench::running();
    bench.faults.slow = Duration::from_secs(1);
    bench.submit(&[nop(flag::INTERRUPT)]);
    bench.write(offset::CONTROL, control::RESET);
    bench.now += Duration::from_secs(2);
    assert_eq!(bench.settle(), Next::Write);
    assert_eq!(bench.completion(0), Completion::default());
    assert_eq!(bench.messages, 0);
    assert_eq!(bench.engine.counters().resets, 1);
    // And the engine works again.
    bench.faults.slow = Duration::ZERO;
    bench.tail = 0;
    bench.set_rings(SIZE);
    bench.write(offset::CONTROL, control::ENABLE);
    bench.settle();
    assert_eq!(bench.status_of(nop(0)), completion::OK);
}

#[test]
fn indices_wrap_without_a_gap() {
    let mut bench = Bench::running();
    let start = u32::MAX - 2;
    bench.engine.state.head = start;
    bench.engine.state.tail = start;
    bench.tail = start;
    for index in (0..6).map(|step| start.wrapping_add(step)) {
        assert_eq!(bench.status_of(nop(0)), completion::OK, "{index:#x}");
    }
    assert_eq!(bench.read(offset::HEAD), 3);
}

#[test]
fn faults_do_what_they_say() {
    let mut bench = Bench::running();
    bench.faults.fail = (1, completion::INTERNAL);
    bench.faults.fail_cookies.insert(7, completion::BAD_LENGTH);
    assert_eq!(bench.status_of(nop(0)), completion::INTERNAL);
    assert_eq!(bench.status_of(nop(0)), completion::OK);
    let marked = Descriptor {
        cookie: 7,
        ..nop(0)
    };
    assert_eq!(bench.status_of(marked), completion::BAD_LENGTH);
    assert_eq!(bench.status_of(marked), completion::OK);

    bench.faults.corrupt = 1;
    assert_eq!(bench.status_of(nop(0)), completion::OK);
    assert_eq!(bench.status_of(copy(DATA, DATA + 64, 2)), completion::OK);
    assert_eq!(bench.bytes(DATA + 64, 2), [0xff, 0]);

    bench.faults.is_stuck = true;
    assert_eq!(bench.submit(&[nop(0)]), Next::Write);
    assert_eq!(bench.read(offset::STATUS), status::RUNNING | status::BUSY);
    bench.faults.is_stuck = false;
    bench.settle();
    assert_eq!(bench.read(offset::HEAD), bench.tail);

    bench.faults.is_frozen = true;
    bench.write(offset::CONTROL, control::RESET);
    bench.settle();
    assert_eq!(bench.read(offset::CONTROL) & control::RESET, control::RESET);
    bench.faults.is_frozen = false;
    bench.settle();
    assert_eq!(bench.read(offset::CONTROL), 0);
}

/// One operation on an area of [`AREA`] bytes: what, where from, where to, how many, and what with.
type Operation = (bool, u64, u64, u32, u64);

const AREA: u64 = 1 << 14;

fn operation() -> impl Strategy<Value = Operation> {
    (any::<bool>(), 0..AREA, 0..AREA, 0..5000u32, any::<u64>())
}

proptest! {
    /// Whatever is asked for, in whatever batches: the memory is what a simple program makes of
    /// it, there is one completion for each descriptor, and nothing else was touched.
    #[test]
    fn memory_is_what_a_simple_program_makes_of_it(
        batches in prop::collection::vec(prop::collection::vec(operation(), 1..=8), 1..6),
        seed in any::<u8>(),
    ) {
        let mut bench = Bench::running();
        // The sources are in the first half, so that none overlaps with its destination.
        let mut expected: Vec<u8> = (0..2 * AREA).map(|at| (at as u8).wrapping_mul(7) ^ seed).collect();
        bench.memory.write(DATA, &expected).unwrap();
        bench.memory.refuse(DATA + 2 * AREA, 1);
        bench.memory.refuse(DATA + AREA - 1, 1);
        for batch in batches {
            let first = bench.tail;
            let mut statuses = Vec::new();
            let mut descriptors = Vec::new();
            for (is_fill, from, to, length, pattern) in batch {
                let (begin, end) = (AREA + to, AREA + to + u64::from(length));
                let source_end = from + u64::from(length);
                let status = if length == 0 {
                    completion::BAD_LENGTH
                } else if !is_fill && source_end > AREA - 1 {
                    completion::SOURCE_REFUSED
                } else if end > 2 * AREA {
                    completion::DESTINATION_REFUSED
                } else {
                    completion::OK
                };
                if status == completion::OK && is_fill {
                    for at in begin..end {
                        expected[at as usize] = pattern.to_le_bytes()[(at - begin) as usize % 8];
                    }
                } else if status == completion::OK {
                    expected.copy_within(from as usize..source_end as usize, begin as usize);
                }
                statuses.push(status);
                descriptors.push(Descriptor {
                    opcode: if is_fill { opcode::FILL } else { opcode::COPY },
                    length,
                    source: if is_fill { pattern } else { DATA + from },
                    destination: DATA + begin,
                    cookie: pattern,
                    ..Descriptor::default()
                });
            }
            bench.submit(&descriptors);
            for (index, (descriptor, status)) in (first..).zip(descriptors.iter().zip(statuses)) {
                let cookie = descriptor.cookie;
                let completion = Completion { cookie, status, sequence: sequence(index) };
                prop_assert_eq!(bench.completion(index), completion);
            }
        }
        bench.memory.refuse_nothing();
        prop_assert_eq!(bench.bytes(DATA, expected.len()), expected);
        prop_assert_eq!(bench.read(offset::HEAD), bench.tail);
    }

    /// Whatever is written to the registers, the engine rests, and a reset makes it work again.
    #[test]
    fn no_write_to_a_register_is_the_end(
        writes in prop::collection::vec((0..0x18usize, any::<u32>(), any::<bool>()), 0..60),
    ) {
        let mut bench = Bench::running();
        for (register, value, is_small) in writes {
            bench.write(register * 4, if is_small { value % 16 } else { value });
            bench.settle();
        }
        bench.write(offset::CONTROL, control::RESET);
        bench.settle();
        bench.memory.write(COMPLETIONS, &[0; 128]).unwrap();
        bench.tail = 0;
        bench.write(offset::RING_BASE_HI, 0);
        bench.set_rings(SIZE);
        bench.write(offset::CONTROL, control::ENABLE);
        bench.settle();
        prop_assert_eq!(bench.status_of(nop(0)), completion::OK);
    }
}
