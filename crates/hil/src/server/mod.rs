// SPDX-License-Identifier: MIT OR Apache-2.0

//! Serves a board to one user after the other, so that it stays warm between them.
//!
//! A user who says that he is done leaves the board on for the next, in the state in which its agent
//! had started; one who just goes, because he was interrupted, leaves nothing: the board is
//! switched off. Without users the server ends after a while.
//!
//! Who holds a board can lend it, to one after the other. One of those who just goes leaves a board
//! that is off, too, but no more than that: who has lent it goes on.

mod hold;
mod holder;
mod protocol;
mod proxy;
pub mod socket;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use self::hold::Hold;
use self::holder::Holder;
pub use self::protocol::{About, Boot, Trouble, TroubleKind};
pub(crate) use self::protocol::{Answer, Line, Request, receive, send};
use crate::stimulus::{self, Action, Point, Stimulus};
use crate::{Console, Error, Fixture, Keyboard, State};

/// How often a user who waits is told for whom.
const NEWS: Duration = Duration::from_secs(2);

/// How often the server looks whether it is time to end.
const LOOK: Duration = Duration::from_millis(100);

/// Who asks for what only the holder may do.
const NOT_HELD: &str = "whoever asks for that must hold the board";

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
    fixture: Mutex<Fixture>,
    console: Console,
    keyboard: Keyboard,
    /// Apart from the fixture: a button can be pressed while the board boots.
    stimulus: Option<Arc<dyn Stimulus>>,
    holder: Holder,
    /// Who uses it within the hold of another.
    borrower: Holder,
    stop: AtomicBool,
}

/// Serves a board until nobody has wanted it for a while, or somebody tells it to end. The board
/// is off then.
///
/// # Errors
///
/// When the socket cannot be listened at.
pub fn serve(fixture: Fixture, listener: &UnixListener, settings: Settings) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let idle = settings.idle;
    let bench = Arc::new(Bench {
        settings,
        console: fixture.console().clone(),
        keyboard: fixture.keyboard().clone(),
        stimulus: fixture.stimulus(),
        fixture: Mutex::new(fixture),
        holder: Holder::new(),
        borrower: Holder::new(),
        stop: AtomicBool::new(false),
    });
    let mut result = Ok(());
    while !bench.stop.load(Ordering::Relaxed) && !bench.holder.end_if_idle(idle) {
        match listener.accept() {
            Ok((user, _)) => {
                user.set_nonblocking(false)?;
                let bench = bench.clone();
                // One who goes in the middle of a sentence has gone all the same.
                thread::spawn(move || drop(bench.attend(&user)));
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
    // It is off in any case when this ends.
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

    /// Serves one connection to its end.
    fn attend(&self, user: &UnixStream) -> io::Result<()> {
        let mut hold = None;
        let result = self.attend_to_end(user, &mut hold);
        if let Some(hold) = hold {
            // He has not said that he is done. A board that was lent to him may be another's by now.
            if self.is_valid(Some(hold)) {
                let _ = self.fixture().cut_power();
            }
            if !hold.is_borrowed() {
                // Before the next in line learns that it is free: this server serves nobody any
                // more.
                self.stop.store(true, Ordering::Relaxed);
            }
            self.give_back(hold);
        }
        result
    }

    fn attend_to_end(&self, user: &UnixStream, hold: &mut Option<Hold>) -> io::Result<()> {
        while let Some(request) = receive(user)? {
            let answer = match request {
                Request::Hold { who } if hold.is_none() => self.hold(user, &who, hold)?,
                Request::Borrow { token, who } if hold.is_none() => {
                    self.borrow(user, token, &who, hold)?
                }
                Request::About => Answer::About(self.about()),
                Request::State => Answer::State(self.fixture().state()),
                Request::Points => Answer::Points(self.points()),
                Request::Mark => Answer::Mark(self.console.mark()),
                Request::Console { since } => Answer::Lines(self.lines(since)),
                Request::Watch => return self.watch(user),
                Request::Type(bytes) => done(self.keyboard.write(&bytes).map_err(Error::Channel)),
                Request::Agent { token } => return self.lend_agent(user, token),
                Request::Stop => {
                    self.stop.store(true, Ordering::Relaxed);
                    Answer::Done
                }
                Request::Hold { .. } | Request::Borrow { .. } => {
                    refused("this connection holds the board already")
                }
                _ if !self.is_valid(*hold) => refused(NOT_HELD),
                Request::Settle => self.settle(user, *hold)?,
                Request::Reach(state) => done(self.fixture().reach(state)),
                Request::CutPower => done(self.fixture().cut_power()),
                Request::WriteStorage { image } => done(self.fixture().write_storage(&image)),
                Request::Explain => self.explain(),
                Request::Act { name, action } => self.act(&name, action),
                Request::Release { reload_modules } => {
                    let hold = hold.take();
                    // He need not wait for it; the next one does.
                    let answered = send(user, &Answer::Done);
                    self.clean_up(reload_modules);
                    if let Some(hold) = hold {
                        self.give_back(hold);
                    }
                    answered?;
                    continue;
                }
            };
            send(user, &answer)?;
        }
        Ok(())
    }

    /// Leaves the board to the next user as this one has found it.
    fn clean_up(&self, reload_modules: bool) {
        let mut fixture = self.fixture();
        if fixture.state() != State::Ready {
            return;
        }
        let restored = fixture
            .agent()
            .and_then(|agent| agent.restore(reload_modules));
        if !restored.is_ok_and(|restored| restored.left.is_empty()) {
            // The next one boots it anew.
            let _ = fixture.cut_power();
        }
    }

    fn about(&self) -> About {
        let fixture = self.fixture();
        About {
            name: self.settings.name.clone(),
            board: fixture.board().name.clone(),
            title: fixture.board().title.clone(),
            kind: fixture.kind().to_owned(),
            key: self.settings.key.clone(),
            pid: std::process::id(),
            boots: fixture.boots().to_vec(),
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

    fn lend_agent(&self, user: &UnixStream, token: u64) -> io::Result<()> {
        if !self.holder.is_held_by(token) {
            return send(user, &refused(NOT_HELD));
        }
        let agent = self.fixture().agent();
        match agent {
            Ok(agent) => {
                send(user, &Answer::Done)?;
                proxy::serve(&agent, user.try_clone()?)
            }
            Err(error) => send(user, &Answer::Failed(Trouble::from(&error))),
        }
    }
}

fn done(result: Result<(), Error>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(Trouble::from(&error)),
    }
}

fn refused(what: &str) -> Answer {
    Answer::Failed(Trouble {
        what: what.to_owned(),
        evidence: Vec::new(),
        kind: TroubleKind::Bench,
    })
}
