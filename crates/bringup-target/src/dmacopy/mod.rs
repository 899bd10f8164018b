// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy`: asks the driver, and has it copy.

mod copy;
mod info;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use dmacopy_client::Device;

use crate::exit;

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
        match (&self.device, &self.engine) {
            (None, None) => found.ok_or(dmacopy_client::Error::NoDevice.into()),
            (Some(name), _) => found.with_context(|| format!("there is no {name}")),
            (_, Some(engine)) => {
                found.with_context(|| format!("no device has the engine {engine}"))
            }
        }
    }
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let result = match command {
        Command::Info { which, json } => {
            let shown = which.find().and_then(|device| info::run(&device, *json));
            shown.map(|()| ExitCode::SUCCESS)
        }
        Command::Copy { which, work, json } => {
            let copied = which
                .find()
                .and_then(|device| copy::run(&device, work, *json));
            copied.map(|is_good| match is_good {
                true => ExitCode::SUCCESS,
                false => exit::FAILED.into(),
            })
        }
    };
    result.unwrap_or_else(|error| exit::report(&error))
}
