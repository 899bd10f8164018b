// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target` as people and scripts use it: words in, text and an exit code out.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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
    Called::of(program(words)?.output()?)
}

/// Starts the program with these words.
///
/// # Errors
///
/// When it cannot be started.
pub fn start(words: &str) -> Result<Running> {
    let mut command = program(words)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let error = child.stderr.take().ok_or("no error output")?;
    Ok(Running {
        child,
        output: Some(BufReader::new(output)),
        error: BufReader::new(error),
    })
}

/// A program that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    error: BufReader<ChildStderr>,
}

impl Running {
    /// The next line of what it says to people.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn said(&mut self) -> Result<String> {
        line(&mut self.error)
    }

    /// The next line of its results.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn line(&mut self) -> Result<String> {
        line(self.output.as_mut().ok_or("nobody reads it any more")?)
    }

    /// The document that is the next line of its results.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn json_line(&mut self) -> Result<Value> {
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// Reads its results no more.
    pub fn stop_reading(&mut self) {
        self.output = None;
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// What `kill(2)` returned.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = Pid::from_raw(i32::try_from(self.child.id())?);
        Ok(kill(process, signal)?)
    }

    /// Whether it has ended.
    ///
    /// # Errors
    ///
    /// What `waitpid(2)` returned.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What comes of it: waits until it has ended.
    ///
    /// # Errors
    ///
    /// When it prints what is no text.
    pub fn end(mut self) -> Result<Called> {
        let (mut output, mut error) = (String::new(), String::new());
        if let Some(rest) = &mut self.output {
            rest.read_to_string(&mut output)?;
        }
        self.error.read_to_string(&mut error)?;
        Ok(Called {
            code: self.child.wait()?.code(),
            output,
            error,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.strip_suffix('\n').ok_or("the program has ended")?;
    Ok(line.to_owned())
}

/// The program with these words, not started.
///
/// # Errors
///
/// When it cannot be found.
pub fn program(words: &str) -> Result<Command> {
    let mut command = Command::new(agent()?);
    command.args(words.split_whitespace()).stdin(Stdio::null());
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
