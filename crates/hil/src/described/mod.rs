// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board on a desk: switched by commands, heard and talked to over the lines that `bench.toml`
//! names.

mod command;
mod hands;
mod line;
mod reconnect;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::link;
use board_spec::Board;

use self::command::run;
use self::hands::Hands;
use self::line::Address;
use self::reconnect::Reconnecting;
use crate::description::{AgentPath, BenchDescription, Power};
use crate::ssh::Login;
use crate::stimulus::Stimulus;
use crate::wiring::{AgentLine, Duplex, Wiring};
use crate::{Console, Error};

/// How long it may take until nobody listens to a board any more that was switched off.
const LET_GO: Duration = Duration::from_secs(1);

/// How often a line is tried in that time.
const LOOK: Duration = Duration::from_millis(20);

/// A board that is connected as a description says.
#[derive(Debug)]
pub struct Described {
    description: BenchDescription,
    console_address: Option<Address>,
    agent: Agent,
    log: Console,
    /// Opened before the board is switched on, so that its first words are heard.
    console: Option<Reconnecting>,
    is_known_to_be_off: bool,
    has_told: bool,
}

/// How the agent is reached.
#[derive(Debug)]
enum Agent {
    Console,
    Port(Address),
    Login(Box<Login>),
}

impl Described {
    /// The board, in a state that nobody knows. `agent_program` is the path of the board's program
    /// on this PC, static: what a remote login brings along. What happens to the lines is told in
    /// `log`.
    pub fn new(
        board: &Board,
        description: BenchDescription,
        agent_program: PathBuf,
        log: Console,
    ) -> Self {
        let address = |port| Address::new(port, board.console.baud);
        let agent = match &description.agent {
            AgentPath::Console => Agent::Console,
            AgentPath::Port(port) => Agent::Port(address(port)),
            AgentPath::Ssh(settings) => Agent::Login(Box::new(Login::new(
                settings.clone(),
                agent_program,
                log.clone(),
            ))),
        };
        Self {
            console_address: description.console.as_ref().map(address),
            agent,
            description,
            log,
            console: None,
            is_known_to_be_off: false,
            has_told: false,
        }
    }

    fn switch(&self, words: impl Fn(&Power) -> &Vec<String>) -> Result<(), Error> {
        let Some(power) = &self.description.power else {
            return Ok(());
        };
        let limit = Duration::from_secs(power.command_seconds);
        run(words(power), limit).map(drop)
    }
}

/// Opens a line that whoever listened to the last boot may not have let go of yet.
fn open_when_free(address: &Address) -> Result<Reconnecting, Error> {
    let deadline = Instant::now() + LET_GO;
    loop {
        match Reconnecting::open(address.clone()) {
            Err(_) if Instant::now() < deadline => thread::sleep(LOOK),
            result => return result,
        }
    }
}

impl Wiring for Described {
    fn kind(&self) -> &'static str {
        self.description.kind()
    }

    fn power_on(&mut self) -> Result<(), Error> {
        if !self.is_known_to_be_off {
            self.power_off()?;
        }
        if let Some(address) = &self.console_address {
            self.console = Some(open_when_free(address)?);
        }
        if let Some(power) = &self.description.power {
            thread::sleep(Duration::from_secs(power.off_seconds));
        }
        self.is_known_to_be_off = false;
        self.has_told = false;
        self.switch(|power| &power.on)
    }

    fn power_off(&mut self) -> Result<(), Error> {
        self.console = None;
        if let Agent::Login(login) = &mut self.agent {
            login.close();
        }
        self.switch(|power| &power.off)?;
        self.is_known_to_be_off = true;
        Ok(())
    }

    fn console(&mut self) -> Result<Option<Duplex>, Error> {
        Ok(self.console.take().map(Reconnecting::duplex))
    }

    fn agent(&mut self) -> Result<AgentLine, Error> {
        let address = match &mut self.agent {
            Agent::Console => return Ok(AgentLine::Console(link::Line::SERIAL)),
            Agent::Login(login) => return login.agent(),
            Agent::Port(address) => address,
        };
        match Reconnecting::open(address.clone()) {
            Ok(line) => Ok(AgentLine::Own(line.duplex(), address.line())),
            Err(error) => {
                // A port that the board itself brings comes when it has booted.
                if !self.has_told {
                    self.log.push(format!("\n[bench] {error:#}\n").as_bytes());
                }
                self.has_told = true;
                Ok(AgentLine::NotYet)
            }
        }
    }

    fn stimulus(&self) -> Option<Arc<dyn Stimulus>> {
        Some(Arc::new(Hands(self.description.stimulus.clone())))
    }

    fn ended(&mut self) -> Option<Error> {
        match &mut self.agent {
            Agent::Login(login) => login.ended(),
            Agent::Console | Agent::Port(_) => None,
        }
    }
}
