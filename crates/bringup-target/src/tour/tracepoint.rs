// SPDX-License-Identifier: MIT OR Apache-2.0

//! A copy is watched by tracefs and by perf, which see what the client is told.

use std::process;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use dmacopy_client::Device;
use dmacopy_uapi::names::{field, tracepoint};
use kernel_channels::tracepoint::{Counter, Event, Instance, Sampler};

use super::evidence::Evidence;
use crate::visit::TRACE;

const LENGTH: u64 = 1000;
const COPIES: u64 = 32;

/// How long a record may take, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let find = |name| Event::find(tracepoint::SYSTEM, name);
    let session = device.session()?;
    let number = session.info()?.session;

    let complete = find(tracepoint::COMPLETE)?;
    let mut instance = Instance::create(&format!("{TRACE}{}", process::id()))?;
    for name in [tracepoint::SUBMIT, tracepoint::START] {
        instance.enable(&find(name)?)?;
    }
    instance.enable(&complete)?;
    evidence.gave(
        "switch events on, in a trace of this program's own",
        "mkdir(2) in tracefs/instances, write(2) to its events/dmacopy/*/enable",
        "3 events",
    );
    let mut sampler = Sampler::open(&complete)?;
    evidence.gave(
        "have each end of a transfer recorded",
        format_args!("perf_event_open(2) of {}, mmap(2)", complete.name()),
        format_args!("tracepoint {}", complete.id()),
    );
    let completion = session.copy(0, 2048, LENGTH)?;
    evidence.asked(
        "copy",
        format_args!("ioctl(2) COPY on {}", device.node().display()),
        format_args!(
            "transfer {} took {:?}",
            completion.sequence, completion.duration
        ),
    );

    let mut times = Vec::new();
    for name in [tracepoint::SUBMIT, tracepoint::START, tracepoint::COMPLETE] {
        let line = instance
            .next(PATIENCE)?
            .with_context(|| format!("no record of {name} within {PATIENCE:?}"))?;
        evidence.got(
            "a line of the trace",
            "read(2) of trace_pipe",
            format_args!("{} at {:?}", line.event, line.time),
        );
        evidence.equal("event", name, line.event.as_str(), "tracefs")?;
        let found = |field| {
            line.number(field)
                .with_context(|| format!("{name} has no number {field}"))
        };
        ensure!(
            found(field::SESSION)? == number && found(field::LENGTH)? == LENGTH,
            "{name} is of another transfer: {line:?}"
        );
        ensure!(
            found(field::SEQUENCE)? == completion.sequence,
            "{name} is of transfer {:?}, not {}",
            line.text(field::SEQUENCE),
            completion.sequence
        );
        times.push(line.time);
    }
    ensure!(times.is_sorted(), "the records are out of order: {times:?}");

    let sample = sampler
        .next(PATIENCE)?
        .with_context(|| format!("no sample within {PATIENCE:?}"))?;
    evidence.got(
        "a sample",
        "the mapped perf ring",
        format_args!("{} bytes", sample.record.len()),
    );
    let latency = complete.number(&sample.record, field::LATENCY_NS)?;
    evidence.equal(
        "latency in ns",
        i128::try_from(completion.duration.as_nanos())?,
        latency,
        "perf sample",
    )?;
    drop((sampler, instance));

    let mut counter = Counter::open(&complete)?;
    for _ in 0..COPIES {
        session.copy(0, 2048, LENGTH)?;
    }
    evidence.asked(
        "have the kernel count, and copy",
        format_args!("perf_event_open(2) of {}, ioctl(2) COPY", complete.name()),
        format_args!("{COPIES} copies"),
    );
    evidence.equal("copies counted", COPIES, counter.read()?, "perf counter")
}
