// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board and what connects this PC with it.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use board_spec::Board;

use crate::agent::Ends;
use crate::boots::{Boots, State};
use crate::stimulus::Stimulus;
use crate::wiring::{AgentLine, Duplex, Wiring};
use crate::{Agent, Console, Error, Fate, Lost};

/// How long to wait before an agent that cannot be reached yet is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// How much later than the end of the agent's line the console may tell the reason.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long a board may take to switch itself off.
const POWER_OFF: Duration = Duration::from_secs(3);

/// A board and what connects this PC with it. Dropping it switches the board off.
#[derive(Debug)]
pub struct Fixture {
    board: Board,
    wiring: Box<dyn Wiring>,
    boot_limit: Duration,
    console: Console,
    /// Where what is typed at the console goes.
    keyboard: Keyboard,
    fate: Fate,
    /// Whether this boot's power has been cut, whatever its fate was before.
    is_off: Arc<AtomicBool>,
    on_since: Option<Instant>,
    agent: Option<Agent>,
    boots: Boots,
}

/// Where what is typed at a console goes, as long as there is one.
#[derive(Clone, Default)]
pub struct Keyboard(Arc<Mutex<Option<Box<dyn Write + Send>>>>);

impl std::fmt::Debug for Keyboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyboard").finish_non_exhaustive()
    }
}

impl Keyboard {
    /// Types something. Where nobody listens it is lost, as on a real one.
    ///
    /// # Errors
    ///
    /// When the console cannot be written.
    pub fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut keyboard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *keyboard {
            Some(keyboard) => keyboard.write_all(bytes).and_then(|()| keyboard.flush()),
            None => Ok(()),
        }
    }

    fn set(&self, writer: Option<Box<dyn Write + Send>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = writer;
    }
}

impl Fixture {
    /// A fixture whose board is off, or in a state that nobody knows.
    pub fn new(
        board: Board,
        wiring: Box<dyn Wiring>,
        boot_limit: Duration,
        console: Console,
    ) -> Self {
        Self {
            board,
            wiring,
            boot_limit,
            console,
            keyboard: Keyboard::default(),
            fate: Fate::default(),
            is_off: Arc::default(),
            on_since: None,
            agent: None,
            boots: Boots::default(),
        }
    }

    /// The board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// What kind of fixture this is: one word.
    pub fn kind(&self) -> &'static str {
        self.wiring.kind()
    }

    /// The console's log.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What types at the console.
    pub fn keyboard(&self) -> &Keyboard {
        &self.keyboard
    }

    /// All boots so far, and how far the board has come.
    pub fn boots(&self) -> &Boots {
        &self.boots
    }

    /// Switches the board off and writes an image to the card or disk that it boots from.
    ///
    /// # Errors
    ///
    /// When the bench has none, or it cannot be written.
    pub fn write_storage(&mut self, image: &Path) -> Result<(), Error> {
        self.reach(State::Off)?;
        self.wiring.write_storage(image)
    }

    /// What can be done to the board while it runs, if anything.
    pub fn stimulus(&self) -> Option<Arc<dyn Stimulus>> {
        self.wiring.stimulus()
    }

    /// The process that is the board, if it is one.
    pub fn pid(&self) -> Option<u32> {
        self.wiring.pid()
    }

    /// How far the board has come.
    pub fn state(&self) -> State {
        self.boots.state()
    }

    /// Brings the board as far as that, from wherever it is. A board that does not answer any more
    /// is switched off and on again.
    ///
    /// # Errors
    ///
    /// When it cannot be brought there. It is off then.
    pub fn reach(&mut self, state: State) -> Result<(), Error> {
        let result = self.go(state);
        if result.is_err() {
            // What it failed for is told, not what followed.
            let _ = self.cut_power();
        }
        result
    }

    fn go(&mut self, state: State) -> Result<(), Error> {
        match state {
            State::Off => self.switch_off(),
            State::Booting => match self.state() {
                State::Off => self.switch_on(),
                _ if self.fate.decided().is_some() => {
                    self.cut_power()?;
                    self.switch_on()
                }
                _ => Ok(()),
            },
            State::Ready => {
                self.go(State::Booting)?;
                if self.agent.is_none() {
                    let agent = self.find_agent().map_err(|error| self.explain(error))?;
                    self.agent = Some(agent);
                    let begun = self.on_since.unwrap_or_else(Instant::now);
                    self.boots.answered(begun.elapsed());
                }
                Ok(())
            }
        }
    }

    /// The agent of a board that is ready, which it is made if it is not.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub fn agent(&mut self) -> Result<Agent, Error> {
        self.reach(State::Ready)?;
        self.agent.clone().ok_or(Error::Unconnected)
    }

    /// Takes the power from the board, whatever it is doing.
    ///
    /// # Errors
    ///
    /// When that cannot be done.
    pub fn cut_power(&mut self) -> Result<(), Error> {
        self.fate.decide(Lost::SwitchedOff);
        if let Some(agent) = self.agent.take() {
            // A user may still have it; the next boot wants the line.
            agent.hang_up();
        }
        self.on_since = None;
        self.boots.off();
        self.keyboard.set(None);
        self.is_off.store(true, Ordering::Relaxed);
        self.wiring.power_off()
    }

    /// Gives the board, which must be off, back to whoever hands it out.
    pub(crate) fn release(&mut self) {
        self.wiring.release();
    }

    /// Why the board does not answer any more, if that is so.
    pub fn lost(&self) -> Option<Error> {
        let lost = self.fate.decided()?;
        let console = self.console.last();
        Some(Error::Lost { lost, console })
    }

    /// Says more of why a board was lost, if more is known.
    pub fn explain(&mut self, error: Error) -> Error {
        match error {
            Error::Lost {
                lost: Lost::Closed { .. },
                ..
            } => self
                .last_words()
                .or_else(|| self.wiring.ended())
                .unwrap_or(error),
            other => other,
        }
    }

    /// What the board has said on its console before its line to the agent ended, which may be on
    /// its way yet.
    fn last_words(&self) -> Option<Error> {
        let deadline = Instant::now() + LAST_WORDS;
        loop {
            match self.fate.decided()? {
                lost @ (Lost::Panic { .. } | Lost::GaveUp { .. }) => {
                    let console = self.console.last();
                    return Some(Error::Lost { lost, console });
                }
                _ if Instant::now() >= deadline => return None,
                _ => thread::sleep(PAUSE / 10),
            }
        }
    }

    fn switch_on(&mut self) -> Result<(), Error> {
        self.fate = self.boots.begin()?;
        self.agent = None;
        self.console.begin(self.fate.clone());
        self.is_off = Arc::default();
        self.on_since = Some(Instant::now());
        let on = self.wiring.power_on(&self.fate);
        // One that was given up meanwhile has failed for that.
        on.map_err(|error| self.lost().unwrap_or(error))
    }

    /// Lets the board switch itself off, if it can, and takes the power in any case: some emulated
    /// boards halt without ending the emulator.
    fn switch_off(&mut self) -> Result<(), Error> {
        if let (State::Ready, Some(agent)) = (self.state(), &self.agent) {
            if agent.power_off().is_ok() {
                let deadline = Instant::now() + POWER_OFF;
                while self.fate.decided().is_none() && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
        self.cut_power()
    }

    fn find_agent(&mut self) -> Result<Agent, Error> {
        let begun = self.on_since.unwrap_or_else(Instant::now);
        let console = self.wiring.console()?;
        let mut found = None;
        match self.wiring.agent()? {
            AgentLine::Console(line) => found = console.map(|console| (console, line, true)),
            own => {
                if let Some(console) = console {
                    self.listen(console);
                }
                if let AgentLine::Own(duplex, line) = own {
                    found = Some((duplex, line, false));
                }
            }
        }
        let (duplex, line, is_console) = loop {
            if let Some(found) = found.take() {
                break found;
            }
            if begun.elapsed() >= self.boot_limit {
                return Err(self.boot_timeout());
            }
            if let Some(lost) = self.fate.decided() {
                let console = self.console.last();
                return Err(Error::Lost { lost, console });
            }
            thread::sleep(PAUSE);
            if let AgentLine::Own(duplex, line) = self.wiring.agent()? {
                found = Some((duplex, line, false));
            }
        };
        let left = self.boot_limit.saturating_sub(begun.elapsed());
        let agent = Agent::call(
            Ends {
                reader: duplex.reader,
                writer: duplex.writer,
                line,
                is_console,
            },
            self.console.clone(),
            self.fate.clone(),
            left,
        )
        .map_err(|error| match error {
            Error::BootTimeout { .. } => self.boot_timeout(),
            other => other,
        })?;
        match &agent.about().refused {
            Some(refused) => Err(Error::ModuleRefused(refused.clone())),
            None => Ok(agent),
        }
    }

    fn boot_timeout(&self) -> Error {
        Error::BootTimeout {
            limit: self.boot_limit,
            console: self.console.last(),
        }
    }

    fn listen(&self, console: Duplex) {
        self.keyboard.set(Some(console.writer));
        let (log, is_off) = (self.console.clone(), self.is_off.clone());
        let mut reader = console.reader;
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(length) => log.push(&buffer[..length]),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) if matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
                        // A console that does not end by itself is heard until the board is
                        // off, also when the agent was lost before; the next boot opens it anew.
                        if is_off.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        });
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Nothing can be done about power that cannot be cut.
        let _ = self.cut_power();
    }
}
