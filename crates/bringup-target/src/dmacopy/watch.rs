// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy watch`: what happens to the devices, as it is told.

use std::process;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use dmacopy_client::Events;
use dmacopy_uapi::names::DRIVER;
use kernel_channels::uevent::Monitor;

use super::news::{Line, News};
use crate::ending::{Next, Waiting};
use crate::exit::{Exit, Refusal};
use crate::{duration, output};

/// What is asked for.
#[derive(Args, Debug)]
pub(crate) struct Work {
    /// Who is listened to
    #[arg(long, value_enum, default_value_t = Source::All)]
    source: Source,
    /// Only what is about this device, such as dmacopy1, which need not be there yet
    #[arg(long, value_parser = name)]
    device: Option<String>,
    /// As many events
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// No longer than that: 500ms, 2s, 1min, a bare number is seconds; exit code 4 if fewer than
    /// `--count` have come
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
}

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// The driver, by its netlink group
    Netlink,
    /// The kernel, by uevents, also while there is no driver
    Uevent,
    /// Both
    All,
}

/// The name of a device: that of the driver, and a number.
fn name(text: &str) -> Result<String, String> {
    let number = text.strip_prefix(DRIVER).map(str::parse::<u32>);
    match number {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is not like {DRIVER}0")),
    }
}

/// The tokens of the two in the loop.
const NETLINK: u64 = 0;
const UEVENT: u64 = 1;

/// Prints one line for each event.
pub(super) fn run(work: &Work, json: bool) -> anyhow::Result<Exit> {
    let waiting = Waiting::new(work.timeout)?;
    let mut events = match work.source {
        Source::Uevent => None,
        Source::Netlink | Source::All => Some(listen()?),
    };
    let monitor = match work.source {
        Source::Netlink => None,
        Source::Uevent | Source::All => Some(Monitor::open()?),
    };
    if let Some(events) = &events {
        waiting.add(events, NETLINK)?;
    }
    if let Some(monitor) = &monitor {
        waiting.add(monitor, UEVENT)?;
    }
    // For whoever makes something happen: not before now.
    output::tell(&format!("watching, as process {}", process::id()));

    let mut count = 0;
    while work.count.is_none_or(|wanted| count < wanted) {
        let ready = match waiting.next()? {
            Next::Ready(ready) => ready,
            Next::TimeUp if work.count.is_some() => return Ok(Exit::Timeout),
            Next::TimeUp => return Ok(Exit::Ok),
            Next::Interrupted => match work.count {
                Some(wanted) => bail!("interrupted after {count} of {wanted} events"),
                None => return Ok(Exit::Ok),
            },
        };
        let mut all = Vec::new();
        if let Some(events) = events.as_mut().filter(|_| ready.contains(&NETLINK)) {
            News::of_driver(events, &mut all)?;
        }
        if let Some(monitor) = monitor.as_ref().filter(|_| ready.contains(&UEVENT)) {
            News::of_kernel(monitor, &mut all)?;
        }
        all.retain(|news| news.is_about(work.device.as_deref()));
        for news in all {
            let is_event = news.is_event();
            if is_event && work.count == Some(count) {
                break;
            }
            let line = Line::now(news)?;
            if !output::print_line(json, &line, || line.to_string())? {
                return Ok(Exit::Ok);
            }
            count += u64::from(is_event);
        }
    }
    Ok(Exit::Ok)
}

/// Listens to the driver, which has to be there for that.
fn listen() -> anyhow::Result<Events> {
    Events::listen().or_else(|error| {
        let is_there = std::path::Path::new("/sys/module").join(DRIVER).exists();
        if is_there {
            return Err(error).context("cannot listen to the driver");
        }
        let what = "the driver is not loaded; `--source uevent` waits for its devices";
        Err(Refusal::NoDevice(what.into()).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_the_driver_and_a_number() {
        assert_eq!(name("dmacopy12"), Ok("dmacopy12".into()));
        for text in ["", "dmacopy", "dmacopyx", "/dev/dmacopy0", "mem"] {
            name(text).unwrap_err();
        }
    }
}
