// SPDX-License-Identifier: MIT OR Apache-2.0

//! Exit codes, which scripts and the bench rely on.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use crate::output;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All went well, and what was looked at is as it should be.
    Ok = 0,
    /// A room failed, something is not as it should be, or the command could not be carried out.
    Failed = 1,
    /// Wrong usage. The command-line parser exits with it, too.
    Usage = 2,
    /// There is no such dmacopy device.
    NoDevice = 3,
    /// The time was up before what was waited for had come.
    Timeout = 4,
    /// Another visit of the board is under way.
    Busy = 5,
}

/// The table of exit codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  ok
  1  something failed, or is not as it should be
  2  wrong usage
  3  there is no such dmacopy device
  4  the time was up before what was waited for had come
  5  another visit of the board, by tour or channel, is under way

With --json an error is a JSON object, the last line of standard error:
  {\"error\": \"...\", \"exit_code\": N}, and \"help\" if something can be done about it";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // CAST: the enum is `repr(u8)`.
        Self::from(exit as u8)
    }
}

/// What a command cannot begin with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The words of the command line cannot be meant together.
    #[error("{0}")]
    Usage(String),
    /// No device is the one that was asked for.
    #[error("{0}")]
    NoDevice(String),
    /// Somebody else is at it.
    #[error("{0}")]
    Busy(String),
}

/// What a command ends with, or why it could not be carried out.
pub(crate) fn end(json: bool, result: anyhow::Result<impl Into<Exit>>) -> ExitCode {
    match result {
        Ok(exit) => exit.into().into(),
        Err(error) => report(json, &error),
    }
}

impl From<bool> for Exit {
    /// Whether all is well.
    fn from(is_well: bool) -> Self {
        match is_well {
            true => Self::Ok,
            false => Self::Failed,
        }
    }
}

/// An error as programs read it.
#[derive(Debug, Serialize)]
struct Document<'a> {
    error: &'a str,
    exit_code: u8,
    /// What to do about it.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    help: &'a [&'a str],
}

impl Document<'_> {
    fn text(&self) -> String {
        // Texts and a number are always a document.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Prints an error with its causes, and says what to exit with.
pub(crate) fn report(json: bool, error: &anyhow::Error) -> ExitCode {
    let exit = of(error);
    let help: &[_] = match exit {
        Exit::NoDevice => &["`bringup-target doctor` says what is missing"],
        Exit::Busy => &["wait until it has ended, or end it by Ctrl-C or SIGTERM"],
        _ => &[],
    };
    let error = format!("{error:#}");
    if json {
        let (error, exit_code) = (error.as_str(), exit as u8);
        let document = Document {
            error,
            exit_code,
            help,
        };
        output::tell(&document.text());
    } else {
        output::tell(&format!("error: {error}"));
        for help in help {
            output::tell(&format!("help: {help}"));
        }
    }
    exit.into()
}

/// Ends with what the command-line parser has to say: an error in these words, or the help that was
/// asked for.
pub(crate) fn unparsed(error: &clap::Error, words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let json = words.into_iter().any(|word| word == "--json");
    if !error.use_stderr() {
        let written = error.print().or_else(|error| match error.kind() {
            // Whoever reads has seen enough.
            ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        });
        let written = written.context("cannot write to standard output");
        return end(json, written.map(|()| true));
    }
    if !json {
        error.exit();
    }
    let text = error.to_string();
    let document = Document {
        error: text.trim().trim_start_matches("error: "),
        exit_code: Exit::Usage as u8,
        help: &[],
    };
    output::tell(&document.text());
    Exit::Usage.into()
}

/// The exit code that tells of an error.
fn of(error: &anyhow::Error) -> Exit {
    match error.downcast_ref() {
        Some(Refusal::Usage(_)) => return Exit::Usage,
        Some(Refusal::NoDevice(_)) => return Exit::NoDevice,
        Some(Refusal::Busy(_)) => return Exit::Busy,
        None => {}
    }
    match error.downcast_ref() {
        Some(dmacopy_client::Error::NoDevice) => Exit::NoDevice,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn each_kind_of_error_has_an_exit_code_of_its_own() {
        let missing = anyhow::Error::new(dmacopy_client::Error::NoDevice);
        assert_eq!(of(&missing), Exit::NoDevice);
        assert_eq!(
            of(&Refusal::NoDevice("no dmacopy7".into()).into()),
            Exit::NoDevice
        );
        assert_eq!(of(&Refusal::Usage("no bytes".into()).into()), Exit::Usage);
        assert_eq!(of(&Refusal::Busy("at it".into()).into()), Exit::Busy);
        assert_eq!(of(&anyhow!("else")), Exit::Failed);
    }

    #[test]
    fn a_program_reads_an_error_as_one_line() {
        let document = Document {
            error: "no \"x\"\nthere",
            exit_code: 3,
            help: &[],
        };
        let expected = r#"{"error":"no \"x\"\nthere","exit_code":3}"#;
        assert_eq!(document.text(), expected);
    }

    #[test]
    fn the_help_tells_each_exit_code() {
        let all = [
            Exit::Ok,
            Exit::Failed,
            Exit::Usage,
            Exit::NoDevice,
            Exit::Timeout,
            Exit::Busy,
        ];
        let told = HELP.lines().skip(1);
        let told: Vec<_> = told.take_while(|line| !line.is_empty()).collect();
        assert_eq!(told.len(), all.len());
        for (line, exit) in told.iter().zip(all) {
            assert!(line.starts_with(&format!("  {}  ", exit as u8)), "{line}");
        }
    }
}
