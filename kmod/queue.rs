// SPDX-License-Identifier: GPL-2.0

//! The transfers of a device, from submission to completion, in order.
//!
//! A transfer is *waiting* until the engine takes it, *moving* until the engine completes it, and
//! then *done*. Only a waiting transfer can be cancelled: once cancelled, the engine never touches
//! its memory.
//!
//! A watchdog looks after the engine. A transfer is *overdue* when the engine has completed nothing
//! for the length of the timeout, all of it while the transfer was there. Then the engine is
//! stalled, and what is overdue and still waiting is taken back. A transfer that waits behind
//! others, which the engine completes, is never overdue.

use core::{
    cmp::min,
    ops::RangeInclusive, //
};

use kernel::{
    alloc::kvec::PushError,
    impl_has_delayed_work,
    new_delayed_work,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce, //
    },
    time::{
        msecs_to_jiffies,
        Delta,
        Instant,
        Monotonic, //
    },
    workqueue::{
        DelayedWork,
        WorkItem, //
    }, //
};

use crate::{
    dma::Buffer,
    engine::Engine,
    health::{
        Health,
        State, //
    },
    sys::{
        compat::{
            as_millis_ceil,
            ECANCELED, //
        },
        workqueue::{
            cancel,
            reschedule,
            system_default, //
        }, //
    },
    trace, //
};

/// How much later than necessary the watchdog looks, in milliseconds, so that transfers that were
/// submitted together time out together: an eighth of the timeout, within these limits.
const GRACE_MS: RangeInclusive<u32> = 10..=100;

/// Where the bytes of a transfer come from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// From the same buffer, in bytes from its start.
    Offset(usize),
    /// These, repeated.
    Pattern([u8; 8]),
}

/// What is to be moved, within one buffer.
pub(crate) struct Request {
    /// The number of the session that wants it.
    pub(crate) session: u64,
    /// The memory to move in.
    pub(crate) buffer: Buffer,
    /// Where to read.
    pub(crate) source: Source,
    /// Where to write, in bytes from the start of the buffer.
    pub(crate) destination: usize,
    /// How many bytes.
    pub(crate) length: usize,
}

/// A [`Request`] that has been submitted.
pub(crate) struct Transfer {
    request: Request,
    sequence: u64,
    submitted: Instant<Monotonic>,
    outcome: SetOnce<Result<Delta>>,
}

impl Transfer {
    /// What is to be moved.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// The transfer's number on its device, counted from 1.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was submitted.
    pub(crate) fn submitted(&self) -> Instant<Monotonic> {
        self.submitted
    }

    /// How the transfer ended and, if well, how long it took; [`None`] as long as it is under way.
    pub(crate) fn outcome(&self) -> Option<Result<Delta>> {
        self.outcome.copy()
    }
}

/// Is told when a transfer is done.
pub(crate) trait Observer: Send + Sync {
    /// [`Transfer::outcome`] is there now.
    ///
    /// Called in process context, with none of the queue's locks held.
    fn transfer_done(&self);
}

/// A transfer in the queue or in the engine, with the one who wants to know.
pub(crate) struct Entry {
    transfer: Arc<Transfer>,
    observer: Arc<dyn Observer>,
}

impl Entry {
    /// The transfer.
    pub(crate) fn transfer(&self) -> &Transfer {
        &self.transfer
    }
}

/// Sums since probe.
pub(crate) struct Counters {
    /// Transfers completed.
    pub(crate) transfers: Atomic<u64>,
    /// Bytes moved.
    pub(crate) bytes: Atomic<u64>,
    /// Transfers that failed or timed out.
    pub(crate) errors: Atomic<u64>,
}

/// The state of a [`Queue`] at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    /// Transfers that wait for the engine.
    pub(crate) waiting: usize,
    /// Number of the transfer in the engine.
    pub(crate) moving: Option<u64>,
    /// Whether the engine is kept from taking transfers.
    pub(crate) held: bool,
    /// Number of the last transfer submitted.
    pub(crate) last_submitted: u64,
    /// Number of the last transfer completed.
    pub(crate) last_completed: u64,
}

struct Inner {
    // Short: a session has one copy per thread and a bounded number of stream transfers.
    waiting: KVec<Entry>,
    moving: Option<Arc<Transfer>>,
    held: bool,
    closed: bool,
    last_submitted: u64,
    last_completed: u64,
    /// When the engine has completed a transfer for the last time.
    progress: Instant<Monotonic>,
    state: State,
    /// When the watchdog looks next; no later than something that waits is overdue.
    watch: Option<Instant<Monotonic>>,
}

impl Inner {
    /// For how long `transfer` has been there with the engine completing nothing.
    fn without_progress(&self, transfer: &Transfer, now: Instant<Monotonic>) -> Delta {
        min(now - self.progress, now - transfer.submitted)
    }

    /// All transfers that the engine has to complete, in order.
    fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        let waiting = self.waiting.iter().map(Entry::transfer);
        Iterator::chain(self.moving.as_deref().into_iter(), waiting)
    }

    /// If the engine was stalled, it goes on with transfer `sequence`.
    fn resume(&mut self, sequence: u64) {
        if matches!(self.state, State::Stalled) {
            self.state = State::Resumed(sequence);
        }
    }

    /// If the engine was stalled and has nothing to do, it goes on with the next transfer to come.
    fn resume_idle(&mut self) {
        if self.transfers().next().is_none() {
            // OVERFLOW: As in `Queue::submit`.
            self.resume(self.last_submitted + 1);
        }
    }
}

/// The transfers of one device, first in, first out.
#[pin_data]
pub(crate) struct Queue {
    /// The device's number.
    device: u32,
    #[pin]
    inner: Mutex<Inner>,
    #[pin]
    health: Health,
    counters: Counters,
    timeout_ms: Atomic<u32>,
    #[pin]
    watchdog: DelayedWork<Queue>,
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
    /// Creates an empty queue for device number `device`.
    pub(crate) fn new(device: u32) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                device,
                inner <- new_mutex!(Inner {
                    waiting: KVec::new(),
                    moving: None,
                    held: false,
                    closed: false,
                    last_submitted: 0,
                    last_completed: 0,
                    progress: Instant::now(),
                    state: State::Running,
                    watch: None,
                }),
                health <- Health::new(),
                counters: Counters {
                    transfers: Atomic::new(0),
                    bytes: Atomic::new(0),
                    errors: Atomic::new(0),
                },
                timeout_ms: Atomic::new(1000),
                watchdog <- new_delayed_work!("dmacopy::Queue"),
            }),
            GFP_KERNEL,
        )
    }

    /// Announces the changes of [`Self::state`].
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Whether the engine completes what it is given.
    pub(crate) fn state(&self) -> State {
        self.inner.lock().state
    }

    /// How long the engine may go without completing anything, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> u32 {
        self.timeout_ms.load(Relaxed)
    }

    /// Sets how long the engine may go without completing anything, also for what it has already.
    pub(crate) fn set_timeout_ms(self: &Arc<Self>, milliseconds: u32) {
        let mut inner = self.inner.lock();
        self.timeout_ms.store(milliseconds, Relaxed);
        if inner.transfers().next().is_some() {
            self.watch_in(&mut inner, Delta::ZERO);
        }
    }

    fn timeout(&self) -> Delta {
        Delta::from_millis(i64::from(self.timeout_ms()))
    }

    /// Sums since probe.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Appends a transfer and starts `engine`.
    pub(crate) fn submit(
        self: &Arc<Self>,
        engine: &dyn Engine,
        request: Request,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Transfer>> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(ENODEV);
        }

        // OVERFLOW: Counting to 2^64 takes centuries.
        let sequence = inner.last_submitted + 1;
        let transfer = Arc::new(
            Transfer {
                request,
                sequence,
                submitted: Instant::now(),
                outcome: SetOnce::new(),
            },
            GFP_KERNEL,
        )?;
        inner.waiting.push(
            Entry {
                transfer: transfer.clone(),
                observer,
            },
            GFP_KERNEL,
        )?;
        inner.last_submitted = sequence;
        trace::submit(self.device, &transfer);
        self.watch_in(&mut inner, self.timeout());
        // With the lock held, so that nothing is started after `close`.
        engine.start();
        Ok(transfer)
    }

    /// Gives the next transfer to the engine, which has to [`Self::complete`] it.
    ///
    /// Called when the engine has completed all that it has taken.
    pub(crate) fn take(&self) -> Option<Entry> {
        let mut inner = self.inner.lock();
        if inner.held || inner.closed {
            return None;
        }
        if let Ok(entry) = inner.waiting.remove(0) {
            inner.moving = Some(entry.transfer.clone());
            trace::start(self.device, &entry.transfer);
            return Some(entry);
        }

        // What it was stalled with has been taken back. No completion will tell that it goes on.
        inner.resume_idle();
        drop(inner);
        self.announce_resumption();
        None
    }

    /// Ends a transfer that the engine has taken.
    pub(crate) fn complete(&self, entry: Entry, result: Result) {
        let duration = entry.transfer.submitted.elapsed();
        let sequence = entry.transfer.sequence;
        {
            let mut inner = self.inner.lock();
            inner.moving = None;
            inner.last_completed = sequence;
            inner.progress = Instant::now();
            inner.resume(sequence);
        }

        match result {
            Ok(()) => {
                // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
                let length = entry.transfer.request.length as u64;
                self.counters.bytes.add(length, Relaxed);
                self.counters.transfers.add(1, Relaxed);
            }
            Err(_) => self.counters.errors.add(1, Relaxed),
        }
        // First, so that who waits for the transfer finds an engine that runs.
        self.announce_resumption();
        trace::end(self.device, &entry.transfer, duration, result);
        entry.transfer.outcome.populate(result.map(|()| duration));
        entry.observer.transfer_done();
    }

    /// Takes a transfer back that nobody wants any more.
    ///
    /// Returns whether that was possible, that is, whether the transfer was still waiting. If so,
    /// its outcome is `reason`; the observer is not told. If not, the outcome is there already or
    /// comes without waiting for anything but the engine's move.
    pub(crate) fn cancel(&self, transfer: &Transfer, reason: Error) -> bool {
        let entry = {
            let mut inner = self.inner.lock();
            inner
                .waiting
                .iter()
                .position(|entry| entry.transfer.sequence == transfer.sequence)
                .and_then(|index| inner.waiting.remove(index).ok())
        };
        entry.is_some_and(|entry| {
            trace::error(self.device, &entry.transfer, ECANCELED);
            entry.transfer.outcome.populate(Err(reason))
        })
    }

    /// Has the watchdog look after `delay`, or when it wants to if that is earlier.
    fn watch_in(self: &Arc<Self>, inner: &mut Inner, delay: Delta) {
        let now = Instant::now();
        if inner.closed || inner.watch.is_some_and(|watch| watch - now <= delay) {
            return;
        }
        inner.watch = Some(now + delay);
        let grace = (self.timeout_ms() / 8).clamp(*GRACE_MS.start(), *GRACE_MS.end());
        let milliseconds = u32::try_from(as_millis_ceil(delay)).unwrap_or(0);
        reschedule(
            system_default(),
            self.clone(),
            msecs_to_jiffies(milliseconds.saturating_add(grace)),
        );
    }

    /// Declares the engine stalled if something is overdue, and takes back what is and waits.
    fn watch(self: Arc<Self>) {
        // What completes after this moment keeps everything from being overdue. What has completed
        // before is announced first, so that the next stall is one of its own.
        let now = Instant::now();
        self.announce_resumption();

        let mut timeout = Delta::ZERO;
        self.health.change(|| {
            let mut inner = self.inner.lock();
            inner.watch = None;
            timeout = self.timeout();
            if !matches!(inner.state, State::Running) {
                return None;
            }
            let sequence = inner
                .transfers()
                .find(|transfer| inner.without_progress(transfer, now) >= timeout)?
                .sequence;
            inner.state = State::Stalled;
            Some((inner.state, sequence))
        });

        loop {
            // Without memory, one at a time.
            let mut overdue = KVec::with_capacity(self.snapshot().waiting, GFP_KERNEL)
                .unwrap_or_else(|_| KVec::new());
            let last = self.take_overdue(now, timeout, &mut overdue);
            let is_all = last.is_none();
            for entry in Iterator::chain(overdue.into_iter(), last) {
                entry.observer.transfer_done();
            }
            if is_all {
                break;
            }
        }
    }

    /// Takes back what waits and, with `timeout`, was overdue at `now`, a moment ago, as much as
    /// `overdue` has room for. If there is more, returns one more.
    ///
    /// Else the watchdog looks again when more may be overdue.
    fn take_overdue(
        self: &Arc<Self>,
        now: Instant<Monotonic>,
        timeout: Delta,
        overdue: &mut KVec<Entry>,
    ) -> Option<Entry> {
        let mut inner = self.inner.lock();
        while let Some(index) = inner
            .waiting
            .iter()
            .position(|entry| inner.without_progress(&entry.transfer, now) >= timeout)
        {
            let entry = inner.waiting.remove(index).ok()?;
            self.counters.errors.add(1, Relaxed);
            trace::error(self.device, &entry.transfer, ETIMEDOUT);
            entry.transfer.outcome.populate(Err(ETIMEDOUT));
            if let Err(PushError(entry)) = overdue.push_within_capacity(entry) {
                return Some(entry);
            }
        }

        // One that is overdue is moving. It cannot be taken back, and its completion will tell.
        let next = inner
            .transfers()
            .map(|transfer| timeout - inner.without_progress(transfer, now))
            .filter(|left| !left.is_zero() && !left.is_negative())
            .min();
        if let Some(left) = next {
            self.watch_in(&mut inner, left);
        }
        None
    }

    /// If the engine goes on after a stall, and that has not been announced, does so.
    fn announce_resumption(&self) {
        // Spares the announcer's lock nearly always. Who has just resumed sees that.
        if !matches!(self.inner.lock().state, State::Resumed(_)) {
            return;
        }
        self.health.change(|| {
            let mut inner = self.inner.lock();
            let State::Resumed(sequence) = inner.state else {
                return None;
            };
            inner.state = State::Running;
            Some((inner.state, sequence))
        });
    }

    /// Keeps `engine` from taking transfers, or lets it go on.
    pub(crate) fn hold(&self, engine: &dyn Engine, held: bool) {
        {
            let mut inner = self.inner.lock();
            inner.held = held;
            if held || inner.closed {
                return;
            }
            engine.start();
            inner.resume_idle();
        }
        self.announce_resumption();
    }

    /// Refuses transfers from now on, fails those that wait and stops the watchdog.
    pub(crate) fn close(self: &Arc<Self>) {
        let waiting = {
            let mut inner = self.inner.lock();
            inner.closed = true;
            core::mem::take(&mut inner.waiting)
        };
        for entry in waiting {
            trace::error(self.device, &entry.transfer, ENODEV);
            entry.transfer.outcome.populate(Err(ENODEV));
            entry.observer.transfer_done();
        }
        // Now that `closed` is set, nobody reschedules it.
        cancel(self);
    }

    /// Whether [`Self::close`] has been called.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// The state of the queue at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        Snapshot {
            waiting: inner.waiting.len(),
            moving: inner.moving.as_deref().map(Transfer::sequence),
            held: inner.held,
            last_submitted: inner.last_submitted,
            last_completed: inner.last_completed,
        }
    }
}
