// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who holds a board: one user at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who holds the board, and who waits for it.
#[derive(Debug)]
pub(super) struct Holder {
    state: Mutex<State>,
    changed: Condvar,
}

/// Who has a board that its holder has left, until it is as it was.
pub(super) const RESTORED: &str = "its bench, which makes it ready for the next";

#[derive(Debug)]
struct State {
    /// The holder's token and name.
    held: Option<(u64, String)>,
    /// Tokens of those who wait, the first come first.
    waiting: VecDeque<u64>,
    next: u64,
    free_since: Instant,
    ended: bool,
}

impl Holder {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                held: None,
                waiting: VecDeque::new(),
                next: 1,
                free_since: Instant::now(),
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues up and returns a token.
    pub(super) fn queue(&self) -> u64 {
        let mut state = self.lock();
        let token = state.next;
        state.next += 1;
        state.waiting.push_back(token);
        token
    }

    /// Waits for its turn; who holds the board if it has not come by then.
    pub(super) fn wait(&self, token: u64, who: &str, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if state.held.is_none() && state.waiting.front() == Some(&token) && !state.ended {
                state.waiting.pop_front();
                state.held = Some((token, who.to_owned()));
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let holder = state.held.as_ref().map(|(_, who)| who.clone());
                return Err(holder.unwrap_or_else(|| "somebody who is about to".into()));
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether this is the holder's token.
    pub(super) fn is_held_by(&self, token: u64) -> bool {
        let state = self.lock();
        state.held.as_ref().is_some_and(|(held, _)| *held == token)
    }

    /// Who holds the board.
    pub(super) fn name(&self) -> Option<String> {
        self.lock().held.as_ref().map(|(_, who)| who.clone())
    }

    /// The holder goes, but it is not the next one's turn yet.
    pub(super) fn leave(&self, token: u64) {
        let mut state = self.lock();
        if let Some((held, who)) = &mut state.held {
            if *held == token {
                RESTORED.clone_into(who);
            }
        }
    }

    /// Gives the board, or the place in the queue, back.
    pub(super) fn release(&self, token: u64) {
        let mut state = self.lock();
        state.waiting.retain(|waiting| *waiting != token);
        if state.held.as_ref().is_some_and(|(held, _)| *held == token) {
            state.held = None;
            state.free_since = Instant::now();
        }
        self.changed.notify_all();
    }

    /// Ends it if nobody holds it or waits for it; whether that is so.
    pub(super) fn end_if_free(&self) -> bool {
        self.end_if_idle(Duration::ZERO)
    }

    /// Ends it when nobody has wanted it for so long; whether that is so.
    pub(super) fn end_if_idle(&self, limit: Duration) -> bool {
        let mut state = self.lock();
        let is_free = state.held.is_none() && state.waiting.is_empty();
        if is_free && state.free_since.elapsed() >= limit {
            state.ended = true;
        }
        state.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn one_holds_it_and_the_others_come_in_order() {
        let holder = Holder::new();
        let (first, second, third) = (holder.queue(), holder.queue(), holder.queue());
        assert!(holder.wait(second, "second", NOW).is_err());
        holder.wait(first, "first", NOW).unwrap();
        assert_eq!(holder.wait(second, "second", NOW), Err("first".into()));
        assert!(holder.is_held_by(first) && !holder.is_held_by(second));
        // One who gives up does not hold up the next.
        holder.release(second);
        holder.release(first);
        holder.wait(third, "third", NOW).unwrap();
        assert_eq!(holder.name().as_deref(), Some("third"));
    }

    #[test]
    fn one_who_has_left_is_not_named_any_more_and_holds_up_the_next_until_it_is_given_back() {
        let holder = Holder::new();
        let (first, second) = (holder.queue(), holder.queue());
        holder.wait(first, "first", NOW).unwrap();
        holder.leave(second);
        assert_eq!(holder.name().as_deref(), Some("first"));
        holder.leave(first);
        assert!(holder.is_held_by(first));
        assert_eq!(holder.wait(second, "second", NOW), Err(RESTORED.into()));
        holder.release(first);
        holder.wait(second, "second", NOW).unwrap();
        assert_eq!(holder.name().as_deref(), Some("second"));
    }

    #[test]
    fn it_ends_only_when_nobody_has_wanted_it_for_a_while() {
        let holder = Holder::new();
        assert!(!holder.end_if_idle(Duration::from_secs(60)));
        let token = holder.queue();
        assert!(!holder.end_if_idle(NOW));
        holder.wait(token, "x", NOW).unwrap();
        assert!(!holder.end_if_idle(NOW));
        holder.release(token);
        assert!(holder.end_if_idle(NOW));
        let late = holder.queue();
        assert!(holder.wait(late, "late", NOW).is_err());
    }

    #[test]
    fn who_waits_is_woken_when_it_becomes_free() {
        let holder = Holder::new();
        let (first, second) = (holder.queue(), holder.queue());
        holder.wait(first, "first", NOW).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| holder.wait(second, "second", Duration::from_secs(20)));
            std::thread::sleep(Duration::from_millis(30));
            holder.release(first);
            waits.join().unwrap().unwrap();
        });
    }
}
