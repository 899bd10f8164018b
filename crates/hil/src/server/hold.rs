// SPDX-License-Identifier: MIT OR Apache-2.0

//! How a connection comes to use the board: by a hold of its own, or within somebody else's.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use super::holder::Holder;
use super::{Answer, Bench, LOOK, NEWS, NOT_HELD, refused, send};

/// Who has waited in vain.
const ENDING: &str = "the bench is about to end";

/// What lets a connection use the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    /// The holder's token.
    token: u64,
    /// The borrower's, if it is somebody else's hold.
    borrowed: Option<u64>,
}

impl Hold {
    /// Whether it is within somebody else's.
    pub(super) fn is_borrowed(self) -> bool {
        self.borrowed.is_some()
    }
}

impl Bench {
    pub(super) fn hold(
        &self,
        user: &UnixStream,
        who: &str,
        hold: &mut Option<Hold>,
    ) -> io::Result<Answer> {
        let Some(token) = self.wait(&self.holder, user, who)? else {
            return Ok(refused(ENDING));
        };
        *hold = Some(Hold {
            token,
            borrowed: None,
        });
        Ok(Answer::Held { token })
    }

    pub(super) fn borrow(
        &self,
        user: &UnixStream,
        token: u64,
        who: &str,
        hold: &mut Option<Hold>,
    ) -> io::Result<Answer> {
        if !self.holder.is_held_by(token) {
            return Ok(refused(NOT_HELD));
        }
        // Until the board of the borrower before has been restored, or switched off.
        let Some(borrowed) = self.wait(&self.borrower, user, who)? else {
            return Ok(refused(ENDING));
        };
        *hold = Some(Hold {
            token,
            borrowed: Some(borrowed),
        });
        Ok(Answer::Held { token })
    }

    pub(super) fn settle(&self, user: &UnixStream, hold: Option<Hold>) -> io::Result<Answer> {
        if hold.is_none_or(Hold::is_borrowed) {
            return Ok(refused(
                "who has borrowed the board cannot wait for himself",
            ));
        }
        let Some(turn) = self.wait(&self.borrower, user, "who lends it")? else {
            return Ok(refused(ENDING));
        };
        self.borrower.release(turn);
        Ok(Answer::Done)
    }

    /// Whether it, or what it is within, is held still.
    pub(super) fn is_valid(&self, hold: Option<Hold>) -> bool {
        hold.is_some_and(|hold| self.holder.is_held_by(hold.token))
    }

    /// Lets the next in line have it.
    pub(super) fn give_back(&self, hold: Hold) {
        match hold.borrowed {
            Some(borrowed) => self.borrower.release(borrowed),
            None => self.holder.release(hold.token),
        }
    }

    /// Waits for its turn, and tells the user for whom; none if the server ends before that.
    fn wait(&self, holder: &Holder, user: &UnixStream, who: &str) -> io::Result<Option<u64>> {
        let token = holder.queue();
        // At once, so that who is first is told nothing else.
        let mut limit = LOOK;
        while let Err(other) = holder.wait(token, who, limit) {
            limit = NEWS;
            let told = send(user, &Answer::Waiting { holder: other });
            if told.is_err() || self.stop.load(Ordering::Relaxed) {
                holder.release(token);
                told?;
                return Ok(None);
            }
        }
        Ok(Some(token))
    }
}
