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
    /// Exit code 1 if any copy failed or any byte is another one.
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
    /// Exit code 1 if anything failed or any byte is another one.
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
    /// The first with this engine, such as pci
    #[arg(long)]
    engine: Option<String>,
}

impl Which {
    fn find(&self) -> anyhow::Result<Device> {
        let all = Device::all()?;
        let found = all.into_iter().find(|device| {
            let is_named = self
                .device
                .as_ref()
                .is_none_or(|name| name == device.name());
            let has_engine = |engine| device.attributes().engine().is_ok_and(|has| has == engine);
            is_named && self.engine.clone().is_none_or(has_engine)
        });
        let missing = || match (&self.device, &self.engine) {
            (None, None) => dmacopy_client::Error::NoDevice.into(),
            (Some(name), _) => Refusal::NoDevice(format!("there is no device {name}")).into(),
            (_, Some(engine)) => {
                Refusal::NoDevice(format!("no device has the engine {engine}")).into()
            }
        };
        found.ok_or_else(missing)
    }
}

pub(crate) fn run(command: &Command) -> ExitCode {
    exit::end(match command {
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
    })
}
