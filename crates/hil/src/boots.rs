// SPDX-License-Identifier: MIT OR Apache-2.0

//! The boots of a board, for those who do not have the board: while one waits for a boot, others can
//! see how far it has come, and give it up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::server::Boot;
use crate::{Error, Fate, Lost};

/// How far a board has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Without power.
    Off,
    /// It has power and is on its way.
    Booting,
    /// Its agent answers.
    Ready,
}

/// All boots of a board and how far it has come. All clones are of the same board.
#[derive(Clone, Debug, Default)]
pub struct Boots(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    all: Vec<Boot>,
    /// The present boot's.
    fate: Fate,
    is_on: bool,
    has_answered: bool,
    /// Whether there is to be no other.
    ended: bool,
}

impl Boots {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All boots so far, the present one last.
    pub fn all(&self) -> Vec<Boot> {
        self.inner().all.clone()
    }

    /// How far the board has come.
    pub fn state(&self) -> State {
        self.inner().state()
    }

    /// Gives up the boot that is under way, if one is: whoever waits for it is told so, and the board
    /// is switched off.
    pub fn give_up(&self) {
        self.inner().give_up();
    }

    /// Gives up the boot that is under way, and has every other refused.
    pub fn end(&self) {
        let mut inner = self.inner();
        inner.ended = true;
        inner.give_up();
    }

    /// The fate of a boot that begins.
    pub(crate) fn begin(&self) -> Result<Fate, Error> {
        let mut inner = self.inner();
        if inner.ended {
            return Err(Error::Ending);
        }
        inner.fate = Fate::default();
        inner.is_on = true;
        inner.has_answered = false;
        inner.all.push(Boot {
            started: SystemTime::now(),
            duration: None,
        });
        Ok(inner.fate.clone())
    }

    /// The agent has answered.
    pub(crate) fn answered(&self, duration: Duration) {
        let mut inner = self.inner();
        inner.has_answered = true;
        if let Some(boot) = inner.all.last_mut() {
            boot.duration = Some(duration);
        }
    }

    /// The board has no power any more.
    pub(crate) fn off(&self) {
        let mut inner = self.inner();
        inner.is_on = false;
        inner.has_answered = false;
    }
}

impl Inner {
    fn state(&self) -> State {
        match (self.is_on, self.has_answered) {
            (false, _) => State::Off,
            (true, true) if self.fate.decided().is_none() => State::Ready,
            (true, _) => State::Booting,
        }
    }

    fn give_up(&self) {
        if self.state() == State::Booting {
            self.fate.decide(Lost::GivenUp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_boot_under_way_is_given_up_and_none_begins_after_the_end() {
        let boots = Boots::default();
        boots.give_up();
        let fate = boots.begin().unwrap();
        assert_eq!((boots.state(), fate.decided()), (State::Booting, None));
        boots.give_up();
        assert_eq!(fate.decided(), Some(Lost::GivenUp));
        let fate = boots.begin().unwrap();
        boots.answered(Duration::from_secs(6));
        boots.give_up();
        assert_eq!((boots.state(), fate.decided()), (State::Ready, None));
        boots.off();
        assert_eq!(boots.state(), State::Off);
        boots.end();
        assert!(matches!(boots.begin(), Err(Error::Ending)));
        let durations: Vec<_> = boots.all().iter().map(|boot| boot.duration).collect();
        assert_eq!(durations, [None, Some(Duration::from_secs(6))]);
    }
}
