// SPDX-License-Identifier: MIT OR Apache-2.0

//! Serves a board to one user after the other, so that it stays warm between them.
//!
//! A user who says that he is done leaves the board on for the next, in the state in which its agent
//! had started; one who just goes, because he was interrupted, leaves nothing: the board is
//! switched off. Without users the server ends after a while.
//!
//! Who holds a board can lend it, to one after the other. One of those who just goes leaves a board
//! that is off, too, but no more than that: who has lent it goes on.

pub(crate) mod greeting;
mod hold;
mod holder;
mod protocol;
mod proxy;
pub mod socket;
mod visit;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) use self::hold::Hold;
use self::holder::Holder;
pub use self::protocol::{About, Boot, Trouble, TroubleKind};
pub(crate) use self::protocol::{Answer, Line, Request, receive, send};
use self::visit::Visit;
use crate::stimulus::{self, Action, Kind, Point, Stimulus};
use crate::{Boots, Console, Error, Fixture, Keyboard, State};

/// How often a user who waits is told for whom.
const NEWS: Duration = Duration::from_secs(2);

/// How often the server looks whether it is time to end, or a user has gone.
const LOOK: Duration = Duration::from_millis(100);

/// What a bench is called and how long it waits for users.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// What the board was made of; a user who wants another key needs another server.
    pub key: String,
    /// How long it stays without users.
    pub idle: Duration,
}

/// What all connections share.
#[derive(Debug)]
struct Bench {
    settings: Settings,
    /// What can be told of the board without having it.
    board: String,
    title: String,
    kind: &'static str,
    boots: Boots,
    console: Console,
    keyboard: Keyboard,
    /// Apart from the fixture: a button can be pressed while the board boots.
    stimulus: Option<Arc<dyn Stimulus>>,
    /// Whoever does something with it waits for a boot to end that is under way.
    fixture: Mutex<Fixture>,
    holder: Holder,
    /// Who uses it within the hold of another.
    borrower: Holder,
    stop: Arc<AtomicBool>,
}

/// Serves a board until nobody has wanted it for a while, somebody tells it to end, or `stop` is
/// set, as by a signal. The board is off then.
///
/// # Errors
///
/// When the socket cannot be listened at.
pub fn serve(
    fixture: Fixture,
    listener: &UnixListener,
    settings: Settings,
    stop: Arc<AtomicBool>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let idle = settings.idle;
    let bench = Arc::new(Bench {
        settings,
        board: fixture.board().name.clone(),
        title: fixture.board().title.clone(),
        kind: fixture.kind(),
        boots: fixture.boots().clone(),
        console: fixture.console().clone(),
        keyboard: fixture.keyboard().clone(),
        stimulus: fixture.stimulus(),
        fixture: Mutex::new(fixture),
        holder: Holder::new(),
        borrower: Holder::new(),
        stop,
    });
    let mut result = Ok(());
    while !bench.is_ending() && !bench.holder.end_if_idle(idle) {
        match listener.accept() {
            Ok((user, _)) => {
                user.set_nonblocking(false)?;
                let bench = bench.clone();
                // One who goes in the middle of a sentence has gone all the same.
                thread::spawn(move || drop(Visit::new(&bench, &user).attend()));
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK / 4),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // The board is not to stay on for nobody.
            Err(e) => {
                result = Err(e);
                break;
            }
        }
    }
    // It is off in any case when this ends, and stays so.
    bench.end();
    let mut fixture = bench.fixture();
    let _ = fixture.reach(State::Off);
    // Who still talks with this server keeps the fixture alive.
    fixture.release();
    result
}

impl Bench {
    fn fixture(&self) -> MutexGuard<'_, Fixture> {
        self.fixture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nobody gets a board that is on.
    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.boots.end();
    }

    fn is_ending(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether a hold, and what it is within, has not been given back.
    fn is_valid(&self, hold: Hold) -> bool {
        let is_borrowed = |token| self.borrower.is_held_by(token);
        self.holder.is_held_by(hold.token) && hold.borrowed.is_none_or(is_borrowed)
    }

    /// Whoever had it is not named any more.
    fn leave(&self, hold: Hold) {
        match hold.borrowed {
            Some(borrowed) => self.borrower.leave(borrowed),
            None => self.holder.leave(hold.token),
        }
    }

    /// Lets the next in line have it.
    fn give_back(&self, hold: Hold) {
        match hold.borrowed {
            Some(borrowed) => self.borrower.release(borrowed),
            None => self.holder.release(hold.token),
        }
    }

    /// What everybody may ask.
    fn tell(&self, request: Request) -> Answer {
        match request {
            Request::About => Answer::About(self.about()),
            Request::State => Answer::State(self.boots.state()),
            Request::Points => Answer::Points(self.points()),
            Request::Mark => Answer::Mark(self.console.mark()),
            Request::Console { since } => Answer::Lines(self.lines(since)),
            Request::Type(bytes) => done(self.keyboard.write(&bytes).map_err(Error::Channel)),
            other => refused(&format!("nobody may ask for {other:?} here")),
        }
    }

    /// Leaves the board to the next user as this one has found it.
    fn clean_up(&self, reload_modules: bool) {
        let is_whole = self.restore();
        let mut fixture = self.fixture();
        if fixture.state() != State::Ready {
            return;
        }
        let restored = is_whole
            .and_then(|()| fixture.agent())
            .and_then(|agent| agent.restore(reload_modules));
        if !restored.is_ok_and(|restored| restored.left.is_empty()) {
            // The next one boots it anew.
            let _ = fixture.cut_power();
        }
    }

    /// Ends what peripherals were made to do wrong. Fails if one is missing.
    fn restore(&self) -> Result<(), Error> {
        match &self.stimulus {
            Some(stimulus) => stimulus.restore(),
            None => Ok(()),
        }
    }

    fn about(&self) -> About {
        About {
            name: self.settings.name.clone(),
            board: self.board.clone(),
            title: self.title.clone(),
            kind: self.kind.to_owned(),
            key: self.settings.key.clone(),
            pid: std::process::id(),
            state: self.boots.state(),
            boots: self.boots.all(),
            holder: self.holder.name(),
        }
    }

    fn lines(&self, since: u64) -> Vec<Line> {
        let lines = self.console.since(since).into_iter();
        let line = |line: crate::console::Line| Line {
            host: line.host,
            target: line.target,
            text: line.text,
        };
        lines.map(line).collect()
    }

    fn points(&self) -> Vec<Point> {
        let stimulus = self.stimulus.iter();
        stimulus.flat_map(|stimulus| stimulus.points()).collect()
    }

    fn act(&self, name: &str, action: Action) -> Answer {
        let acted = match &self.stimulus {
            Some(stimulus) => stimulus.act(name, action),
            None => Err(stimulus::unknown(&[], name, action.kind())),
        };
        match acted {
            Ok(Some(level)) => Answer::Level(level),
            Ok(None) => Answer::Done,
            Err(error) => Answer::Failed(Trouble::from(&error)),
        }
    }

    fn instruct(&self, name: &str, instruction: &str) -> Answer {
        let said = match &self.stimulus {
            Some(stimulus) => stimulus.instruct(name, instruction),
            None => Err(stimulus::unknown(&[], name, Kind::Peripheral)),
        };
        match said {
            Ok(answer) => Answer::Said(answer),
            Err(error) => Answer::Failed(Trouble::from(&error)),
        }
    }

    fn explain(&self) -> Answer {
        let mut fixture = self.fixture();
        match fixture.lost() {
            Some(error) => Answer::Failed(Trouble::from(&fixture.explain(error))),
            None => Answer::Done,
        }
    }

    fn watch(&self, user: &UnixStream) -> io::Result<()> {
        use std::io::Write as _;
        let mut user = user;
        let console = self.console.watch();
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok(bytes) = console.recv_timeout(LOOK) {
                user.write_all(&bytes)?;
            }
        }
        Ok(())
    }
}

fn done(result: Result<(), Error>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(Trouble::from(&error)),
    }
}

fn refusal(what: &str) -> Trouble {
    Trouble {
        what: what.to_owned(),
        evidence: Vec::new(),
        kind: TroubleKind::Bench,
    }
}

fn refused(what: &str) -> Answer {
    Answer::Failed(refusal(what))
}
