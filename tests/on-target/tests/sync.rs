// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which bytes are passed between the processor and a device, by whom and for what, as the kernel's
//! own tracepoints tell: on boards whose caches are coherent nothing else shows it.
//!
//! No room of its own: what is tested here is a request, and what engines do without one.

use std::path::Path;
use std::time::Duration;

use dmacopy_client::{BufferNumber, Device, Direction, Place, Session};
use hil::Target;
use kernel_channels::mmap::dma_buf::{Access, DmaBuf};
use kernel_channels::mmap::memfd::MemFd;
use kernel_channels::tracepoint::{Event, Instance, Line};
use on_target::{Result, Stalled, WithSoftware, pattern, region_with, software_device};

const BYTES: u64 = 64 << 10;
/// The size of the pieces that are passed one by one. All boards have pages of this size.
const PAGE: u64 = 4096;
/// Longer than a record that has been made takes to be seen.
const SHORT: Duration = Duration::from_millis(100);
/// Longer than any test needs a stalled engine.
const LONG: Duration = Duration::from_secs(30);

const SINGLE_FOR_CPU: &str = "dma_sync_single_for_cpu";
const SINGLE_FOR_DEVICE: &str = "dma_sync_single_for_device";
const TABLE_FOR_CPU: &str = "dma_sync_sg_for_cpu";
const TABLE_FOR_DEVICE: &str = "dma_sync_sg_for_device";

const TO_DEVICE: &str = "TO_DEVICE";
const FROM_DEVICE: &str = "FROM_DEVICE";
const BIDIRECTIONAL: &str = "BIDIRECTIONAL";

/// What the kernel passes for one device, until this is dropped.
struct Passing {
    instance: Instance,
    device: String,
}

/// A range that was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Passed {
    event: String,
    direction: String,
    address: u64,
    bytes: u64,
}

impl Passing {
    /// For the bus device with this name.
    fn of(device: &str) -> Result<Self> {
        let instance = Instance::create("on-target-sync")?;
        for name in [
            SINGLE_FOR_CPU,
            SINGLE_FOR_DEVICE,
            TABLE_FOR_CPU,
            TABLE_FOR_DEVICE,
        ] {
            instance.enable(&Event::find("dma", name)?)?;
        }
        let device = format!("{device} ");
        Ok(Self { instance, device })
    }

    /// For the bus device of a device whose engine needs no other.
    fn of_device(device: &Device) -> Result<Self> {
        let link = device.attributes().directory().path().join("device");
        let path = link.canonicalize()?;
        let name = path.file_name().map(Path::new).ok_or("it has no name")?;
        Self::of(&name.to_string_lossy())
    }

    /// The records that have been made until now.
    fn lines(&mut self) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        while let Some(line) = self.instance.next(SHORT)? {
            if line.text.starts_with(&self.device) {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    /// The pieces that have been passed one by one until now.
    fn pieces(&mut self) -> Result<Vec<Passed>> {
        let piece = |line: &Line| {
            let address = line.text("dma_addr").ok_or("no address")?;
            Ok(Passed {
                event: line.event.clone(),
                direction: line.text("dir").ok_or("no direction")?.to_owned(),
                address: u64::from_str_radix(address, 16)?,
                bytes: line.number("size").ok_or("no size")?,
            })
        };
        self.lines()?.iter().map(piece).collect()
    }

    /// Those, with how many bytes in a row have gone the same way.
    fn ways(&mut self) -> Result<Vec<(String, String, u64)>> {
        let mut ways: Vec<(String, String, u64)> = Vec::new();
        for piece in self.pieces()? {
            match ways.last_mut() {
                Some(last) if (&last.0, &last.1) == (&piece.event, &piece.direction) => {
                    last.2 += piece.bytes;
                }
                _ => ways.push((piece.event, piece.direction, piece.bytes)),
            }
        }
        Ok(ways)
    }

    /// The tables that have been passed as a whole until now.
    fn tables(&mut self) -> Result<Vec<(String, String)>> {
        let table = |line: &Line| {
            let direction = line.text("dir").ok_or("no direction")?;
            Ok((line.event.clone(), direction.to_owned()))
        };
        self.lines()?.iter().map(table).collect()
    }
}

/// For comparison.
fn way(event: &str, direction: &str, bytes: u64) -> (String, String, u64) {
    (event.to_owned(), direction.to_owned(), bytes)
}

fn table(event: &str, direction: &str) -> (String, String) {
    (event.to_owned(), direction.to_owned())
}

fn at(buffer: BufferNumber, offset: u64) -> Place {
    Place { buffer, offset }
}

/// A session with memory of this program, which the kernel's `udmabuf` passes.
fn imported(device: &Device) -> Result<(Session, BufferNumber)> {
    let session = device.session()?;
    let memory = MemFd::new(BYTES)?;
    let (number, _) = session.import_buffer(&DmaBuf::of(&memory, 0, BYTES)?)?;
    Ok((session, number))
}

/// What `udmabuf` passes for.
const UDMABUF: &str = "udmabuf";

#[hil::test]
fn a_sync_passes_each_of_its_bytes_once_and_no_other(_: &mut Target) {
    let loaded = WithSoftware::new().unwrap();
    let device = software_device().unwrap();
    let session = device.session().unwrap();
    let number = session.create_buffer(BYTES).unwrap();
    let mut passing = Passing::of_device(&device).unwrap();
    let range = PAGE - 5..3 * PAGE + 1810;
    for (direction, name) in [
        (Direction::ToDevice, TO_DEVICE),
        (Direction::FromDevice, FROM_DEVICE),
        (Direction::Bidirectional, BIDIRECTIONAL),
    ] {
        for event in [SINGLE_FOR_CPU, SINGLE_FOR_DEVICE] {
            let range = range.clone();
            if event == SINGLE_FOR_CPU {
                session.sync_for_cpu(number, range, direction).unwrap();
            } else {
                session.sync_for_device(number, range, direction).unwrap();
            }
            let pieces = passing.pieces().unwrap();
            let sizes: Vec<_> = pieces.iter().map(|piece| piece.bytes).collect();
            assert_eq!(sizes, [5, PAGE, PAGE, 1810], "{pieces:?}");
            let places: Vec<_> = pieces.iter().map(|piece| piece.address % PAGE).collect();
            assert_eq!(places, [PAGE - 5, 0, 0, 0], "{pieces:?}");
            for piece in &pieces {
                assert_eq!(
                    (piece.event.as_str(), piece.direction.as_str()),
                    (event, name)
                );
            }
        }
    }
    // Both sides see the first buffer as it is.
    session
        .sync_for_cpu(BufferNumber::FIRST, 0..64, Direction::Bidirectional)
        .unwrap();
    assert_eq!(passing.pieces().unwrap(), []);
    drop((session, passing));
    loaded.end().unwrap();
}

#[hil::test]
fn a_copy_by_the_processor_passes_what_it_reads_and_what_it_writes(_: &mut Target) {
    let loaded = WithSoftware::new().unwrap();
    let device = software_device().unwrap();
    let session = device.session().unwrap();
    let [one, other] = [(); 2].map(|()| session.create_buffer(BYTES).unwrap());
    let mut passing = Passing::of_device(&device).unwrap();
    let length = 10_007;
    let copied = [
        // The source, and the destination, whose lines of the cache hold other bytes, too.
        way(SINGLE_FOR_CPU, FROM_DEVICE, 2 * length),
        way(SINGLE_FOR_DEVICE, TO_DEVICE, length),
    ];
    session
        .copy_between(at(one, 4091), at(other, 8197), length)
        .unwrap();
    assert_eq!(passing.ways().unwrap(), copied, "between two");
    session
        .copy_between(at(one, 0), at(one, BYTES / 2), length)
        .unwrap();
    assert_eq!(passing.ways().unwrap(), copied, "within one");
    let first = BufferNumber::FIRST;
    session
        .copy_between(at(one, 7), at(first, 0), length)
        .unwrap();
    let read = [way(SINGLE_FOR_CPU, FROM_DEVICE, length)];
    assert_eq!(passing.ways().unwrap(), read, "out of one");
    session
        .copy_between(at(first, 0), at(one, 7), length)
        .unwrap();
    let written = [
        way(SINGLE_FOR_CPU, FROM_DEVICE, length),
        way(SINGLE_FOR_DEVICE, TO_DEVICE, length),
    ];
    assert_eq!(passing.ways().unwrap(), written, "into one");
    drop((session, passing));
    loaded.end().unwrap();
}

#[hil::test]
fn a_queue_passes_what_its_engine_accesses_and_takes_back_what_that_has_written(_: &mut Target) {
    let loaded = WithSoftware::new().unwrap();
    let device = software_device().unwrap();
    let queue = device.session().unwrap().queue().unwrap();
    let pool = queue.pool(64 << 10).unwrap();
    let (length, longer) = (500, 700);
    let source = region_with(&pool, &pattern(61, length)).unwrap();
    let batch = queue.batch().copy(source, pool.region(longer).unwrap());
    let mut passing = Passing::of_device(&device).unwrap();
    let stalled = Stalled::new(&device, LONG).unwrap();
    let pending = batch.submit().unwrap();
    let length = length as u64;
    let before = [
        // What the engine does not overwrite stays.
        way(SINGLE_FOR_DEVICE, BIDIRECTIONAL, length),
        way(SINGLE_FOR_DEVICE, TO_DEVICE, length),
    ];
    assert_eq!(passing.ways().unwrap(), before);
    stalled.lift().unwrap();
    let ended = pending.wait().unwrap();
    let after = [
        // The engine, which is the processor.
        way(SINGLE_FOR_CPU, FROM_DEVICE, 2 * length),
        way(SINGLE_FOR_DEVICE, TO_DEVICE, length),
        // The program.
        way(SINGLE_FOR_CPU, FROM_DEVICE, length),
    ];
    assert_eq!(passing.ways().unwrap(), after);
    drop((ended, pool, queue, passing));
    loaded.end().unwrap();
}

#[hil::test]
fn an_import_is_passed_to_both_sides_once(_: &mut Target) {
    let mut passing = Passing::of(UDMABUF).unwrap();
    let (_session, _) = imported(&Device::first().unwrap()).unwrap();
    // What this program has written until now, the device sees.
    let expected = [
        table(TABLE_FOR_CPU, TO_DEVICE),
        table(TABLE_FOR_DEVICE, TO_DEVICE),
    ];
    assert_eq!(passing.tables().unwrap(), expected);
}

#[hil::test]
fn a_sync_of_an_import_has_its_exporter_pass_all_of_it(_: &mut Target) {
    let (session, number) = imported(&Device::first().unwrap()).unwrap();
    let mut passing = Passing::of(UDMABUF).unwrap();
    for (direction, name) in [
        (Direction::ToDevice, TO_DEVICE),
        (Direction::FromDevice, FROM_DEVICE),
        (Direction::Bidirectional, BIDIRECTIONAL),
    ] {
        session.sync_for_cpu(number, 5..6, direction).unwrap();
        let for_cpu = [table(TABLE_FOR_CPU, name)];
        assert_eq!(passing.tables().unwrap(), for_cpu);
        session.sync_for_device(number, 5..6, direction).unwrap();
        let for_device = [table(TABLE_FOR_DEVICE, name)];
        assert_eq!(passing.tables().unwrap(), for_device);
    }
}

#[hil::test]
fn a_copy_by_the_processor_has_the_exporter_pass_an_import(_: &mut Target) {
    let loaded = WithSoftware::new().unwrap();
    let (session, number) = imported(&software_device().unwrap()).unwrap();
    let mut passing = Passing::of(UDMABUF).unwrap();
    let first = BufferNumber::FIRST;
    for (from, to, direction) in [
        (number, first, FROM_DEVICE),
        // What is around it stays as it is.
        (first, number, BIDIRECTIONAL),
    ] {
        session.copy_between(at(from, 9), at(to, 9), 100).unwrap();
        let expected = [
            table(TABLE_FOR_CPU, direction),
            table(TABLE_FOR_DEVICE, direction),
        ];
        assert_eq!(passing.tables().unwrap(), expected);
    }
    drop(session);
    loaded.end().unwrap();
}

#[hil::test]
fn an_access_to_an_export_passes_it_for_all_devices_that_have_it(_: &mut Target) {
    let loaded = WithSoftware::new().unwrap();
    let device = software_device().unwrap();
    let session = device.session().unwrap();
    let number = session.create_buffer(BYTES).unwrap();
    let dma_buf = session.export_buffer(number).unwrap();
    let mut passing = Passing::of_device(&device).unwrap();
    for devices in 1..=2 {
        if devices == 2 {
            session.import_buffer(&dma_buf).unwrap();
            passing.lines().unwrap();
        }
        for (access, direction) in [
            (Access::Read, FROM_DEVICE),
            (Access::Write, TO_DEVICE),
            (Access::ReadWrite, BIDIRECTIONAL),
        ] {
            dma_buf.begin(access).unwrap();
            let begun = [way(SINGLE_FOR_CPU, direction, devices * BYTES)];
            assert_eq!(passing.ways().unwrap(), begun, "{access:?}, {devices}");
            dma_buf.end(access).unwrap();
            let ended = [way(SINGLE_FOR_DEVICE, direction, devices * BYTES)];
            assert_eq!(passing.ways().unwrap(), ended, "{access:?}, {devices}");
        }
    }
    drop((session, dma_buf, passing));
    loaded.end().unwrap();
}

hil::main!();
