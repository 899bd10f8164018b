// SPDX-License-Identifier: MIT OR Apache-2.0

//! How a command ends that goes on by itself: by Ctrl-C, or when its time is up.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use kernel_channels::Interest;
use kernel_channels::eventfd::{Loop, SignalQueue};
use kernel_channels::signal::{Blocked, Signal};

/// Ctrl-C, and what asks a program politely to end.
const SIGNALS: [Signal; 2] = [Signal::INTERRUPT, Signal::TERMINATE];

/// The token of the signals in the loop.
const SIGNAL: u64 = u64::MAX;

/// Waits for files, for a signal that ends the command, and for the end of its time.
pub(crate) struct Waiting {
    events: Loop,
    signals: SignalQueue,
    deadline: Option<Instant>,
    _blocked: Blocked,
}

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Files are ready, these.
    Ready(Vec<u64>),
    /// Somebody has asked the command to end.
    Interrupted,
    /// Its time is up.
    TimeUp,
}

impl Waiting {
    pub(crate) fn new(timeout: Option<Duration>) -> anyhow::Result<Self> {
        let blocked = Blocked::new(&SIGNALS)?;
        let signals = SignalQueue::new(&SIGNALS)?;
        let events = Loop::new()?;
        events.add(&signals, SIGNAL, Interest::READABLE)?;
        Ok(Self {
            events,
            signals,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            _blocked: blocked,
        })
    }

    /// Waits for a file, too.
    pub(crate) fn add(&self, file: impl AsFd, token: u64) -> anyhow::Result<()> {
        let file: BorrowedFd<'_> = file.as_fd();
        Ok(self.events.add(file, token, Interest::READABLE)?)
    }

    pub(crate) fn next(&self) -> anyhow::Result<Next> {
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let found = self.events.wait(left)?;
        if found.is_empty() {
            return Ok(Next::TimeUp);
        }
        if found.iter().any(|one| one.token == SIGNAL) && self.signals.take()?.is_some() {
            return Ok(Next::Interrupted);
        }
        Ok(Next::Ready(found.iter().map(|one| one.token).collect()))
    }
}

#[cfg(test)]
mod tests {
    use kernel_channels::eventfd::Counter;
    use nix::sys::pthread::{pthread_kill, pthread_self};
    use nix::sys::signal;

    use super::*;

    #[test]
    fn what_is_ready_and_ctrl_c_and_the_end_of_the_time_are_told_apart() {
        let waiting = Waiting::new(Some(Duration::from_millis(1))).unwrap();
        let counter = Counter::new().unwrap();
        waiting.add(&counter, 7).unwrap();
        assert_eq!(waiting.next().unwrap(), Next::TimeUp);
        counter.add(1).unwrap();
        assert_eq!(waiting.next().unwrap(), Next::Ready(vec![7]));
        counter.take().unwrap();
        for ending in [signal::SIGINT, signal::SIGTERM] {
            pthread_kill(pthread_self(), ending).unwrap();
            assert_eq!(waiting.next().unwrap(), Next::Interrupted);
        }
        assert_eq!(waiting.next().unwrap(), Next::TimeUp);
    }
}
