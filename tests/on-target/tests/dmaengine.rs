// SPDX-License-Identifier: MIT OR Apache-2.0

//! The engine that is a channel of the system-on-chip's DMA controller: what it leaves to the
//! processor, that the rest is really its own, and that it goes with its controller.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dmacopy_client::{Descriptor, Device};
use dmacopy_uapi::ring::{COPY, FILL};
use dmacopy_uapi::{ioctl, names};
use hil::Target;
use kernel_channels::sysfs;
use on_target::{Result, Unbound, pattern};

/// What the controllers of the boards that the kit knows can do: words of four bytes.
const WORD: usize = 4;

/// How many bytes of a copy are left to the processor.
fn for_processor(from: usize, to: usize, length: usize) -> usize {
    if from % WORD != to % WORD {
        return length;
    }
    let head = to.wrapping_neg() % WORD;
    if head >= length {
        return length;
    }
    head + (length - head) % WORD
}

/// How many interrupts the channels of the controller have raised until now, on all processors.
fn interrupts() -> Result<u64> {
    let text = fs::read_to_string("/proc/interrupts")?;
    let lines = text.lines().filter(|line| line.ends_with("DMA IRQ"));
    let of_line = |line: &str| {
        let words = line.split_whitespace().skip(1);
        words
            .map_while(|word| word.parse::<u64>().ok())
            .sum::<u64>()
    };
    Ok(lines.map(of_line).sum())
}

/// The bus device of a device.
fn bus_device(device: &Device) -> Result<PathBuf> {
    Ok(fs::canonicalize(
        device.attributes().directory().path().join("device"),
    )?)
}

#[hil::test(requires("dmaengine"))]
fn the_first_device_is_the_controllers(_: &mut Target) {
    let device = Device::first().unwrap();
    let engine = device.attributes().engine().unwrap();
    assert_eq!(engine, names::engine::DMAENGINE);
    let info = device.session().unwrap().info().unwrap();
    assert_eq!(info.engine, ioctl::ENGINE_DMAENGINE);
    // dmaengine has made this link when the channel was requested.
    let channel = bus_device(&device)
        .unwrap()
        .join(format!("dma:{}", names::DMA));
    assert!(fs::canonicalize(channel).is_ok());
}

#[hil::test(requires("dmaengine"), timeout = "2 min")]
fn each_length_and_alignment_is_copied_and_the_processor_helps_as_little_as_it_can(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut buffer = session.buffer().unwrap();
    let sent = pattern(81, 128);
    // Around the end of a page, too.
    for base in [0, 4096 - 40] {
        buffer.write(base, &sent).unwrap();
        for from in 0..WORD {
            for to in 0..WORD {
                for length in 1..=70 {
                    let at = base + 16_384 + 8;
                    buffer.fill(at - 8, 100, 0xee).unwrap();
                    let before = device.attributes().cpu_bytes().unwrap();
                    let (source, destination) = (base + from, at + to);
                    session
                        .copy(source as u64, destination as u64, length as u64)
                        .unwrap();
                    let case = format!("{length} bytes from {source} to {destination}");
                    let mut expected = vec![0xee; 100];
                    expected[8 + to..8 + to + length].copy_from_slice(&sent[from..from + length]);
                    assert!(
                        buffer.copy_to_vec(at - 8, 100).unwrap() == expected,
                        "{case}"
                    );
                    let helped = device.attributes().cpu_bytes().unwrap() - before;
                    assert_eq!(helped, for_processor(from, to, length) as u64, "{case}");
                }
            }
        }
    }
}

#[hil::test(requires("dmaengine"))]
fn a_copy_of_words_raises_an_interrupt_and_leaves_nothing_to_the_processor(_: &mut Target) {
    let device = Device::first().unwrap();
    device.attributes().set_buffer_bytes(4 << 20).unwrap();
    let session = device.session().unwrap();
    device.attributes().set_buffer_bytes(64 << 10).unwrap();
    let mut buffer = session.buffer().unwrap();
    // Longer than a "lite" channel moves at once.
    let sent = pattern(82, 2 << 20);
    buffer.write(0, &sent).unwrap();
    let (before, interrupts_before) = (
        device.attributes().cpu_bytes().unwrap(),
        interrupts().unwrap(),
    );
    session.copy(0, 2 << 20, 2 << 20).unwrap();
    for n in 0..20 {
        session.copy(n * 8, 4096 + n * 16, 1024).unwrap();
    }
    assert_eq!(device.attributes().cpu_bytes().unwrap(), before);
    assert_eq!(interrupts().unwrap(), interrupts_before + 21);
    assert!(buffer.copy_to_vec(2 << 20, 2 << 20).unwrap() == sent);
}

#[hil::test(requires("dmaengine"))]
fn what_is_filled_is_filled_by_the_processor_in_its_turn(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    let mut buffer = session.buffer().unwrap();
    buffer.fill(0, 1000, 0x11).unwrap();
    let before = device.attributes().cpu_bytes().unwrap();
    let copy = |source, destination| Descriptor {
        opcode: COPY,
        source,
        destination,
        length: 1000,
        ..Descriptor::default()
    };
    let fill = Descriptor {
        opcode: FILL,
        source: u64::from_le_bytes(*b"12345678"),
        destination: 8192,
        length: 1000,
        ..Descriptor::default()
    };
    // Two copies by the controller, on the second of which the fill has to wait; then one that must
    // not begin before.
    for descriptor in [copy(0, 4096), copy(4096, 8192), fill, copy(8192, 12_288)] {
        assert!(rings.push(&descriptor).unwrap());
    }
    rings.submit(&session, 4).unwrap();
    let expected: Vec<u8> = b"12345678".iter().copied().cycle().take(1000).collect();
    assert!(buffer.copy_to_vec(8192, 1000).unwrap() == expected);
    assert!(buffer.copy_to_vec(12_288, 1000).unwrap() == expected);
    assert_eq!(device.attributes().cpu_bytes().unwrap(), before + 1000);
}

#[hil::test(requires("dmaengine"))]
fn the_processor_does_not_overtake_the_controller(_: &mut Target) {
    /// How many bytes each copy has, and how many copies the controller has before it is the
    /// processor's turn: fewer than it is given at a time.
    const EACH: u32 = 4096;
    const COPIES: u64 = 10;
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let mut rings = session.rings().unwrap();
    let mut buffer = session.buffer().unwrap();
    let place = |n: u64| n * u64::from(EACH);
    let copy = |source, destination, length| Descriptor {
        opcode: COPY,
        source,
        destination,
        length,
        ..Descriptor::default()
    };
    let (odd, length) = (place(COPIES) + 1, EACH - 1);
    let attributes = device.attributes();
    let name = names::attribute::TIMEOUT_MS;
    let _timeout = attributes.directory().restore_later(name).unwrap();
    // No copy is late here, however little time the board has.
    attributes.set_timeout(Duration::from_secs(30)).unwrap();
    for lap in 0..50 {
        let sent = pattern(900 + lap, EACH as usize);
        buffer.write(0, &sent).unwrap();
        let before = device.attributes().cpu_bytes().unwrap();
        // Each copy has what the one before has written.
        for n in 0..COPIES {
            assert!(rings.push(&copy(place(n), place(n + 1), EACH)).unwrap());
        }
        assert!(rings.push(&copy(odd, place(COPIES + 1), length)).unwrap());
        let count = u32::try_from(COPIES + 1).unwrap();
        rings.submit(&session, count).unwrap();
        while let Some(completion) = rings.pop().unwrap() {
            assert_eq!(completion.errno, None);
        }
        let at = usize::try_from(place(COPIES + 1)).unwrap();
        let moved = buffer.copy_to_vec(at, length as usize).unwrap();
        assert!(moved == sent[1..], "lap {lap}");
        let by_processor = device.attributes().cpu_bytes().unwrap() - before;
        assert_eq!(by_processor, u64::from(length));
    }
}

#[hil::test(requires("dmaengine"), timeout = "2 min")]
fn many_sessions_share_the_channel(_: &mut Target) {
    let device = Device::first().unwrap();
    thread::scope(|scope| {
        for seed in 0..8 {
            let session = device.session().unwrap();
            scope.spawn(move || {
                let mut buffer = session.buffer().unwrap();
                for round in 0..30 {
                    let sent = pattern(seed * 100 + round, 8192);
                    buffer.write(0, &sent).unwrap();
                    let odd = round % 5;
                    session.copy(0, 16_384 + odd, 8192 - odd).unwrap();
                    let (at, length) = (16_384 + odd as usize, 8192 - odd as usize);
                    assert!(buffer.copy_to_vec(at, length).unwrap() == sent[..length]);
                }
            });
        }
    });
}

#[hil::test(requires("dmaengine"))]
fn a_device_that_is_unbound_gives_its_channel_back(_: &mut Target) {
    let device = Device::first().unwrap();
    // More often than the controller has channels.
    for _ in 0..20 {
        let session = device.session().unwrap();
        session.copy(0, 4096, 4096).unwrap();
        let unbound = Unbound::of(&device).unwrap();
        unbound.rebind().unwrap();
        let engine = device.attributes().engine().unwrap();
        assert_eq!(engine, names::engine::DMAENGINE);
        drop(session);
    }
    device.session().unwrap().copy(0, 4096, 4096).unwrap();
}

#[hil::test(requires("dmaengine"))]
fn the_controller_cannot_go_before_the_device(_: &mut Target) {
    let device = Device::first().unwrap();
    let client = bus_device(&device).unwrap();
    let channel = client.join(format!("dma:{}/device", names::DMA));
    let controller = fs::canonicalize(channel).unwrap();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    // The driver core unbinds the consumer of an active link before the supplier.
    let link = format!("platform:{}--platform:{}", name(&controller), name(&client));
    let link = sysfs::Device::open("devlink", &link).unwrap();
    assert_eq!(link.text("status").unwrap(), "active");
}

hil::main!();
