// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent by a remote login: on a board with a network and a system of its own.
//!
//! Nothing of the kit's needs to be on the board. Whoever logs in makes sure that there is the very
//! agent that belongs to this program, by its hash, and runs it; ssh's standard input and output
//! are the line to it. ssh itself is the PC's own, with the PC's configuration, keys and known
//! hosts: a board with another key than the known one is refused.
//!
//! # References
//!
//! - `ssh(1)`, `ssh_config(5)`

mod refusal;
mod script;
mod session;
mod settings;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use agent_wire::link;
use sha2::{Digest as _, Sha256};

use self::refusal::Refusal;
use self::session::{Heard, Session};
pub use self::settings::Settings;
use crate::wiring::{AgentLine, Duplex};
use crate::{Console, Error};

/// How long the first attempt to connect may take; each next one twice as long, up to the longest.
/// What forwards a port may accept a connection before the board can, and lose it.
const CONNECT: Duration = Duration::from_secs(2);
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// How long a shell may take to come up once ssh has connected.
const SHELL: Duration = Duration::from_secs(20);

/// How long the agent's file may be under way: a few MiB over any network that is one.
const TRANSFER: Duration = Duration::from_secs(300);

/// A remote login to one board. Dropping it logs out, which ends the agent.
#[derive(Debug)]
pub struct Login {
    settings: Settings,
    /// The agent's program, for the board.
    agent: PathBuf,
    /// Where it is told why the board cannot be reached yet.
    log: Console,
    connect: Duration,
    patience: Duration,
    told: String,
    session: Option<Session>,
}

/// How far one attempt has come.
enum Attempt {
    Ready(Duplex),
    /// The agent has been stored: once more.
    Stored,
    Refused(Refusal),
}

impl Login {
    /// Nobody is logged in yet. `agent` is the path of the board's program on this PC, static.
    pub fn new(settings: Settings, agent: PathBuf, log: Console) -> Self {
        Self {
            settings,
            agent,
            log,
            connect: CONNECT,
            patience: SHELL,
            told: String::new(),
            session: None,
        }
    }

    /// The same with a shell that may take as long as this to come up once ssh has connected.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Tries to reach the agent; to be asked again when that is not possible yet, which takes
    /// seconds to find out.
    ///
    /// # Errors
    ///
    /// When it will not become possible by waiting: ssh cannot be started, the board's key is
    /// another one, or the board refuses ours.
    pub fn agent(&mut self) -> Result<AgentLine, Error> {
        self.close();
        let program = self.program()?;
        let script = script::script(&hash(&program), program.len() as u64);
        // Another attempt only follows the one that has stored the agent.
        for _ in 0..2 {
            match self.attempt(&script, &program)? {
                Attempt::Ready(duplex) => {
                    self.connect = CONNECT;
                    self.told.clear();
                    return Ok(AgentLine::Own(duplex, link::Line::STREAM));
                }
                Attempt::Stored => {}
                Attempt::Refused(refusal) if refusal.may_pass => {
                    self.connect = (self.connect * 2).min(LONGEST_CONNECT);
                    self.tell(refusal.error.to_string());
                    return Ok(AgentLine::NotYet);
                }
                Attempt::Refused(refusal) => return Err(refusal.error),
            }
        }
        Err(self.failed("the board does not keep the agent that it was given"))
    }

    /// Why the line has ended, if ssh has.
    pub fn ended(&mut self) -> Option<Error> {
        let session = self.session.as_mut()?;
        let (status, words) = session.end();
        status?;
        Some(Refusal::new(&self.settings, status, &words).error)
    }

    /// Logs out.
    pub fn close(&mut self) {
        self.session = None;
    }

    fn attempt(&mut self, script: &str, program: &[u8]) -> Result<Attempt, Error> {
        let command = self.settings.command(self.connect, script);
        let session = Session::start(command).map_err(|error| {
            let program = self.settings.program.first().cloned();
            self.failed(format!(
                "cannot start {}: {error}",
                program.unwrap_or_default()
            ))
        })?;
        let mut limit = self.connect + self.patience;
        let session = self.session.insert(session);
        let broken = |error: io::Error| Error::Login {
            place: self.settings.to_string(),
            said: error.to_string(),
            hint: None,
        };
        loop {
            match session.next(limit) {
                Some(Heard::Ready(reader)) => {
                    session.tell(self.log.clone());
                    return Ok(Attempt::Ready(Duplex {
                        reader: Box::new(reader),
                        writer: Box::new(session.take_input().map_err(broken)?),
                    }));
                }
                Some(Heard::Wanted) => {
                    session.send(program.to_vec()).map_err(broken)?;
                    limit = TRANSFER;
                }
                Some(Heard::Stored) => return Ok(Attempt::Stored),
                Some(Heard::Ended) => {
                    let (status, words) = session.end();
                    let refusal = Refusal::new(&self.settings, status, &words);
                    return Ok(Attempt::Refused(refusal));
                }
                None => {
                    self.session = None;
                    let refusal = Refusal::new(&self.settings, None, &[]);
                    return Ok(Attempt::Refused(refusal));
                }
            }
        }
    }

    fn program(&self) -> Result<Vec<u8>, Error> {
        std::fs::read(&self.agent).map_err(|source| Error::File {
            path: self.agent.clone(),
            source,
        })
    }

    fn failed(&self, said: impl Into<String>) -> Error {
        Error::Login {
            place: self.settings.to_string(),
            said: said.into(),
            hint: None,
        }
    }

    /// Tells what stands in the way, each thing once.
    fn tell(&mut self, what: String) {
        if self.told != what {
            self.log.push(format!("\n[bench] {what}\n").as_bytes());
            self.told = what;
        }
    }
}

fn hash(program: &[u8]) -> String {
    let bytes = Sha256::digest(program);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .take(32)
        .collect()
}
