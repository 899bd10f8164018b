// SPDX-License-Identifier: MIT OR Apache-2.0

//! Why a board that is on does not answer any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

/// Why a board does not answer any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Lost {
    /// Its kernel panicked.
    #[error("the kernel panicked: {line}")]
    Panic {
        /// The line that says so.
        line: String,
    },
    /// The agent said that it gives up.
    #[error("the agent gave up: {line}")]
    GaveUp {
        /// The line that says so.
        line: String,
    },
    /// It has started anew by itself.
    #[error("the board, or the agent on it, has started anew by itself")]
    Restarted,
    /// The line to the agent has ended.
    #[error("the line to the agent has ended{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Closed {
        /// Why, if that was not in order.
        reason: Option<String>,
    },
    /// The agent acknowledges nothing any more.
    #[error("the agent has been silent for {} s", silence.as_secs())]
    Silent {
        /// For how long.
        silence: Duration,
    },
    /// It was switched off.
    #[error("the board was switched off")]
    SwitchedOff,
    /// Its boot was given up before it was ready.
    #[error("the boot was given up: whoever wanted the board has gone, or the bench ends")]
    GivenUp,
}

impl Lost {
    /// Whether last words on the console would explain it.
    pub(crate) fn may_be_explained(&self) -> bool {
        matches!(
            self,
            Self::Restarted | Self::Closed { .. } | Self::Silent { .. }
        )
    }
}

/// The fate of one boot: open as long as the board answers, then decided once. All clones are of
/// the same one.
#[derive(Clone, Debug, Default)]
pub struct Fate(Arc<Mutex<Option<Lost>>>);

impl Fate {
    /// Decides it, if it has not been. A later reason only follows from the first, except that
    /// last words explain the silence which may have been noticed before them.
    pub fn decide(&self, lost: Lost) {
        let mut fate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last_word = matches!(lost, Lost::Panic { .. } | Lost::GaveUp { .. });
        let is_open = fate.as_ref().is_none_or(Lost::may_be_explained);
        if fate.is_none() || (is_last_word && is_open) {
            *fate = Some(lost);
        }
    }

    /// How it was decided.
    pub fn decided(&self) -> Option<Lost> {
        let fate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fate.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_unless_last_words_explain_it() {
        let fate = Fate::default();
        assert_eq!(fate.decided(), None);
        fate.decide(Lost::Restarted);
        fate.decide(Lost::SwitchedOff);
        assert_eq!(fate.decided(), Some(Lost::Restarted));
        let panic = Lost::Panic { line: "x".into() };
        fate.decide(panic.clone());
        fate.decide(Lost::GaveUp { line: "y".into() });
        assert_eq!(fate.decided(), Some(panic));
    }
}
