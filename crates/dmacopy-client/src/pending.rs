// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work that the device owns, and those who wait for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::flight::{Ended, Inbox};
use crate::{Done, Error, Queue};

/// A batch that has been submitted. It comes back in order, each piece of work when it is done.
///
/// Iterating over it waits for one after the other, [`Self::wait`] for all. With the feature `tokio`
/// it is a `Future`, too.
///
/// Dropping it neither waits nor takes anything from the device. Its work is done, and then its
/// regions are free again: not before the queue, which looks whenever somebody submits, waits, or
/// finds no room in a pool, has seen the completions. [`Queue::wait_until_idle`] waits for that.
#[must_use = "who drops this never learns what has come of it"]
pub struct Pending {
    pub(crate) queue: Queue,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) remaining: usize,
    #[cfg(feature = "tokio")]
    pub(crate) ticket: Option<crate::tasks::Ticket>,
}

impl Pending {
    pub(crate) fn new(queue: Queue, inbox: Arc<Inbox>, count: usize) -> Self {
        Self {
            queue,
            inbox,
            remaining: count,
            #[cfg(feature = "tokio")]
            ticket: None,
        }
    }

    /// How much has not been taken from here yet, be it done or not.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// The next that is done, if it is done already.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the session cannot be looked at, and [`Error::Foreign`] when somebody
    /// else writes to its rings.
    pub fn try_next(&mut self) -> Result<Option<Done>, Error> {
        self.wait_next(Some(Duration::ZERO))
    }

    /// Waits for the next. None when the time ran out, or when all has been taken.
    ///
    /// # Errors
    ///
    /// As [`Self::try_next`].
    pub fn wait_next(&mut self, timeout: Option<Duration>) -> Result<Option<Done>, Error> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let inbox = &self.inbox;
        let ended = self
            .queue
            .shared
            .wait(timeout, |_| inbox.lock().pop_front())?;
        Ok(ended.map(|ended| self.done(ended)))
    }

    /// Waits for all that remains.
    ///
    /// # Errors
    ///
    /// As [`Self::try_next`]. A device that goes is none: then each piece of work says so.
    pub fn wait(self) -> Result<Vec<Done>, Error> {
        self.into_iter().collect()
    }

    /// What has come back, with the caches of the regions taken care of.
    pub(crate) fn done(&mut self, (work, errno): Ended) -> Done {
        self.remaining = self.remaining.saturating_sub(1);
        Done::new(self.queue.device(), work, errno)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("queue", &self.queue)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl IntoIterator for Pending {
    type Item = Result<Done, Error>;
    type IntoIter = Completions;

    fn into_iter(self) -> Completions {
        Completions {
            pending: Some(self),
        }
    }
}

/// Waits for one completion after the other. After an error there is nothing more.
#[derive(Debug)]
pub struct Completions {
    pending: Option<Pending>,
}

impl Iterator for Completions {
    type Item = Result<Done, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.pending.as_mut()?.wait_next(None).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.pending = None;
        }
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = self.pending.as_ref().map_or(0, Pending::remaining);
        (0, Some(remaining))
    }
}
