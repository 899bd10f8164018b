// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy`: what the driver says about its device.

use std::process::ExitCode;

use clap::Subcommand;
use dmacopy_client::Device;
use dmacopy_uapi::ioctl;
use serde::Serialize;

use crate::exit;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the first device is and what it can do
    Info {
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
}

/// What [`Command::Info`] shows.
#[derive(Debug, Serialize)]
struct Description {
    device: String,
    engine: String,
    state: String,
    abi_version: u32,
    capabilities: Vec<&'static str>,
    buffer_bytes: u64,
    max_transfer_bytes: u64,
    timeout_ms: u128,
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let Command::Info { json } = *command;
    match describe().and_then(|description| print(&description, json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

fn describe() -> anyhow::Result<Description> {
    let device = Device::first()?;
    let attributes = device.attributes();
    let info = device.session()?.info()?;
    Ok(Description {
        device: device.name().to_owned(),
        engine: attributes.engine()?,
        state: format!("{:?}", attributes.state()?).to_lowercase(),
        abi_version: info.abi_version,
        capabilities: capabilities(info.capabilities),
        buffer_bytes: info.buffer_bytes,
        max_transfer_bytes: info.max_transfer_bytes,
        timeout_ms: attributes.timeout()?.as_millis(),
    })
}

/// The names of the capability bits that are set, of those this program knows.
fn capabilities(bits: u64) -> Vec<&'static str> {
    let known = [
        (ioctl::CAP_MMAP, "mmap"),
        (ioctl::CAP_STREAM, "stream"),
        (ioctl::CAP_COPY, "copy"),
    ];
    let set = known.iter().filter(|(bit, _)| bits & bit != 0);
    set.map(|(_, name)| *name).collect()
}

fn print(description: &Description, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(description)?);
        return Ok(());
    }
    println!("device              {}", description.device);
    println!("engine              {}", description.engine);
    println!("state               {}", description.state);
    println!("ABI version         {}", description.abi_version);
    println!(
        "capabilities        {}",
        description.capabilities.join(", ")
    );
    println!("buffer              {} bytes", description.buffer_bytes);
    println!(
        "longest transfer    {} bytes",
        description.max_transfer_bytes
    );
    println!("timeout             {} ms", description.timeout_ms);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_shown_by_name_and_unknown_bits_are_passed_over() {
        let bits = ioctl::CAP_MMAP | ioctl::CAP_COPY | (1 << 63);
        assert_eq!(capabilities(bits), ["mmap", "copy"]);
        assert_eq!(capabilities(0), [""; 0]);
    }
}
