// SPDX-License-Identifier: MIT OR Apache-2.0

//! `upcall`: what the driver starts when its engine stalls, if an administrator has said so.
//!
//! It writes down what it was told. Nobody sees its output or waits for it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use dmacopy_client::Told;
use kernel_channels::upcall::{Call, Journal};

use crate::exit;

/// What the driver passes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The name of the device
    device: String,
    /// Its state
    state: String,
    /// The number of the transfer that took too long
    sequence: u64,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let call = Call::new(std::env::args_os(), std::env::vars_os());
    let journal = PathBuf::from(dmacopy_client::JOURNAL);
    match take_down(arguments, &call, journal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(false, &error),
    }
}

fn take_down(arguments: &Arguments, call: &Call, journal: PathBuf) -> anyhow::Result<()> {
    let Arguments {
        device,
        state,
        sequence,
    } = arguments;
    Told::read(call).with_context(|| {
        format!("{device}, {state} and {sequence} are not what the environment says")
    })?;
    Journal::open(journal)?.append(call)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_driver_says_is_taken_down() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal");
        let arguments = Arguments {
            device: "dmacopy0".into(),
            state: "stalled".into(),
            sequence: 17,
        };
        let words = ["/helper", "upcall", "dmacopy0", "stalled", "17"].map(Into::into);
        let call = Call::new(words.clone(), []);
        take_down(&arguments, &call, journal.clone()).unwrap_err();
        assert!(!journal.exists());

        let variables = [
            ("DMACOPY_DEVICE", "dmacopy0"),
            ("DMACOPY_STATE", "stalled"),
            ("DMACOPY_SEQUENCE", "17"),
        ];
        let call = Call::new(words, variables.map(|(k, v)| (k.into(), v.into())));
        take_down(&arguments, &call, journal.clone()).unwrap();
        let records = Journal::open(journal).unwrap().records().unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].as_ref().unwrap().call, call);
    }
}
