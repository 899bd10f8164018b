// SPDX-License-Identifier: MIT OR Apache-2.0

//! Programs in the kernel sum up what the client sees one by one, and ask the driver.

use std::time::Duration;

use anyhow::Context as _;
use dmacopy_client::Device;
use dmacopy_uapi::names::{DRIVER, field, kfunc, tracepoint};
use kernel_channels::bpf::{Array, Function, Kind, Program, RingBuffer, programs};
use kernel_channels::tracepoint::Event;
use nix::errno::Errno;

use super::evidence::Evidence;
use super::stall::Stalled;

const LENGTH: u64 = 1000;
const COPIES: u64 = 64;
/// How many magnitudes a number of 64 bits has.
const MAGNITUDES: usize = 64;

/// The timeout while the engine is kept from completing anything.
const SHORT: Duration = Duration::from_millis(50);

/// How long a record may take, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    histogram(device, evidence)?;
    errors(device, evidence)?;
    function(device, evidence)
}

/// A program builds a histogram of the latencies.
fn histogram(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let complete = Event::find(tracepoint::SYSTEM, tracepoint::COMPLETE)?;
    let array = Array::new("latency", u32::try_from(MAGNITUDES)?)?;
    let code = programs::histogram(&complete, field::LATENCY_NS, &array)?;
    let program = Program::load("latency", Kind::Tracepoint, &code)?;
    evidence.gave(
        "load a program that counts by magnitude",
        "bpf(2) BPF_MAP_CREATE and BPF_PROG_LOAD",
        format_args!("the verifier takes it, with {MAGNITUDES} counters"),
    );
    let attached = program.attach(&complete)?;
    evidence.gave(
        "attach it to the end of each transfer",
        format_args!("perf_event_open(2) of {}", complete.name()),
        format_args!("tracepoint {}", complete.id()),
    );
    let mut expected = vec![0; MAGNITUDES];
    for _ in 0..COPIES {
        let nanoseconds = session.copy(0, 2048, LENGTH)?.duration.as_nanos();
        expected[nanoseconds.max(1).ilog2() as usize] += 1;
    }
    drop(attached);
    evidence.asked(
        "copy, and sum up by hand what is told",
        format_args!("ioctl(2) COPY on {}", device.node().display()),
        format_args!("{COPIES} durations"),
    );
    let counted = array.read()?;
    evidence.got(
        "what the program has summed up",
        "bpf(2) BPF_MAP_LOOKUP_ELEM",
        format_args!("{} transfers", counted.iter().sum::<u64>()),
    );
    evidence.equal("copies counted", COPIES, counted.iter().sum(), "BPF array")?;
    for (magnitude, (expected, counted)) in expected.into_iter().zip(counted).enumerate() {
        if (expected, counted) != (0, 0) {
            let what = format!("2^{magnitude} ns or more");
            evidence.equal(&what, expected, counted, "BPF array")?;
        }
    }
    Ok(())
}

/// A program tells of a transfer that timed out.
fn errors(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let error = Event::find(tracepoint::SYSTEM, tracepoint::ERROR)?;
    let mut ring = RingBuffer::new("errors", 4096)?;
    let code = programs::record(&error, &[field::SEQUENCE, field::ERRNO], &ring)?;
    let program = Program::load("errors", Kind::Tracepoint, &code)?;
    let _attached = program.attach(&error)?;
    evidence.gave(
        "attach a program that tells of each failure",
        format_args!("bpf(2), perf_event_open(2) of {}", error.name()),
        format_args!("tracepoint {}", error.id()),
    );
    let last = session.copy(0, 2048, LENGTH)?.sequence;

    let stalled = Stalled::engine(device, SHORT, evidence)?;
    let attempt = session.copy(0, 2048, LENGTH);
    stalled.lift(evidence)?;
    evidence.refused("COPY on a stalled engine", attempt, Errno::ETIMEDOUT)?;
    let record = ring
        .next(PATIENCE)?
        .with_context(|| format!("no record within {PATIENCE:?}"))?;
    evidence.got(
        "the program's record",
        "the mapped BPF ring buffer, epoll(7)",
        format_args!("{} bytes", record.len()),
    );
    let (sequence, errno) = record.split_at(record.len() / 2);
    let by = "BPF ring buffer";
    let sequence = u64::from_ne_bytes(sequence.try_into()?);
    evidence.equal("transfer that failed", last + 1, sequence, by)?;
    let errno = Errno::from_raw(i32::try_from(u64::from_ne_bytes(errno.try_into()?))?);
    let name = |errno: Errno| format!("{errno:?}");
    evidence.equal("why", name(Errno::ETIMEDOUT), name(errno), by)
}

/// A program calls a function of the driver.
fn function(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let number = device.name().strip_prefix(DRIVER);
    let number: u64 = number.context("the device has no number")?.parse()?;
    let function = Function::find(DRIVER, kfunc::TRANSFERS)?;
    let program = Program::load("query", Kind::Call, &programs::query(&function))?;
    let mut memory = [number.to_ne_bytes(), [0; 8]].concat();
    program.run(&mut memory)?;
    evidence.asked(
        "run a program that calls the driver",
        format_args!("bpf(2) BPF_PROG_RUN, which calls {}", kfunc::TRANSFERS),
        format_args!("of device {number}"),
    );
    let answer = u64::from_ne_bytes(memory[8..].try_into()?);
    let transfers = device.attributes().counters()?.transfers;
    evidence.equal("transfers", transfers, answer, kfunc::TRANSFERS)
}
