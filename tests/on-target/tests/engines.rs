// SPDX-License-Identifier: MIT OR Apache-2.0

//! What every engine must do, on each that the board has: the one that moves the bytes of the first
//! device in all other tests, and those beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dmacopy_client::{Descriptor, Device};
use dmacopy_uapi::names;
use dmacopy_uapi::ring::{COPY, FILL, NOP};
use hil::Target;
use kernel_channels::Interest;
use on_target::{
    Errno, PATIENCE, Result, Stalled, Unbound, WithSoftware, pattern, pop_all, submit,
    wait_for_waiting, wait_until,
};

const SHORT: Duration = Duration::from_millis(50);

/// Calls something with each device, one after the other, while all of them are there.
fn on_each(check: impl Fn(&Device) -> Result<()>) -> Result<()> {
    let loaded = WithSoftware::new()?;
    let mut engines = Vec::new();
    for device in Device::all()? {
        let engine = device.attributes().engine()?;
        check(&device).map_err(|error| format!("{}, {engine}: {error}", device.name()))?;
        engines.push(engine);
    }
    if !engines
        .iter()
        .any(|engine| engine == names::engine::SOFTWARE)
    {
        return Err(format!("only {engines:?} were there").into());
    }
    loaded.end()
}

/// Fails if something is not as expected.
fn same<T: PartialEq>(what: &str, seen: &T, expected: &T) -> Result<()> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}: not what was expected").into())
}

fn copy(source: u64, destination: u64, length: u32) -> Descriptor {
    Descriptor {
        opcode: COPY,
        source,
        destination,
        length,
        ..Descriptor::default()
    }
}

#[hil::test(requires("dmaengine"))]
fn the_software_engine_is_beside_hardware_only_if_that_is_wanted(_: &mut Target) {
    let alone = Device::all().unwrap();
    let loaded = WithSoftware::new().unwrap();
    let together = Device::all().unwrap();
    let engines = together.iter().map(|d| d.attributes().engine().unwrap());
    let engines: Vec<_> = engines.collect();
    let (last, before) = engines.split_last().unwrap();
    assert_eq!(last, names::engine::SOFTWARE);
    assert!(!before.contains(last), "{engines:?}");
    drop(together);
    loaded.end().unwrap();
    assert_eq!(alone.len(), before.len());
    let engine = Device::first().unwrap().attributes().engine().unwrap();
    assert_eq!(engine, before[0]);
}

#[hil::test]
fn every_engine_copies_each_length_from_and_to_odd_addresses(_: &mut Target) {
    on_each(|device| {
        let session = device.session()?;
        let mut buffer = session.buffer()?;
        let sent = pattern(71, 200);
        buffer.write(0, &sent)?;
        for length in 1..=70_usize {
            let (from, to) = (length % 7, 1000 + length % 5);
            buffer.fill(990, 100, 0xee)?;
            session.copy(from as u64, to as u64, length as u64)?;
            let mut expected = vec![0xee; 100];
            expected[to - 990..to - 990 + length].copy_from_slice(&sent[from..from + length]);
            same(
                &format!("{length} bytes"),
                &buffer.copy_to_vec(990, 100)?,
                &expected,
            )?;
        }
        Ok(())
    })
    .unwrap();
}

#[hil::test]
fn every_engine_does_a_batch_in_order(_: &mut Target) {
    on_each(|device| {
        let session = device.session()?;
        let mut rings = session.rings()?;
        let mut buffer = session.buffer()?;
        let sent = pattern(72, 4000);
        buffer.write(0, &sent)?;
        // Each uses what the one before has written; some are easy for hardware, some are not.
        let mut batch: Vec<_> = (1..8_u64)
            .map(|n| {
                let (odd, length) = if n % 3 == 0 { (1, 3999) } else { (0, 4000) };
                copy((n - 1) * 4096, n * 4096 + odd, length)
            })
            .collect();
        batch.push(Descriptor {
            opcode: FILL,
            source: u64::from_le_bytes(*b"abcdefgh"),
            destination: 7 * 4096 + 100,
            length: 20,
            ..Descriptor::default()
        });
        batch.push(copy(7 * 4096, 8 * 4096, 4000));
        batch.push(Descriptor {
            opcode: NOP,
            ..Descriptor::default()
        });
        for (index, descriptor) in batch.iter_mut().enumerate() {
            descriptor.user_data = index as u64;
            if !rings.push(descriptor)? {
                return Err("the ring is full".into());
            }
        }
        let count = u32::try_from(batch.len())?;
        same("taken", &rings.submit(&session, count)?, &count)?;
        for index in 0..batch.len() as u64 {
            let completion = rings.pop()?.ok_or("a completion is missing")?;
            same("user_data", &completion.user_data, &index)?;
            same("errno", &completion.errno, &None)?;
        }
        let mut expected = sent;
        for n in 1..8 {
            if n % 3 == 0 {
                // One byte later, and the byte before is still zero.
                expected.rotate_right(1);
                expected[0] = 0;
            }
        }
        expected[100..120].copy_from_slice(b"abcdefghabcdefghabcd");
        same(
            "the last copy",
            &buffer.copy_to_vec(8 * 4096, 4000)?,
            &expected,
        )
    })
    .unwrap();
}

#[hil::test]
fn every_engine_moves_a_stream(_: &mut Target) {
    on_each(|device| {
        let session = device.session()?;
        let sent = pattern(73, 40_001);
        let mut received = Vec::new();
        let mut rest = &sent[..];
        while !rest.is_empty() {
            rest = &rest[session.write(rest)?..];
            session.poll(Interest::READABLE, PATIENCE)?;
            let mut bytes = vec![0; 50_000];
            let length = session.read(&mut bytes)?;
            received.extend_from_slice(&bytes[..length]);
        }
        while received.len() < sent.len() {
            session.poll(Interest::READABLE, PATIENCE)?;
            let mut bytes = vec![0; 50_000];
            let length = session.read(&mut bytes)?;
            received.extend_from_slice(&bytes[..length]);
        }
        same("the stream", &received, &sent)
    })
    .unwrap();
}

#[hil::test]
fn every_engine_can_be_stalled_and_goes_on(_: &mut Target) {
    on_each(|device| {
        let session = device.session()?;
        let stalled = Stalled::new(device, SHORT)?;
        let errno = session.copy(0, 2048, 64).errno();
        same("a stalled copy", &errno, &Some(libc::ETIMEDOUT))?;
        stalled.lift()?;
        session.copy(0, 2048, 64)?;
        Ok(())
    })
    .unwrap();
}

#[hil::test]
fn every_engine_does_nothing_twice_that_it_had_done_before_a_reset(_: &mut Target) {
    on_each(|device| {
        let attributes = device.attributes().directory();
        // As late as hardware can tell of it, if it can be late at all.
        for attribute in [
            names::attribute::INTERRUPT_COUNT,
            names::attribute::INTERRUPT_MICROSECONDS,
        ] {
            let set = attributes.set(attribute, 0xffff);
            same(
                "errno",
                &set.errno().unwrap_or(libc::EOPNOTSUPP),
                &libc::EOPNOTSUPP,
            )?;
        }
        let session = device.session()?;
        let mut rings = session.rings()?;
        let mut buffer = session.buffer()?;
        for round in 0..20 {
            let (first, second) = (pattern(round, 1024), pattern(1000 + round, 1024));
            buffer.write(0, &first)?;
            buffer.write(8192, &second)?;
            // What the first one has read, the second one overwrites.
            submit(
                &mut rings,
                &session,
                &[copy(0, 4096, 1024), copy(8192, 0, 1024)],
                0,
            )?;
            thread::sleep(SHORT / 5 * u32::from(round % 2 == 0));
            session.reset_engine()?;
            let mut ends = Vec::new();
            let look = || {
                ends.extend(pop_all(&mut rings)?);
                Ok(ends.clone())
            };
            let ends = wait_until(look, |ends| ends.len() == 2)?;
            same("the ends", &ends, &vec![(0, None); 2])?;
            same("the first copy", &buffer.copy_to_vec(4096, 1024)?, &first)?;
            same("the second copy", &buffer.copy_to_vec(0, 1024)?, &second)?;
        }
        Ok(())
    })
    .unwrap();
}

#[hil::test]
fn every_engine_counts_for_itself(_: &mut Target) {
    on_each(|device| {
        let others = || -> Result<u64> {
            let mut sum = 0;
            for other in Device::all()?.iter().filter(|d| d.name() != device.name()) {
                sum += other.attributes().counters()?.transfers;
            }
            Ok(sum)
        };
        let (before, before_others) = (device.attributes().counters()?, others()?);
        device.session()?.copy(0, 2048, 64)?;
        let after = device.attributes().counters()?;
        same("transfers", &after.transfers, &(before.transfers + 1))?;
        same("transfers of others", &others()?, &before_others)
    })
    .unwrap();
}

#[hil::test(timeout = "2 min")]
fn every_engine_can_be_unbound_in_the_middle_and_leaves_the_others_alone(_: &mut Target) {
    on_each(|device| {
        for _ in 0..5 {
            let stop = Arc::new(AtomicBool::new(false));
            let mut copiers = Vec::new();
            for _ in 0..3 {
                let session = device.session()?;
                let stop = Arc::clone(&stop);
                copiers.push(thread::spawn(move || {
                    loop {
                        let copied = session.copy(1, 32_769, 32_000);
                        if copied.is_err() || stop.load(Ordering::Relaxed) {
                            return copied.errno();
                        }
                    }
                }));
            }
            thread::sleep(SHORT);
            let unbound = Unbound::of(device)?;
            for other in Device::all()? {
                same(
                    "the name of another",
                    &(other.name() == device.name()),
                    &false,
                )?;
                other.session()?.copy(0, 2048, 64)?;
            }
            unbound.rebind()?;
            stop.store(true, Ordering::Relaxed);
            for copier in copiers {
                let errno = copier.join().map_err(|_| "a copier has panicked")?;
                same("errno", &errno, &Some(libc::ENODEV))?;
            }
            wait_for_waiting(device, 0)?;
            device.session()?.copy(0, 2048, 64)?;
        }
        Ok(())
    })
    .unwrap();
}

hil::main!();
