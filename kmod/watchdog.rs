// SPDX-License-Identifier: GPL-2.0

//! Looks after the engine of a queue.
//!
//! A transfer is *overdue* when the engine has completed nothing for the length of the timeout, all
//! of it while the transfer was there. A transfer that waits behind others, which the engine
//! completes, is never overdue.
//!
//! When something is overdue, the engine is first made to look for what it was not told of, an
//! interrupt that was lost for example. If that does not help, the engine has stalled:
//!
//! - If it has taken something, it is reset. The first of what it had taken times out (or fails with
//!   `EIO`, if it is the engine that says that it must be reset); the others are given to it once
//!   more. An engine that cannot be reset has *failed*: everything ends with
//!   `EIO`, what is submitted later too, until a reset succeeds, which is tried every now and then.
//! - What is overdue and waits is taken back.

use core::{
    cmp::min,
    ops::RangeInclusive, //
};

use kernel::{
    impl_has_delayed_work,
    list::List,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    time::{
        msecs_to_jiffies,
        Delta,
        Instant,
        Monotonic, //
    },
    workqueue::WorkItem, //
};

use crate::{
    engine::Engine,
    health::State,
    queue::{
        Inner,
        Queue, //
    },
    sys::{
        compat::{
            as_millis_ceil,
            ECANCELED, //
        },
        workqueue::{
            reschedule,
            system_default, //
        }, //
    },
    transfer::Transfer, //
};

/// How much later than necessary the watchdog looks, in milliseconds, so that transfers that were
/// submitted together time out together: an eighth of the timeout, within these limits.
const GRACE_MS: RangeInclusive<u32> = 10..=100;

/// For how long a transfer has been there with the engine completing nothing.
#[derive(Clone, Copy)]
struct Clock {
    now: Instant<Monotonic>,
    progress: Instant<Monotonic>,
    timeout: Delta,
}

impl Clock {
    /// How long it is until `transfer` is overdue; zero or less if it is.
    fn left(self, transfer: &Transfer) -> Delta {
        let waited = min(self.now - self.progress, self.now - transfer.submitted());
        self.timeout - waited
    }

    fn is_overdue(self, transfer: &Transfer) -> bool {
        let left = self.left(transfer);
        left.is_zero() || left.is_negative()
    }
}

impl Inner {
    fn clock(&self, now: Instant<Monotonic>, timeout: Delta) -> Clock {
        Clock {
            now,
            progress: self.progress,
            timeout,
        }
    }

    /// Whether something that the engine has taken is overdue.
    fn is_stuck(&self, clock: Clock) -> bool {
        self.moving
            .iter()
            .any(|transfer| clock.is_overdue(&transfer))
    }

    /// Why the watchdog has to reset the engine: how the first transfer in it is to end.
    fn reason_to_reset(&self, clock: Clock) -> Option<Error> {
        let is_late = matches!(self.state, State::Failed) || self.is_stuck(clock);
        // Who waits for an engine that has given up itself has waited for nothing.
        let reason = self.has_fault.then_some(EIO);
        reason.or(is_late.then_some(ETIMEDOUT))
    }

    /// Number of the first transfer that is overdue.
    fn first_overdue(&mut self, clock: Clock) -> Option<u64> {
        let mut first: Option<u64> = None;
        let mut note = |list: &List<Transfer>| {
            for transfer in list.iter().filter(|transfer| clock.is_overdue(transfer)) {
                let sequence = transfer.sequence();
                first = Some(first.map_or(sequence, |known| min(known, sequence)));
            }
        };
        note(&self.moving);
        self.for_each_lane(|waiting| note(waiting));
        first
    }

    /// How long it is until something is overdue that is not yet.
    fn next_overdue(&mut self, clock: Clock) -> Option<Delta> {
        let mut next: Option<Delta> = None;
        let mut note = |list: &List<Transfer>| {
            // Those behind it came later, or have been given to the engine together with it.
            if let Some(first) = list.iter().find(|transfer| !clock.is_overdue(transfer)) {
                let left = clock.left(&first);
                next = Some(next.map_or(left, |known| min(known, left)));
            }
        };
        note(&self.moving);
        self.for_each_lane(|waiting| note(waiting));
        next
    }
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Queue { self.watchdog }
}

impl WorkItem for Queue {
    type Pointer = Arc<Queue>;

    fn run(this: Arc<Queue>) {
        this.watch();
    }
}

impl Queue {
    /// How long the engine may go without completing anything, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> u32 {
        self.timeout_ms.load(Relaxed)
    }

    /// Sets how long the engine may go without completing anything, also for what it has already.
    pub(crate) fn set_timeout_ms(self: &Arc<Self>, milliseconds: u32) {
        let mut inner = self.inner.lock();
        self.timeout_ms.store(milliseconds, Relaxed);
        if !inner.is_idle() {
            self.watch_in(&mut inner, Delta::ZERO);
        }
    }

    /// How long the engine may go without completing anything.
    pub(crate) fn timeout(&self) -> Delta {
        Delta::from_millis(i64::from(self.timeout_ms()))
    }

    /// The engine says that it goes on only when it has been reset.
    pub(crate) fn needs_reset(self: &Arc<Self>) {
        let mut inner = self.inner.lock();
        inner.has_fault = true;
        self.watch_at(&mut inner, Delta::ZERO, 0);
    }

    /// Has the watchdog look after `delay`, or when it wants to if that is earlier.
    pub(crate) fn watch_in(self: &Arc<Self>, inner: &mut Inner, delay: Delta) {
        let grace = (self.timeout_ms() / 8).clamp(*GRACE_MS.start(), *GRACE_MS.end());
        self.watch_at(inner, delay, grace);
    }

    fn watch_at(self: &Arc<Self>, inner: &mut Inner, delay: Delta, grace: u32) {
        let now = Instant::now();
        if inner.engine.is_none() || inner.watch.is_some_and(|watch| watch - now <= delay) {
            return;
        }
        inner.watch = Some(now + delay);
        let milliseconds = u32::try_from(as_millis_ceil(delay)).unwrap_or(0);
        reschedule(
            system_default(),
            self.clone(),
            msecs_to_jiffies(milliseconds.saturating_add(grace)),
        );
    }

    fn watch(self: Arc<Self>) {
        // What completes after this moment keeps everything from being overdue. What has completed
        // before is announced first, so that the next stall is one of its own.
        let now = Instant::now();
        self.announce_resumption();

        let timeout = self.timeout();
        let (engine, is_stuck) = {
            let mut inner = self.inner.lock();
            inner.watch = None;
            let Some(engine) = inner.engine.clone() else {
                return;
            };
            (engine, inner.is_stuck(inner.clock(now, timeout)))
        };
        if is_stuck {
            // CAST: Widening.
            self.counters().missed.add(engine.poll() as u64, Relaxed);
        }

        self.declare_stall(now, timeout);
        self.recover(&*engine, |inner| {
            inner.reason_to_reset(inner.clock(now, timeout)).map(Some)
        });
        self.end_overdue(now, timeout);
    }

    /// Declares the engine stalled if something is overdue, or if it says so itself.
    fn declare_stall(&self, now: Instant<Monotonic>, timeout: Delta) {
        self.health().change(|| {
            let mut inner = self.inner.lock();
            if !matches!(inner.state, State::Running) {
                return None;
            }
            let clock = inner.clock(now, timeout);
            let overdue = inner.first_overdue(clock);
            let sequence = match overdue {
                None if inner.has_fault => {
                    let first = inner.moving.iter().next();
                    first.map_or(inner.last_submitted, |transfer| transfer.sequence())
                }
                overdue => overdue?,
            };
            inner.state = State::Stalled;
            self.counters().stalls.add(1, Relaxed);
            Some((inner.state, sequence))
        });
    }

    /// Takes back what waits and, with `timeout`, was overdue at `now`, a moment ago; the watchdog
    /// looks again when more may be.
    fn end_overdue(self: &Arc<Self>, now: Instant<Monotonic>, timeout: Delta) {
        let overdue = {
            let mut inner = self.inner.lock();
            let clock = inner.clock(now, timeout);
            let overdue = inner.withdraw_all(|transfer| clock.is_overdue(transfer));
            if matches!(inner.state, State::Failed) {
                self.watch_in(&mut inner, timeout);
            } else if let Some(left) = inner.next_overdue(clock) {
                self.watch_in(&mut inner, left);
            }
            overdue
        };
        self.end_all(overdue, Err(ETIMEDOUT));
    }

    /// Resets the engine on somebody's demand; all that it has taken is given to it once more.
    pub(crate) fn reset(self: &Arc<Self>) -> Result {
        let engine = self.inner.lock().engine.clone().ok_or(ENODEV)?;
        self.recover(&*engine, |_| Some(None));
        self.health()
            .was_reset(self.counters().resets.load(Relaxed));
        match self.state() {
            State::Failed => Err(EIO),
            _ => Ok(()),
        }
    }

    /// Resets the engine, unless there is no `reason` for that, or none any more.
    ///
    /// What it has taken waits once more, but the first transfer, if there is an error with which
    /// that one ends, and what nobody wants any more.
    fn recover(
        self: &Arc<Self>,
        engine: &dyn Engine,
        reason: impl FnOnce(&Inner) -> Option<Option<Error>>,
    ) {
        let recovery = self.recovery.lock();
        let (first, reason) = {
            let mut inner = self.inner.lock();
            if inner.engine.is_none() {
                return;
            }
            // Who has reset it meanwhile has mended that, perhaps.
            let Some(reason) = reason(&inner) else {
                return;
            };
            // From here on it gets nothing to take.
            inner.resetting = true;
            let first = inner.moving.iter().next();
            (first.map(|first| first.sequence()), reason)
        };
        // What it has done, it completes.
        let result = engine.reset();
        self.counters().resets.add(1, Relaxed);

        let mut ended = List::new();
        self.health().change(|| {
            let mut guard = self.inner.lock();
            let inner = &mut *guard;
            inner.resetting = false;
            inner.has_fault = false;
            // Without one it has been closed meanwhile: who does that ends what has been forgotten.
            inner.engine.as_ref()?;
            let left = inner.moving.iter().next();
            let left = left.map(|left| left.sequence());
            let sequence = left.unwrap_or(inner.last_submitted);
            if result.is_err() {
                ended = inner.withdraw_all(|_| true);
                ended.push_all_back(&mut inner.moving);
                let was_failed = matches!(inner.state, State::Failed);
                inner.state = State::Failed;
                return (!was_failed).then_some((inner.state, sequence));
            }
            // Not another one, if that has been completed after all.
            if reason.is_some() && left == first {
                if let Some(first) = inner.moving.pop_front() {
                    ended.push_back(first);
                }
            }
            inner.give_again(&mut ended);
            // It has as much time as at first.
            inner.progress = Instant::now();
            engine.start();
            if !matches!(inner.state, State::Failed) {
                inner.resume_idle();
                return None;
            }
            inner.state = State::Running;
            Some((inner.state, inner.last_submitted + 1))
        });
        drop(recovery);

        let reason = match result {
            Ok(()) => reason.unwrap_or(ECANCELED),
            Err(_) => EIO,
        };
        self.end_all(ended, Err(reason));
        self.announce_resumption();
    }

    /// If the engine goes on after a stall, and that has not been announced, does so.
    pub(crate) fn announce_resumption(&self) {
        // Spares the announcer's lock nearly always. Who has just resumed sees that.
        if !matches!(self.inner.lock().state, State::Resumed(_)) {
            return;
        }
        self.health().change(|| {
            let mut inner = self.inner.lock();
            let State::Resumed(sequence) = inner.state else {
                return None;
            };
            inner.state = State::Running;
            Some((inner.state, sequence))
        });
    }
}

impl Inner {
    /// Has everything that the engine had taken wait once more, in its old order; what nobody wants
    /// goes to `ended`.
    fn give_again(&mut self, ended: &mut List<Transfer>) {
        while let Some(mut transfer) = self.moving.pop_back() {
            let is_abandoned = transfer.is_abandoned();
            let lane = match transfer.client() {
                Some(client) if !is_abandoned => client.place.lane().clone(),
                _ => {
                    ended.push_back(transfer);
                    continue;
                }
            };
            self.put_back(&lane, transfer);
        }
    }
}
