// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy stats`: what a device has counted, and by how much that grows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use dmacopy_client::Device;
use dmacopy_uapi::names::attribute;
use kernel_channels::eventfd::Timer;
use serde::Serialize;

use crate::ending::{Next, Waiting};
use crate::{duration, output};

/// What only grows, in the order of the columns.
const COUNTERS: [&str; 7] = [
    attribute::TRANSFERS,
    attribute::BYTES,
    attribute::CPU_BYTES,
    attribute::ERRORS,
    attribute::STALLS,
    attribute::RESETS,
    attribute::LOST_INTERRUPTS,
];

/// The narrowest column.
const WIDTH: usize = 10;

/// What is asked for.
#[derive(Args, Debug)]
pub(crate) struct Work {
    /// Show by how much the counters grow, in each interval of so long, until Ctrl-C; 500ms, 2s, 1min,
    /// a bare number is seconds
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    interval: Option<Duration>,
    /// As many intervals
    #[arg(long, requires = "interval", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// All counters at one moment.
type Counters = BTreeMap<&'static str, u64>;

/// A device at one moment.
#[derive(Debug, Serialize)]
struct Sample {
    device: String,
    engine: String,
    state: String,
    /// How many are open.
    sessions: u64,
    total: Counters,
    /// How long the interval was, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// By how much the counters have grown in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Counters>,
}

/// Shows the counters once, or their growth again and again.
pub(super) fn run(device: &Device, work: &Work, json: bool) -> anyhow::Result<()> {
    let first = Sample::take(device)?;
    match work.interval {
        None => output::print(json, &first, || first.text()),
        Some(interval) => follow(device, first.total, interval, work.count, json),
    }
}

fn follow(
    device: &Device,
    mut before: Counters,
    interval: Duration,
    count: Option<u64>,
    json: bool,
) -> anyhow::Result<()> {
    const TIMER: u64 = 0;
    let waiting = Waiting::new(None)?;
    let timer = Timer::new()?;
    waiting.add(&timer, TIMER)?;
    timer.every(interval)?;
    let mut last = Instant::now();
    if !json && !output::print_line(false, &(), headings)? {
        return Ok(());
    }
    let mut shown = 0;
    while count.is_none_or(|count| shown < count) {
        if waiting.next()? == Next::Interrupted {
            return Ok(());
        }
        timer.expirations()?;
        let (now, mut sample) = (Instant::now(), Sample::take(device)?);
        sample.compare(&before, now - last);
        if !output::print_line(json, &sample, || sample.line())? {
            return Ok(());
        }
        (before, last) = (sample.total, now);
        shown += 1;
    }
    Ok(())
}

impl Sample {
    fn take(device: &Device) -> anyhow::Result<Self> {
        let attributes = device.attributes();
        let read = |name| Ok((name, attributes.directory().number(name)?));
        let total: Result<_, kernel_channels::Error> = COUNTERS.into_iter().map(read).collect();
        Ok(Self {
            device: device.name().to_owned(),
            engine: attributes.engine()?,
            state: attributes.directory().text(attribute::STATE)?,
            sessions: attributes.sessions()?,
            total: total?,
            seconds: None,
            difference: None,
        })
    }

    fn compare(&mut self, before: &Counters, interval: Duration) {
        let grown = |(name, now): (&&'static str, &u64)| {
            let before = before.get(name).copied().unwrap_or_default();
            (*name, now.wrapping_sub(before))
        };
        self.difference = Some(self.total.iter().map(grown).collect());
        self.seconds = Some(interval.as_secs_f64());
    }

    /// The totals, for people.
    fn text(&self) -> String {
        let mut lines = vec![
            format!("device              {}", self.device),
            format!("engine              {}", self.engine),
            format!("state               {}", self.state),
            format!("sessions            {}", self.sessions),
        ];
        let counters = COUNTERS
            .iter()
            .filter_map(|name| self.total.get_key_value(name));
        lines.extend(counters.map(|(name, count)| format!("{name:<20}{count}")));
        lines.join("\n") + "\n"
    }

    /// The growth, in columns.
    fn line(&self) -> String {
        let mut line = format!("{:WIDTH$.3}", self.seconds.unwrap_or_default());
        for name in COUNTERS {
            let grown = self.difference.as_ref().and_then(|all| all.get(name));
            let grown = grown.copied().unwrap_or_default();
            line += &format!("  {grown:>width$}", width = width(name));
        }
        format!("{line}  {:>8}  {}", self.sessions, self.state)
    }
}

fn headings() -> String {
    let mut line = format!("{:>WIDTH$}", "seconds");
    for name in COUNTERS {
        line += &format!("  {name:>width$}", width = width(name));
    }
    format!("{line}  {:>8}  state", "sessions")
}

fn width(name: &str) -> usize {
    name.len().max(WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        Sample {
            device: "dmacopy0".into(),
            engine: "software".into(),
            state: "running".into(),
            sessions: 2,
            total: (0..)
                .zip(COUNTERS)
                .map(|(i, name)| (name, 10 * i))
                .collect(),
            seconds: None,
            difference: None,
        }
    }

    #[test]
    fn the_growth_is_the_difference_also_over_the_largest_number() {
        let mut sample = sample();
        let mut before = sample.total.clone();
        before.insert(attribute::BYTES, u64::MAX);
        before.insert(attribute::ERRORS, 28);
        sample.compare(&before, Duration::from_millis(1500));
        let difference = sample.difference.as_ref().unwrap();
        assert_eq!(difference[attribute::BYTES], 11);
        assert_eq!(difference[attribute::ERRORS], 2);
        assert_eq!(difference[attribute::TRANSFERS], 0);
        assert_eq!(sample.seconds, Some(1.5));
    }

    #[test]
    fn the_columns_stand_below_their_headings() {
        let mut sample = sample();
        sample.compare(&sample.total.clone(), Duration::from_secs(1));
        let (headings, line) = (headings(), sample.line());
        for name in COUNTERS {
            let end = headings.find(&format!(" {name}")).unwrap() + 1 + name.len();
            assert!(line[..end].ends_with(" 0"), "{name}: {line}");
        }
        assert!(line.ends_with("         2  running"), "{line}");
    }

    #[test]
    fn the_totals_are_told_in_the_order_of_the_columns() {
        let text = sample().text();
        let place = |name| text.find(&format!("\n{name} ")).unwrap();
        assert!(COUNTERS.map(place).is_sorted());
        assert!(text.contains("lost_interrupts     60\n"), "{text}");
    }
}
