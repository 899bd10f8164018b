// SPDX-License-Identifier: MIT OR Apache-2.0

//! The one way in which a command fails: what was attempted, why it failed, and what to do.

use std::error::Error as StdError;
use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};

use crate::exit::Exit;

/// A command's result.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) struct Failure(Box<Content>);

#[derive(Debug)]
struct Content {
    exit: Exit,
    what: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    evidence: Vec<String>,
    help: Vec<String>,
}

impl Failure {
    /// A failure to do `what`.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self(Box::new(Content {
            exit,
            what: what.into(),
            cause: None,
            evidence: Vec::new(),
            help: Vec::new(),
        }))
    }

    /// Adds the error that brought it about.
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Adds lines that show what happened: the end of a log, of a console.
    pub(crate) fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.0.evidence.extend(lines);
        self
    }

    /// Adds a line that says what to do.
    pub(crate) fn help(mut self, line: impl Into<String>) -> Self {
        self.0.help.push(line.into());
        self
    }

    /// Says what it was a part of.
    pub(crate) fn within(mut self, whole: &str) -> Self {
        self.0.what = format!("{whole}: {}", self.0.what);
        self
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.0.exit
    }

    /// What failed and why, on one line.
    pub(crate) fn summary(&self) -> String {
        let mut line = self.0.what.clone();
        let mut cause = self.0.cause.as_deref().map(|e| e as &dyn StdError);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(error.to_string().trim_end());
            cause = error.source();
        }
        line
    }

    /// What to do about it.
    pub(crate) fn help_lines(&self) -> &[String] {
        &self.0.help
    }

    /// The lines that show what happened.
    pub(crate) fn evidence_lines(&self) -> &[String] {
        &self.0.evidence
    }

    /// Prints it on standard error as programs read it: one line, the last.
    pub(crate) fn print_json(&self) {
        eprintln!("{}", self.document());
    }

    fn document(&self) -> serde_json::Value {
        let mut document = serde_json::json!({
            "error": self.summary(),
            "exit_code": self.0.exit as u8,
        });
        for (name, lines) in [("evidence", &self.0.evidence), ("help", &self.0.help)] {
            if !lines.is_empty() {
                document[name] = lines.as_slice().into();
            }
        }
        document
    }

    /// Prints it on standard error.
    pub(crate) fn print(&self) {
        let error = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        let help = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
        for line in &self.0.evidence {
            anstream::eprintln!("    {line}");
        }
        anstream::eprintln!("{error}error:{error:#} {}", self.summary());
        for line in &self.0.help {
            anstream::eprintln!("{help}help:{help:#} {line}");
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

/// Turns another error into a [`Failure`].
pub(crate) trait OrFail<T> {
    /// Says which exit code it means and what was attempted.
    fn or_fail<W: Into<String>>(self, exit: Exit, what: impl FnOnce() -> W) -> Result<T>;

    /// The same for this PC's files and processes.
    fn or_environment<W: Into<String>>(self, what: impl FnOnce() -> W) -> Result<T>
    where
        Self: Sized,
    {
        self.or_fail(Exit::Environment, what)
    }
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<W: Into<String>>(self, exit: Exit, what: impl FnOnce() -> W) -> Result<T> {
        self.map_err(|cause| Failure::new(exit, what()).because(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_all_that_a_person_does() {
        let failure = Failure::new(Exit::Refused, "no such board")
            .because("it is not there")
            .help("look once more");
        let expected = serde_json::json!({
            "error": "no such board: it is not there",
            "exit_code": 2,
            "help": ["look once more"],
        });
        assert_eq!(failure.document(), expected);
        let failure = failure.evidence(["a line".to_owned()]);
        assert_eq!(failure.document()["evidence"][0], "a line");
    }
}
