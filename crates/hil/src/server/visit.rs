// SPDX-License-Identifier: MIT OR Apache-2.0

//! One user's connection, from its beginning to its end.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::sync::MutexGuard;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::greeting::{DIALECT, Greeting, Wish};
use super::hold::Hold;
use super::holder::{Holder, RESTORED};
use super::{
    Answer, Bench, LOOK, NEWS, Request, Trouble, done, proxy, receive, refusal, refused, send,
};
use crate::{Agent, Error, Fixture, State};

/// Who asks for what only the holder may do.
const NOT_HELD: &str = "whoever asks for that must hold the board";

/// Who has waited in vain.
const ENDING: &str = "the bench is about to end";

/// A user who talks with the server, and what he holds. One who goes without having given it back
/// leaves a board that is off, however this ends.
pub(super) struct Visit<'a> {
    bench: &'a Bench,
    user: &'a UnixStream,
    hold: Option<Hold>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(bench: &'a Bench, user: &'a UnixStream) -> Self {
        let hold = None;
        Self { bench, user, hold }
    }

    /// Serves the user until he goes.
    pub(super) fn attend(mut self) -> io::Result<()> {
        Greeting::own().send(self.user)?;
        match Wish::receive(self.user)? {
            Wish::Talk(DIALECT) => {}
            // He has been told, and goes.
            Wish::Talk(_) => return Ok(()),
            Wish::End => return self.end(),
            Wish::EndIfFree if self.bench.holder.end_if_free() => return self.end(),
            Wish::EndIfFree => return self.say(0),
        }
        while let Some(request) = receive(self.user)? {
            let answer = match request {
                Request::Hold { who } if self.hold.is_none() => {
                    self.take_hold(&who)?;
                    continue;
                }
                Request::Borrow { token, who } if self.hold.is_none() => {
                    self.borrow(token, &who)?;
                    continue;
                }
                Request::Hold { .. } | Request::Borrow { .. } => {
                    refused("this connection holds the board already")
                }
                Request::Agent { hold } => return self.lend_agent(hold),
                Request::Watch => return self.bench.watch(self.user),
                Request::Settle => self.settle()?,
                Request::Reach(state) => self.reach(state),
                Request::CutPower => self.do_it(Fixture::cut_power),
                Request::WriteStorage { image } => {
                    self.do_it(|fixture| fixture.write_storage(&image))
                }
                Request::Explain => self.answer(|bench| bench.explain()),
                Request::Act { name, action } => self.answer(|bench| bench.act(&name, action)),
                Request::Instruct { name, instruction } => {
                    self.answer(|bench| bench.instruct(&name, &instruction))
                }
                Request::Release { reload_modules } => {
                    self.release(reload_modules)?;
                    continue;
                }
                request => self.bench.tell(request),
            };
            send(self.user, &answer)?;
        }
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        self.bench.end();
        self.say(1)
    }

    fn say(&self, byte: u8) -> io::Result<()> {
        let mut user = self.user;
        user.write_all(&[byte])
    }

    fn take_hold(&mut self, who: &str) -> io::Result<()> {
        let Some(token) = self.wait(&self.bench.holder, who)? else {
            return send(self.user, &refused(ENDING));
        };
        let borrowed = None;
        self.hand_over(Hold { token, borrowed })
    }

    fn borrow(&mut self, token: u64, who: &str) -> io::Result<()> {
        if !self.bench.holder.is_held_by(token) {
            return send(self.user, &refused(NOT_HELD));
        }
        // Until the board of the borrower before has been restored, or switched off.
        let Some(borrowed) = self.wait(&self.bench.borrower, who)? else {
            return send(self.user, &refused(ENDING));
        };
        let borrowed = Some(borrowed);
        self.hand_over(Hold { token, borrowed })
    }

    fn hand_over(&mut self, hold: Hold) -> io::Result<()> {
        let told = send(self.user, &Answer::Held(hold));
        match told {
            Ok(()) => self.hold = Some(hold),
            // He has gone while he waited, and has done nothing with the board.
            Err(_) => self.bench.give_back(hold),
        }
        told
    }

    /// Waits until nobody has borrowed the board any more.
    fn settle(&self) -> io::Result<Answer> {
        match self.hold {
            Some(hold) if hold.borrowed.is_none() && self.bench.is_valid(hold) => {}
            _ => return Ok(refused("only who lends the board waits for who borrows it")),
        }
        let Some(turn) = self.wait(&self.bench.borrower, "who lends it")? else {
            return Ok(refused(ENDING));
        };
        self.bench.borrower.release(turn);
        Ok(Answer::Done)
    }

    /// Waits for its turn, and tells the user for whom; none if the server ends before that.
    fn wait(&self, holder: &Holder, who: &str) -> io::Result<Option<u64>> {
        let token = holder.queue();
        // At once, so that who is first is told nothing else.
        let mut limit = LOOK;
        while let Err(other) = holder.wait(token, who, limit) {
            let is_first = limit == LOOK;
            limit = NEWS;
            // Mostly a moment, after each run: not worth a word.
            if is_first && other == RESTORED {
                continue;
            }
            let told = send(self.user, &Answer::Waiting { holder: other });
            if told.is_err() || self.bench.is_ending() {
                holder.release(token);
                told?;
                return Ok(None);
            }
        }
        Ok(Some(token))
    }

    /// The board, if it is this user's; that is looked at when others are through with it.
    fn fixture(&self, hold: Option<Hold>) -> Result<MutexGuard<'a, Fixture>, Trouble> {
        let fixture = self.bench.fixture();
        match hold {
            Some(hold) if self.bench.is_valid(hold) => Ok(fixture),
            _ => Err(refusal(NOT_HELD)),
        }
    }

    /// Something that only the holder may ask.
    fn answer(&self, work: impl FnOnce(&Bench) -> Answer) -> Answer {
        match self.hold {
            Some(hold) if self.bench.is_valid(hold) => work(self.bench),
            _ => refused(NOT_HELD),
        }
    }

    fn do_it(&self, work: impl FnOnce(&mut Fixture) -> Result<(), Error>) -> Answer {
        match self.fixture(self.hold) {
            Ok(mut fixture) => done(work(&mut fixture)),
            Err(trouble) => Answer::Failed(trouble),
        }
    }

    fn reach(&self, state: State) -> Answer {
        self.as_long_as_he_is_there(self.hold, || self.do_it(|fixture| fixture.reach(state)))
    }

    /// Makes this connection a line to the agent.
    fn lend_agent(&self, hold: Hold) -> io::Result<()> {
        let agent = self.as_long_as_he_is_there(Some(hold), || -> Result<Agent, Trouble> {
            let agent = self.fixture(Some(hold))?.agent();
            agent.map_err(|error| Trouble::from(&error))
        });
        match agent {
            Ok(agent) => {
                send(self.user, &Answer::Done)?;
                let is_his = || self.bench.is_valid(hold);
                proxy::serve(&agent, self.user.try_clone()?, &is_his)
            }
            Err(trouble) => send(self.user, &Answer::Failed(trouble)),
        }
    }

    /// Does what may mean waiting for a boot, which is given up when the user goes meanwhile.
    fn as_long_as_he_is_there<T: Send>(
        &self,
        hold: Option<Hold>,
        work: impl FnOnce() -> T + Send,
    ) -> T {
        let (running, ended) = channel::<()>();
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let _running = running;
                work()
            });
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                // The board may be another's by now.
                let is_his = hold.is_some_and(|hold| self.bench.is_valid(hold));
                if is_his && has_gone(self.user) {
                    self.bench.boots.give_up();
                }
            }
            worker.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Gives the board back in good order.
    fn release(&mut self, reload_modules: bool) -> io::Result<()> {
        let Some(hold) = self.hold.filter(|hold| self.bench.is_valid(*hold)) else {
            return send(self.user, &refused(NOT_HELD));
        };
        // He need not wait for it; the next one does, and not for him.
        self.bench.leave(hold);
        let answered = send(self.user, &Answer::Done);
        self.bench.clean_up(reload_modules);
        self.hold = None;
        self.bench.give_back(hold);
        answered
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        self.bench.leave(hold);
        // He has not said that he is done. A board that was lent to him may be another's by now.
        if self.bench.is_valid(hold) {
            match hold.borrowed {
                Some(_) => self.bench.boots.give_up(),
                // This server serves nobody any more; before the next in line learns that the board
                // is free.
                None => self.bench.end(),
            }
            // What is missing is there again when the board is switched on.
            let _ = self.bench.restore();
            // Nothing can be done about power that cannot be cut.
            let _ = self.bench.fixture().cut_power();
        }
        self.bench.give_back(hold);
    }
}

/// Whether the other side of a connection is closed.
fn has_gone(user: &UnixStream) -> bool {
    // `poll(2)` tells that, whether it is asked for or not.
    let mut user = [PollFd::new(user, PollFlags::empty())];
    let polled = poll(&mut user, Some(&Timespec::default()));
    polled.is_ok() && user[0].revents().contains(PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_has_closed_his_end_has_gone() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(!has_gone(&ours));
        (&theirs).write_all(b"bye").unwrap();
        assert!(!has_gone(&ours));
        drop(theirs);
        assert!(has_gone(&ours));
    }
}
