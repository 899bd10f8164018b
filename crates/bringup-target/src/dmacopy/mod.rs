// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy`: asks the driver, has it work, and watches it.

mod batches;
mod copy;
mod fill;
mod info;
mod news;
mod stats;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use dmacopy_client::Device;

use crate::exit::{self, Exit, Refusal};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a device is and what it can do
    Info {
        #[command(flatten)]
        which: Which,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Copy, and check what has arrived
    ///
    /// Exit code 1 if any copy failed, any byte is another one, or the device has gone meanwhile.
    Copy {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        work: copy::Work,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Fill, and check each byte that was filled and those around it
    ///
    /// Exit code 1 if anything failed, any byte is another one, or the device has gone meanwhile.
    Fill {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        work: fill::Work,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show what a device has counted, or by how much that grows
    Stats {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        work: stats::Work,
        /// Print a JSON document; with --interval, one on each line
        #[arg(long)]
        json: bool,
    },
    /// Print what happens to the devices as it happens, one line each, until Ctrl-C
    Watch {
        #[command(flatten)]
        work: watch::Work,
        /// Print a JSON document on each line
        #[arg(long)]
        json: bool,
    },
}

/// A device; the first one if nothing is said.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// Its name, such as dmacopy1
    #[arg(long, conflicts_with = "engine")]
    device: Option<String>,
    /// The first with this engine: pci, dmaengine or software
    #[arg(long)]
    engine: Option<String>,
}

impl Which {
    fn find(&self) -> anyhow::Result<Device> {
        let all = Device::all()?;
        let with_engine = |device: Device| {
            let engine = device.attributes().engine().unwrap_or_default();
            (device, engine)
        };
        let mut all: Vec<_> = all.into_iter().map(with_engine).collect();
        let found = all
            .iter()
            .position(|(device, engine)| self.means(device.name(), engine));
        match found {
            Some(place) => Ok(all.swap_remove(place).0),
            None => {
                let all = all.iter();
                let all = all.map(|(device, engine)| (device.name(), engine.as_str()));
                Err(self.missing(&all.collect::<Vec<_>>()))
            }
        }
    }

    /// Whether it is a device of that name and engine.
    fn means(&self, name: &str, engine: &str) -> bool {
        let is = |wanted: &Option<String>, has| wanted.as_ref().is_none_or(|wanted| wanted == has);
        is(&self.device, name) && is(&self.engine, engine)
    }

    /// That it is none of those that there are.
    fn missing(&self, all: &[(&str, &str)]) -> anyhow::Error {
        let missing = match (&self.device, &self.engine) {
            (None, None) => return dmacopy_client::Error::NoDevice.into(),
            (Some(name), _) => format!("there is no device {name}"),
            (_, Some(engine)) => format!("no device has the engine {engine}"),
        };
        let there: Vec<_> = all
            .iter()
            .map(|(name, engine)| format!("{name} with {engine}"))
            .collect();
        let there = match there.as_slice() {
            [] => "there is none at all".to_owned(),
            there => format!("there is {}", there.join(", ")),
        };
        Refusal::NoDevice(format!("{missing}: {there}")).into()
    }
}

impl Command {
    fn json(&self) -> bool {
        match self {
            Self::Info { json, .. }
            | Self::Copy { json, .. }
            | Self::Fill { json, .. }
            | Self::Stats { json, .. }
            | Self::Watch { json, .. } => *json,
        }
    }
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let result = match command {
        Command::Info { which, json } => {
            let shown = which.find().and_then(|device| info::run(&device, *json));
            shown.map(|()| Exit::Ok)
        }
        Command::Copy { which, work, json } => which
            .find()
            .and_then(|device| copy::run(&device, work, *json))
            .map(Exit::from),
        Command::Fill { which, work, json } => which
            .find()
            .and_then(|device| fill::run(&device, work, *json))
            .map(Exit::from),
        Command::Stats { which, work, json } => which
            .find()
            .and_then(|device| stats::run(&device, work, *json))
            .map(|()| Exit::Ok),
        Command::Watch { work, json } => watch::run(work, *json),
    };
    exit::end(command.json(), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(device: Option<&str>, engine: Option<&str>) -> Which {
        let [device, engine] = [device, engine].map(|name| name.map(str::to_owned));
        Which { device, engine }
    }

    #[test]
    fn a_device_is_meant_by_its_name_or_its_engine_or_the_first_is() {
        assert!(which(None, None).means("dmacopy0", "software"));
        assert!(which(Some("dmacopy1"), None).means("dmacopy1", "pci"));
        assert!(!which(Some("dmacopy1"), None).means("dmacopy0", "pci"));
        assert!(which(None, Some("pci")).means("dmacopy1", "pci"));
        assert!(!which(None, Some("pci")).means("dmacopy0", "software"));
    }

    #[test]
    fn who_asks_for_one_that_there_is_not_is_told_which_there_are() {
        let all = [("dmacopy0", "software"), ("dmacopy1", "pci")];
        let told = |which: Which, all: &[(&str, &str)]| which.missing(all).to_string();
        assert_eq!(
            told(which(None, Some("steam")), &all),
            "no device has the engine steam: there is dmacopy0 with software, dmacopy1 with pci"
        );
        assert_eq!(
            told(which(Some("dmacopy7"), None), &all[..1]),
            "there is no device dmacopy7: there is dmacopy0 with software"
        );
        assert_eq!(
            told(which(None, Some("pci")), &[]),
            "no device has the engine pci: there is none at all"
        );
    }
}
