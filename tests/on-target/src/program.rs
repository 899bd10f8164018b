// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target` as people and scripts use it: words in, text and an exit code out.

use std::io;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::{Result, agent};

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The exit code; none when a signal has ended the program.
    pub code: Option<i32>,
    /// What it printed as a result.
    pub output: String,
    /// What it said to people.
    pub error: String,
}

/// Calls the program with these words, and waits until it has ended.
///
/// # Errors
///
/// When it cannot be started, or prints what is no text.
pub fn call(words: &str) -> Result<Called> {
    Called::of(command(words)?.output()?)
}

/// Starts the program with these words. What it prints is for who reads it.
///
/// # Errors
///
/// When it cannot be started.
pub fn start(words: &str) -> Result<Child> {
    let mut command = command(words)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

fn command(words: &str) -> Result<Command> {
    let mut command = Command::new(agent()?);
    command.args(words.split(' ')).stdin(Stdio::null());
    Ok(command)
}

impl Called {
    /// What has ended.
    ///
    /// # Errors
    ///
    /// When it has printed what is no text.
    pub fn of(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code(),
            output: String::from_utf8(output.stdout)?,
            error: String::from_utf8(output.stderr)?,
        })
    }

    /// The document that it has printed.
    ///
    /// # Errors
    ///
    /// When it is none, with all that it has printed.
    pub fn json(&self) -> Result<Value> {
        let parsed = serde_json::from_str(&self.output);
        Ok(parsed.map_err(|error| io::Error::other(format!("{error}: {self:?}")))?)
    }

    /// The documents that it has printed, one on each line.
    ///
    /// # Errors
    ///
    /// When a line is none.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        let lines = self.output.lines().map(serde_json::from_str);
        Ok(lines.collect::<std::result::Result<_, _>>()?)
    }
}
