// SPDX-License-Identifier: MIT OR Apache-2.0

//! labgrid's client, a program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::super::command;
use super::refusal;
use crate::description::Labgrid;
use crate::{CommandFailure, Error};

/// What could make the client use another place or environment than it is told.
const AMBIENT: [&str; 7] = [
    "LG_ENV",
    "LG_PLACE",
    "PLACE",
    "LG_STATE",
    "STATE",
    "LG_INITIAL_STATE",
    "LG_TOKEN",
];

/// The client, and whom it asks.
#[derive(Debug)]
pub(super) struct Client {
    program: PathBuf,
    coordinator: Option<String>,
    limit: Duration,
}

impl Client {
    pub(super) fn new(settings: &Labgrid) -> Self {
        Self {
            program: settings.client.clone(),
            coordinator: settings.coordinator.clone(),
            limit: Duration::from_secs(settings.command_seconds),
        }
    }

    /// How long one command may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// The words of a command, about a place if there is one.
    pub(super) fn words(
        &self,
        config: Option<&Path>,
        place: Option<&str>,
        words: &[&str],
    ) -> Vec<String> {
        let mut all = vec![self.program.to_string_lossy().into_owned()];
        if let Some(coordinator) = &self.coordinator {
            all.extend(["--coordinator".to_owned(), coordinator.clone()]);
        }
        if let Some(config) = config {
            all.extend(["--config".to_owned(), config.to_string_lossy().into()]);
        }
        if let Some(place) = place {
            all.extend(["--place".to_owned(), place.to_owned()]);
        }
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all
    }

    /// The command of these words, which goes by them alone.
    pub(super) fn command(
        &self,
        config: Option<&Path>,
        place: Option<&str>,
        words: &[&str],
    ) -> Command {
        let words = self.words(config, place, words);
        let mut command = Command::new(&self.program);
        command.args(&words[1..]);
        forget_ambient(&mut command);
        command
    }

    /// Runs it and returns what it has said; `what` is told of one that fails.
    pub(super) fn ask(
        &self,
        what: &str,
        config: Option<&Path>,
        place: Option<&str>,
        words: &[&str],
    ) -> Result<String, Error> {
        let command = self.command(config, place, words);
        self.finish(what, command, self.limit, &|| false)
    }

    /// Runs a command to its end, or until it is unwanted.
    pub(super) fn finish(
        &self,
        what: &str,
        mut command: Command,
        limit: Duration,
        is_unwanted: &dyn Fn() -> bool,
    ) -> Result<String, Error> {
        command::finish(&mut command, limit, is_unwanted).map_err(|error| match error {
            Error::Command { why, .. } => self.refused(what, &why),
            other => other,
        })
    }

    /// What it means that the client has failed, or is not there.
    fn refused(&self, what: &str, why: &CommandFailure) -> Error {
        match why {
            CommandFailure::Ended { .. } => refusal::explain(what, &why.to_string()),
            CommandFailure::Unrun(error) => {
                let program = self.program.display();
                refusal::explain(what, &format!("cannot run {program}: {error}"))
            }
        }
    }
}

/// Takes away what could make the client use another place or environment than it is told.
pub(super) fn forget_ambient(command: &mut Command) {
    for name in AMBIENT {
        command.env_remove(name);
    }
}
