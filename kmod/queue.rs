// SPDX-License-Identifier: GPL-2.0

//! The transfers of a device, from submission to completion, in order.
//!
//! A transfer is *waiting* until the engine takes it, *moving* until the engine completes it, and
//! then *done*. Only a waiting transfer can be cancelled: once cancelled, the engine never touches
//! its memory.

use kernel::{
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
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::{
    dma::Buffer,
    engine::Engine,
    health::Health, //
};

/// What is to be copied, within one buffer.
pub(crate) struct Request {
    /// The memory to copy in.
    pub(crate) buffer: Buffer,
    /// Where to read, in bytes from the start of the buffer.
    pub(crate) source: usize,
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
    /// What is to be copied.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// The transfer's number on its device, counted from 1.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
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
    moving: Option<u64>,
    held: bool,
    closed: bool,
    last_submitted: u64,
    last_completed: u64,
}

/// The transfers of one device, first in, first out.
#[pin_data]
pub(crate) struct Queue {
    #[pin]
    inner: Mutex<Inner>,
    #[pin]
    health: Health,
    counters: Counters,
}

impl Queue {
    /// Creates an empty queue.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                inner <- new_mutex!(Inner {
                    waiting: KVec::new(),
                    moving: None,
                    held: false,
                    closed: false,
                    last_submitted: 0,
                    last_completed: 0,
                }),
                health <- Health::new(),
                counters: Counters {
                    transfers: Atomic::new(0),
                    bytes: Atomic::new(0),
                    errors: Atomic::new(0),
                },
            }),
            GFP_KERNEL,
        )
    }

    /// Whether the engine completes what it is given.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Sums since probe.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Appends a transfer and starts `engine`.
    pub(crate) fn submit(
        &self,
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
        // With the lock held, so that nothing is started after `close`.
        engine.start();
        Ok(transfer)
    }

    /// Gives the next transfer to the engine, which has to [`Self::complete`] it.
    pub(crate) fn take(&self) -> Option<Entry> {
        let mut inner = self.inner.lock();
        if inner.held || inner.closed {
            return None;
        }
        let entry = inner.waiting.remove(0).ok()?;
        inner.moving = Some(entry.transfer.sequence);
        Some(entry)
    }

    /// Ends a transfer that the engine has taken.
    pub(crate) fn complete(&self, entry: Entry, result: Result) {
        let duration = entry.transfer.submitted.elapsed();
        let sequence = entry.transfer.sequence;
        {
            let mut inner = self.inner.lock();
            inner.moving = None;
            inner.last_completed = sequence;
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
        // In this order: who finds no outcome after `Health::stall` can rely on a recovery.
        entry.transfer.outcome.populate(result.map(|()| duration));
        self.health.recover(sequence);
        entry.observer.transfer_done();
    }

    /// Takes a transfer back that timed out or that nobody wants any more.
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
        let Some(entry) = entry else { return false };

        if reason == ETIMEDOUT {
            self.counters.errors.add(1, Relaxed);
        }
        entry.transfer.outcome.populate(Err(reason))
    }

    /// Keeps `engine` from taking transfers, or lets it go on.
    pub(crate) fn hold(&self, engine: &dyn Engine, held: bool) {
        let next = {
            let mut inner = self.inner.lock();
            inner.held = held;
            if held || inner.closed {
                return;
            }
            engine.start();
            let idle = inner.waiting.is_empty() && inner.moving.is_none();
            idle.then_some(inner.last_submitted + 1)
        };

        // Otherwise the completion of what is waiting tells that the engine goes on.
        if let Some(next) = next {
            self.health.recover(next);
        }
    }

    /// Refuses transfers from now on and fails those that wait.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut inner = self.inner.lock();
            inner.closed = true;
            core::mem::take(&mut inner.waiting)
        };
        for entry in waiting {
            entry.transfer.outcome.populate(Err(ENODEV));
            entry.observer.transfer_done();
        }
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
            moving: inner.moving,
            held: inner.held,
            last_submitted: inner.last_submitted,
            last_completed: inner.last_completed,
        }
    }
}
