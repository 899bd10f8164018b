// SPDX-License-Identifier: GPL-2.0

//! The transfers of a device, from submission to completion.
//!
//! A transfer is *waiting* in the lane of its session until the engine takes it, *moving* until the
//! engine completes it, and then *done*. Only a waiting transfer can be cancelled: once cancelled,
//! the engine never touches its memory.
//!
//! The watchdog looks after the engine, see [`crate::watchdog`]. When it has reset the engine, what
//! was moving waits again, so each transfer ends exactly once.

use core::ops::Deref;

use kernel::{
    list::{
        List,
        ListArc, //
    },
    new_delayed_work,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        Instant,
        Monotonic, //
    },
    workqueue::DelayedWork, //
};

use crate::{
    engine::Engine,
    health::{
        Health,
        State, //
    },
    lane::{
        remove,
        Lane,
        Place,
        Turns, //
    },
    sys::{
        compat::ECANCELED,
        workqueue::cancel, //
    },
    trace,
    transfer::{
        Client,
        Observer,
        Request,
        Transfer, //
    }, //
};

/// Sums since probe.
pub(crate) struct Counters {
    /// Transfers completed.
    pub(crate) transfers: Atomic<u64>,
    /// Bytes moved.
    pub(crate) bytes: Atomic<u64>,
    /// Bytes that the processor has moved, not hardware; also of transfers that failed.
    pub(crate) cpu_bytes: Atomic<u64>,
    /// Transfers that failed or timed out.
    pub(crate) errors: Atomic<u64>,
    /// How often the engine has stalled.
    pub(crate) stalls: Atomic<u64>,
    /// How often the engine was reset.
    pub(crate) resets: Atomic<u64>,
    /// Completions that nothing had told of, found by looking.
    pub(crate) missed: Atomic<u64>,
}

/// The state of a [`Queue`] at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    /// Transfers that wait for the engine.
    pub(crate) waiting: usize,
    /// Number of the first transfer in the engine.
    pub(crate) moving: Option<u64>,
    /// Whether the engine is kept from taking transfers.
    pub(crate) held: bool,
    /// Number of the last transfer submitted.
    pub(crate) last_submitted: u64,
    /// Number of the last transfer completed.
    pub(crate) last_completed: u64,
}

/// What the lock of a queue protects.
pub(crate) struct Inner {
    /// Moves the bytes, until the queue is closed.
    pub(crate) engine: Option<Arc<dyn Engine>>,
    /// Lanes with transfers that wait.
    pub(crate) turns: Turns,
    /// How many transfers wait.
    pub(crate) waiting: usize,
    /// What the engine has taken, in order.
    pub(crate) moving: List<Transfer>,
    /// The engine is kept from taking anything.
    held: bool,
    /// The engine is being reset.
    pub(crate) resetting: bool,
    /// The engine has found out itself that it must be reset.
    pub(crate) has_fault: bool,
    pub(crate) last_submitted: u64,
    last_completed: u64,
    /// When the engine has completed a transfer for the last time.
    pub(crate) progress: Instant<Monotonic>,
    pub(crate) state: State,
    /// When the watchdog looks next; no later than something that is there is overdue.
    pub(crate) watch: Option<Instant<Monotonic>>,
}

impl Inner {
    /// Whether there is nothing that the engine has to complete.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.moving.is_empty()
    }

    /// If the engine was stalled, it goes on with transfer `sequence`.
    fn resume(&mut self, sequence: u64) {
        if matches!(self.state, State::Stalled) {
            self.state = State::Resumed(sequence);
        }
    }

    /// If the engine was stalled and has nothing to do, it goes on with the next transfer to come.
    pub(crate) fn resume_idle(&mut self) {
        if self.is_idle() {
            // OVERFLOW: As in `Queue::submit`.
            self.resume(self.last_submitted + 1);
        }
    }
}

/// The transfers of one device.
#[pin_data]
pub(crate) struct Queue {
    /// The device's number.
    pub(crate) device: u32,
    #[pin]
    pub(crate) inner: Mutex<Inner>,
    /// Set once, with `inner` locked.
    is_closed: Atomic<bool>,
    /// Held while the engine is reset.
    #[pin]
    pub(crate) recovery: Mutex<()>,
    #[pin]
    health: Health,
    counters: Counters,
    pub(crate) timeout_ms: Atomic<u32>,
    #[pin]
    pub(crate) watchdog: DelayedWork<Queue>,
}

impl Queue {
    /// Creates an empty queue for device number `device`.
    pub(crate) fn new(device: u32) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                device,
                inner <- new_mutex!(Inner {
                    engine: None,
                    turns: Turns::new(),
                    waiting: 0,
                    moving: List::new(),
                    held: false,
                    resetting: false,
                    has_fault: false,
                    last_submitted: 0,
                    last_completed: 0,
                    progress: Instant::now(),
                    state: State::Running,
                    watch: None,
                }),
                is_closed: Atomic::new(false),
                recovery <- new_mutex!(()),
                health <- Health::new(),
                counters: Counters {
                    transfers: Atomic::new(0),
                    bytes: Atomic::new(0),
                    cpu_bytes: Atomic::new(0),
                    errors: Atomic::new(0),
                    stalls: Atomic::new(0),
                    resets: Atomic::new(0),
                    missed: Atomic::new(0),
                },
                timeout_ms: Atomic::new(1000),
                watchdog <- new_delayed_work!("dmacopy::Queue"),
            }),
            GFP_KERNEL,
        )
    }

    /// Has `engine` take transfers from here, until the queue is closed.
    pub(crate) fn attach(self: Arc<Self>, engine: Arc<dyn Engine>) -> Attached {
        self.inner.lock().engine = Some(engine);
        Attached(self)
    }

    /// An empty lane, for a new session.
    pub(crate) fn lane(&self) -> Result<Arc<Lane>> {
        Lane::new(&self.inner)
    }

    /// Announces the changes of [`Self::state`].
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Whether the engine completes what it is given.
    pub(crate) fn state(&self) -> State {
        self.inner.lock().state
    }

    /// Sums since probe.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Appends a transfer to the lane of this queue where it has a place, and starts the engine.
    ///
    /// Fails with `EIO` as long as the engine cannot be reset.
    pub(crate) fn submit(
        self: &Arc<Self>,
        place: Place,
        request: Request,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Transfer>> {
        let lane = place.lane().clone();
        let client = Client { place, observer };
        // With nothing locked: whoever waits for memory keeps nobody else waiting.
        let entry = Transfer::new(request, client)?;
        let transfer = entry.clone_arc();

        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let Some(engine) = inner.engine.clone() else {
            return Err(ENODEV);
        };
        if matches!(inner.state, State::Failed) {
            return Err(EIO);
        }
        // OVERFLOW: Counting to 2^64 takes centuries.
        inner.last_submitted += 1;
        transfer.set_sequence(inner.last_submitted);
        inner.append(&lane, entry);
        trace::submit(self.device, &transfer);
        self.watch_in(inner, self.timeout());
        // With the lock held, so that nothing is started after `close`.
        engine.start();
        drop(guard);
        Ok(transfer)
    }

    /// Gives the next transfer to the engine, which has to [`Self::complete`] it.
    pub(crate) fn take(&self) -> Option<Arc<Transfer>> {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        if inner.held || inner.resetting || inner.engine.is_none() {
            return None;
        }
        if let Some(transfer) = inner.next() {
            let taken = transfer.clone_arc();
            inner.moving.push_back(transfer);
            trace::start(self.device, &taken);
            return Some(taken);
        }

        // What it was stalled with has been taken back. No completion will tell that it goes on.
        inner.resume_idle();
        drop(guard);
        self.announce_resumption();
        None
    }

    /// Ends a transfer that the engine has taken; nothing happens if it does not have it any more.
    pub(crate) fn complete(&self, transfer: &Transfer, result: Result) {
        let sequence = transfer.sequence();
        let ended = {
            let mut inner = self.inner.lock();
            let Some(ended) = remove(&mut inner.moving, transfer) else {
                return;
            };
            inner.last_completed = sequence;
            inner.progress = Instant::now();
            inner.resume(sequence);
            ended
        };
        // First, so that who waits for the transfer finds an engine that runs.
        self.announce_resumption();
        self.end(ended, result);
    }

    /// Ends a transfer that has been taken out of all lists, and tells who wanted it.
    ///
    /// Called with none of the locks held that an observer takes.
    pub(crate) fn end(&self, transfer: ListArc<Transfer>, result: Result) {
        self.settle(&transfer, result);
        tell(transfer);
    }

    /// Ends all of a list, as [`Self::end`] does. Who is told of one finds all of them ended.
    pub(crate) fn end_all(&self, mut transfers: List<Transfer>, result: Result) {
        for transfer in transfers.iter() {
            self.settle(&transfer, result);
        }
        while let Some(transfer) = transfers.pop_front() {
            tell(transfer);
        }
    }

    /// Counts a transfer that has ended, and gives it its outcome.
    fn settle(&self, transfer: &Transfer, result: Result) {
        let duration = transfer.submitted().elapsed();
        match result {
            Ok(()) => {
                // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
                let length = transfer.request().length as u64;
                self.counters.bytes.add(length, Relaxed);
                self.counters.transfers.add(1, Relaxed);
            }
            Err(ENODEV) => {}
            Err(_) => self.counters.errors.add(1, Relaxed),
        }
        trace::end(self.device, transfer, duration, result);
        transfer.end(result.map(|()| duration));
    }

    /// Takes a transfer of `lane` back that nobody wants any more.
    ///
    /// Returns whether that was possible, that is, whether the transfer was still waiting. If so,
    /// its outcome is `reason`; the observer is not told. If not, the outcome is there already or
    /// comes without waiting for anything but the engine's move.
    pub(crate) fn cancel(&self, lane: &Lane, transfer: &Transfer, reason: Error) -> bool {
        let mut inner = self.inner.lock();
        let Some(mut withdrawn) = inner.withdraw(lane, transfer) else {
            // With the lock held, so that it does not wait again meanwhile.
            transfer.abandon();
            return false;
        };
        drop(inner);
        let client = withdrawn.client().take();
        trace::error(self.device, transfer, ECANCELED);
        transfer.end(Err(reason));
        drop(client);
        true
    }

    /// Keeps the engine from taking transfers, or lets it go on.
    pub(crate) fn hold(&self, held: bool) {
        {
            let mut inner = self.inner.lock();
            let was_held = core::mem::replace(&mut inner.held, held);
            if held {
                return;
            }
            if was_held {
                // It cannot complete at once all that has waited for nearly as long as it may.
                inner.progress = Instant::now();
            }
            let Some(engine) = &inner.engine else {
                return;
            };
            engine.start();
            inner.resume_idle();
        }
        self.announce_resumption();
    }

    /// Refuses transfers from now on, fails those that wait and stops the watchdog.
    ///
    /// When this returns, nobody resets the engine any more.
    pub(crate) fn close(self: &Arc<Self>) {
        let (engine, waiting) = {
            let mut inner = self.inner.lock();
            self.is_closed.store(true, Relaxed);
            (inner.engine.take(), inner.withdraw_all(|_| true))
        };
        drop(engine);
        self.end_all(waiting, Err(ENODEV));
        // Nobody reschedules it without an engine.
        cancel(self);
        // Who is resetting has the lock, and nobody begins to.
        drop(self.recovery.lock());
    }

    /// Fails what the engine has taken and forgotten.
    ///
    /// Called after [`Self::close`], when the engine is at rest.
    pub(crate) fn end_moving(&self) {
        let moving = core::mem::replace(&mut self.inner.lock().moving, List::new());
        self.end_all(moving, Err(ENODEV));
    }

    /// Whether [`Self::close`] has been called.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// The state of the queue at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        let first = inner.moving.iter().next();
        Snapshot {
            waiting: inner.waiting,
            moving: first.map(|transfer| transfer.sequence()),
            held: inner.held,
            last_submitted: inner.last_submitted,
            last_completed: inner.last_completed,
        }
    }
}

/// A queue with an engine, which have references to each other until the queue is closed: when this
/// is dropped, at the latest.
pub(crate) struct Attached(Arc<Queue>);

impl Deref for Attached {
    type Target = Arc<Queue>;

    fn deref(&self) -> &Arc<Queue> {
        &self.0
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Tells who wanted a transfer that it has ended.
fn tell(mut transfer: ListArc<Transfer>) {
    if let Some(Client { place, observer }) = transfer.client().take() {
        // First, so that who is told finds room for another.
        drop(place);
        observer.transfer_done();
    }
}
