// SPDX-License-Identifier: MIT OR Apache-2.0

//! Records counted, or collected as they are, by perf.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use perf_event::events::Tracepoint;
use perf_event::{Builder, Clock, ReadFormat, SampleFlag, data};

use super::Event;
use crate::{Error, Operation, text_file};

/// How many bytes of records the kernel keeps for each processor until they are read.
const BUFFER_BYTES: usize = 64 << 10;

/// Counts how often a tracepoint is passed, on all processors and in all programs, or by one thread.
///
/// Nothing is collected, so nothing can be lost.
pub struct Counter {
    event: String,
    per_cpu: Vec<perf_event::Counter>,
}

impl Counter {
    /// Begins to count.
    ///
    /// # Errors
    ///
    /// [`Error::PerfEvent`] with what `perf_event_open(2)` returned: `EACCES` without
    /// `CAP_PERFMON`.
    pub fn open(event: &Event) -> Result<Self, Error> {
        let per_cpu = open_all(event, |_| {})?;
        let event = event.to_string();
        Ok(Self { event, per_cpu })
    }

    /// Begins to count how often this thread passes it.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn of_this_thread(event: &Event) -> Result<Self, Error> {
        let mut builder = Builder::new(Tracepoint::with_id(event.id()));
        builder.include_kernel().observe_self().any_cpu();
        let per_cpu = vec![enabled(&builder, event)?];
        let event = event.to_string();
        Ok(Self { event, per_cpu })
    }

    /// How often it has been passed since this was opened.
    ///
    /// # Errors
    ///
    /// [`Error::PerfEvent`] when the kernel cannot tell.
    pub fn read(&mut self) -> Result<u64, Error> {
        let mut sum = 0;
        for counter in &mut self.per_cpu {
            sum += counter
                .read()
                .map_err(|source| failed(Operation::Read, &self.event, source))?;
        }
        Ok(sum)
    }
}

/// Collects the records of a tracepoint, on all processors and in all programs.
pub struct Sampler {
    event: String,
    per_cpu: Vec<perf_event::Sampler>,
    /// How many were lost, as far as that has been told.
    lost: u64,
    /// Read already, in the order of their time.
    samples: VecDeque<Sample>,
}

/// A record as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, by `CLOCK_MONOTONIC`.
    pub time: Duration,
    /// On which processor.
    pub cpu: u32,
    /// The record, to be read by [`Event::number`].
    pub record: Vec<u8>,
}

impl Sampler {
    /// Begins to collect.
    ///
    /// # Errors
    ///
    /// [`Error::PerfEvent`] with what `perf_event_open(2)` returned: `EACCES` without
    /// `CAP_PERFMON`; or with what `mmap(2)` returned.
    pub fn open(event: &Event) -> Result<Self, Error> {
        let counters = open_all(event, |builder| {
            let flags = SampleFlag::RAW | SampleFlag::TIME | SampleFlag::CPU;
            builder.sample(flags).sample_period(1).wakeup_events(1);
            builder.read_format(ReadFormat::LOST);
        })?;
        let event = event.to_string();
        let mut per_cpu = Vec::new();
        for counter in counters {
            let sampler = counter.sampled(BUFFER_BYTES);
            per_cpu.push(sampler.map_err(|source| failed(Operation::Map, &event, source))?);
        }
        Ok(Self {
            event,
            per_cpu,
            lost: 0,
            samples: VecDeque::new(),
        })
    }

    /// Waits for the next record; `None` when the time ran out. Records that are there at the same
    /// time are in the order of their time.
    ///
    /// # Errors
    ///
    /// [`Error::SamplesLost`] when this program was too slow, after which it may go on;
    /// [`Error::PerfEvent`] when the wait fails.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Sample>, Error> {
        // A timeout too far away for the clock is as good as none.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(sample) = self.samples.pop_front() {
                return Ok(Some(sample));
            }
            self.collect()?;
            if !self.samples.is_empty() {
                continue;
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            self.wait(left)?;
        }
    }

    /// Takes all that is there out of the ring buffers.
    fn collect(&mut self) -> Result<(), Error> {
        let mut lost = 0;
        for sampler in &mut self.per_cpu {
            while let Some(record) = sampler.next_record() {
                // There are records of other kinds, about losses and throttling.
                if let Ok(data::Record::Sample(sample)) = record.parse_record() {
                    self.samples.extend(read(&sample));
                }
            }
            // A record about a loss comes only with the next sample, which may never be.
            let counter = sampler.as_counter_mut();
            let count = counter
                .read_full()
                .map_err(|source| failed(Operation::Read, &self.event, source))?;
            lost += count.lost().unwrap_or(0);
        }
        self.samples
            .make_contiguous()
            .sort_by_key(|sample| sample.time);
        let count = lost - self.lost;
        self.lost = lost;
        if count > 0 {
            let event = self.event.clone();
            return Err(Error::SamplesLost { count, event });
        }
        Ok(())
    }

    /// Waits until there is something in one of the ring buffers, or the time has run out.
    fn wait(&self, left: Option<Duration>) -> Result<(), Error> {
        let mut descriptors: Vec<_> = self
            .per_cpu
            .iter()
            .map(|sampler| PollFd::new(descriptor(sampler), PollFlags::POLLIN))
            .collect();
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        match nix::poll::poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(failed(Operation::Poll, &self.event, errno.into())),
        }
    }
}

/// Opens one perf event per processor, which together see all of the machine.
fn open_all(
    event: &Event,
    configure: impl Fn(&mut Builder<'_>),
) -> Result<Vec<perf_event::Counter>, Error> {
    let cpus = online_cpus()?;
    cpus.into_iter()
        .map(|cpu| open_one(event, cpu, &configure))
        .collect()
}

/// Opens the perf event of one processor, which is enough to attach a program to the tracepoint.
pub(crate) fn open_first(event: &Event) -> Result<perf_event::Counter, Error> {
    let cpu = online_cpus()?.first().copied().unwrap_or(0);
    open_one(event, cpu, |_| {})
}

fn open_one(
    event: &Event,
    cpu: usize,
    configure: impl Fn(&mut Builder<'_>),
) -> Result<perf_event::Counter, Error> {
    let mut builder = Builder::new(Tracepoint::with_id(event.id()));
    // A tracepoint is passed in the kernel, for whomever.
    builder.include_kernel().any_pid().one_cpu(cpu);
    builder.clockid(Clock::MONOTONIC);
    configure(&mut builder);
    enabled(&builder, event)
}

/// Opens the perf event and has it begin.
fn enabled(builder: &Builder<'_>, event: &Event) -> Result<perf_event::Counter, Error> {
    let failed = |operation, source| failed(operation, &event.to_string(), source);
    let mut counter = builder
        .build()
        .map_err(|source| failed(Operation::Open, source))?;
    counter
        .enable()
        .map_err(|source| failed(Operation::Enable, source))?;
    Ok(counter)
}

/// The numbers of the processors that run.
fn online_cpus() -> Result<Vec<usize>, Error> {
    let path = Path::new("/sys/devices/system/cpu/online");
    let text = text_file::read(path)?;
    listed(&text).ok_or(Error::Value {
        path: path.to_owned(),
        text,
        expected: "a list of processors",
    })
}

/// Reads a list like `0-3,5`, see `cpuset(7)`.
fn listed(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last);
    }
    Some(cpus)
}

fn read(sample: &data::Sample<'_>) -> Option<Sample> {
    Some(Sample {
        time: Duration::from_nanos(sample.time()?),
        cpu: sample.cpu()?,
        record: sample.raw()?.to_owned(),
    })
}

fn descriptor(sampler: &perf_event::Sampler) -> BorrowedFd<'_> {
    // SAFETY: the sampler owns the descriptor, and closes it only when it is dropped, which it
    // cannot be while it is borrowed.
    unsafe { BorrowedFd::borrow_raw(sampler.as_raw_fd()) }
}

fn failed(operation: Operation, event: &str, source: std::io::Error) -> Error {
    let event = event.to_owned();
    Error::PerfEvent {
        operation,
        event,
        source,
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.event).finish()
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sampler").field(&self.event).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_timeout_is_none() {
        let sample = Sample {
            time: Duration::from_secs(1),
            cpu: 0,
            record: vec![1, 2],
        };
        let mut sampler = Sampler {
            event: "system:name".to_owned(),
            per_cpu: Vec::new(),
            lost: 0,
            samples: [sample.clone()].into(),
        };
        assert_eq!(sampler.next(Duration::MAX).unwrap(), Some(sample));
    }

    #[test]
    fn processors_are_listed_singly_and_in_ranges() {
        assert_eq!(listed("0"), Some(vec![0]));
        assert_eq!(listed("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(listed(""), None);
        assert_eq!(listed("0-"), None);
    }
}
