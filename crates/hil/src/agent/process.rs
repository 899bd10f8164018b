// SPDX-License-Identifier: MIT OR Apache-2.0

//! Programs that run on a board.

use std::time::Duration;

use agent_wire::message::{CHUNK, Ended, Program, Reply, Request, Stream};

use super::Agent;
use super::calls::{Call, Caller};
use crate::Error;

/// Longer than the agent takes to kill a program whose time is up and to drain its output.
const OVERTIME: Duration = Duration::from_secs(30);

/// How long a program without a limit may run.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the agent may take to start a program.
const START: Duration = Duration::from_secs(20);

/// A program that runs on a board.
#[derive(Debug)]
pub struct Process {
    agent: Agent,
    call: Call,
    limit: Duration,
}

/// What a program has written, and how it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub ended: Ended,
}

impl Output {
    /// Whether it ended with status 0.
    pub fn success(&self) -> bool {
        self.ended.code == Some(0)
    }
}

/// What a program has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has written something.
    Output(Stream, Vec<u8>),
    /// It has ended.
    Ended(Ended),
}

/// The standard input of a program that runs on a board. Dropping it does not end the input.
#[derive(Clone, Debug)]
pub struct Input(Caller);

impl Input {
    /// Writes to it.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        for bytes in bytes.chunks(CHUNK) {
            let bytes = bytes.to_vec();
            self.0.send(Request::Input { bytes })?;
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn end(&self) -> Result<(), Error> {
        let bytes = Vec::new();
        self.0.send(Request::Input { bytes })
    }
}

impl Process {
    pub(super) fn start(agent: &Agent, program: Program) -> Result<Self, Error> {
        let limit = program.limit_ms.map_or(FOR_EVER, Duration::from_millis);
        let call = agent.begin(Request::Run(program))?;
        match call.reply(START)? {
            Reply::Started { .. } => Ok(Self {
                agent: agent.clone(),
                call,
                limit: limit.saturating_add(OVERTIME),
            }),
            other => Err(Error::unexpected("starting a program", &other)),
        }
    }

    /// The agent that runs it.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Its standard input, if it was started with one, for a thread of its own.
    pub fn input(&self) -> Input {
        Input(self.call.caller().clone())
    }

    /// Writes to its standard input, if it was started with one.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.input().write(bytes)
    }

    /// Ends its standard input.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn end_input(&self) -> Result<(), Error> {
        self.input().end()
    }

    /// Sends a signal, as in `signal(7)`, to it and to what it has started.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        self.call.send(Request::Signal { signal })
    }

    /// Waits for what it does next. None if that takes longer than `limit`.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn next(&self, limit: Duration) -> Result<Option<Event>, Error> {
        match self.call.reply(limit) {
            Ok(Reply::Output { stream, bytes }) => Ok(Some(Event::Output(stream, bytes))),
            Ok(Reply::Ended(ended)) => Ok(Some(Event::Ended(ended))),
            Ok(other) => Err(Error::unexpected("running a program", &other)),
            Err(Error::Unanswered { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands on what it writes until it has ended.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn attend(&self, write: &mut dyn FnMut(Stream, &[u8])) -> Result<Ended, Error> {
        loop {
            match self.next(self.limit)? {
                Some(Event::Output(stream, bytes)) => write(stream, &bytes),
                Some(Event::Ended(ended)) => return Ok(ended),
                None => return Err(Error::Unanswered { limit: self.limit }),
            }
        }
    }

    /// Waits until it has ended and returns all that it has written.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn output(&self) -> Result<Output, Error> {
        let mut output = Output::default();
        let (stdout, stderr) = (&mut output.stdout, &mut output.stderr);
        output.ended = self.attend(&mut |stream, bytes| match stream {
            Stream::Stdout => stdout.extend(bytes),
            Stream::Stderr => stderr.extend(bytes),
        })?;
        Ok(output)
    }
}
