// SPDX-License-Identifier: GPL-2.0

//! The engine that is a PCI function with rings of its own, interrupts and real DMA.
//!
//! One work item does all that follows from something: it completes what the function is through
//! with, and gives it what waits, for which one doorbell is enough. It is the only one that takes
//! transfers and completes them, so when it has been flushed, the engine has no other transfers than
//! those in `State::moving`.
//!
//! In the normal path no register is read.

use core::mem;

use kernel::{
    alloc::kvec::PushError,
    device::Bound,
    devres,
    impl_has_work,
    new_mutex,
    new_work,
    pci,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

mod function;
mod moving;
mod ring;

pub(crate) use self::function::{
    Coalescing,
    Function, //
};
use self::{
    moving::Moving,
    ring::Ring, //
};

use super::Engine;
use crate::{
    device::MAX_BUFFER_BYTES,
    queue::Queue,
    registers::COALESCE_MAX,
    sys::{
        pci::{
            handle_message,
            MessageHandler, //
        },
        workqueue::Workqueue, //
    },
    transfer::Transfer,
    uapi::{
        ioctl::ENGINE_PCI,
        names, //
    }, //
};

/// The most transfers that the function has at a time: enough to keep it busy, and not so many that
/// who comes next waits for long.
const DEPTH: usize = 32;

/// A PCI function as an engine.
pub(crate) struct Pci {
    workqueue: Arc<Workqueue>,
    worker: Arc<Worker>,
}

impl Pci {
    /// Creates an engine for `queue`, whose worker goes by `name`, with the function of `device`,
    /// and starts the function.
    pub(crate) fn new(
        device: &pci::Device<Bound>,
        function: Function,
        name: &CStr,
        queue: Arc<Queue>,
    ) -> Result<Self> {
        let ring = Ring::new(device.as_ref(), function.ring_entries())?;
        let this = Self {
            workqueue: Arc::new(Workqueue::new(name)?, GFP_KERNEL)?,
            worker: Arc::pin_init(
                try_pin_init!(Worker {
                    state <- new_mutex!(State {
                        ring: Some(ring),
                        is_running: false,
                        moving: KVec::with_capacity(DEPTH, GFP_KERNEL)?,
                        coalescing: Coalescing::default(),
                    }),
                    function,
                    queue,
                    completed: Atomic::new(0),
                    interrupts: Atomic::new(0),
                    unhandled: Atomic::new(0),
                    idle_interrupts: Atomic::new(0),
                    work <- new_work!("dmacopy::engine::pci::Worker"),
                }? Error),
                GFP_KERNEL,
            )?,
        };
        // Released in the opposite order: no handler, a function at rest, no memory.
        devres::register(device.as_ref(), Halt(this.worker.clone()), GFP_KERNEL)?;
        let message = Message {
            workqueue: this.workqueue.clone(),
            worker: this.worker.clone(),
        };
        handle_message(device, crate::MODULE_NAME, message)?;
        this.worker.restart()?;
        Ok(this)
    }

    fn wake(&self) {
        // When it is pending already, it has not looked yet.
        let _ = self.workqueue.enqueue(self.worker.clone());
    }
}

impl Engine for Pci {
    fn id(&self) -> u32 {
        ENGINE_PCI
    }

    fn name(&self) -> &'static str {
        names::engine::PCI
    }

    fn max_transfer_bytes(&self) -> u64 {
        // A transfer has as many descriptors as it needs; no buffer is larger than this.
        // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
        MAX_BUFFER_BYTES as u64
    }

    fn start(&self) {
        self.wake();
    }

    fn poll(&self) -> usize {
        let before = self.worker.completed.load(Relaxed);
        self.wake();
        self.workqueue.flush();
        let found = self.worker.completed.load(Relaxed).wrapping_sub(before);
        if found == 0 {
            self.worker.look_for_fault();
        }
        found
    }

    fn reset(&self) -> Result {
        // What it has taken, it has given to the function afterwards. The queue gives it no more.
        self.workqueue.flush();
        let restarted = self.worker.restart();
        // What was done, the work item completes before this returns; it may be about to.
        self.wake();
        self.workqueue.flush();
        restarted
    }

    fn quiesce(&self) {
        self.workqueue.flush();
        self.worker.halt();
        // An interrupt may have come meanwhile.
        self.workqueue.flush();
    }

    fn coalescing(&self) -> Coalescing {
        self.worker.state.lock().coalescing
    }

    fn change_coalescing(&self, change: &dyn Fn(Coalescing) -> Coalescing) -> Result {
        let mut state = self.worker.state.lock();
        let coalescing = change(state.coalescing);
        if coalescing.count > COALESCE_MAX || coalescing.microseconds > COALESCE_MAX {
            return Err(EINVAL);
        }
        state.coalescing = coalescing;
        self.worker.function.set_coalescing(coalescing);
        Ok(())
    }

    fn show_registers(&self, file: &SeqFile) {
        let worker = &self.worker;
        worker.function.show(file);
        let interrupts = worker.interrupts.load(Relaxed);
        seq_print!(file, "interrupts: {interrupts}\n");
        let idle = worker.idle_interrupts.load(Relaxed);
        seq_print!(file, "idle_interrupts: {idle}\n");
    }
}

/// Halts the function and frees its rings; owned by the devres of the device.
struct Halt(Arc<Worker>);

impl Drop for Halt {
    fn drop(&mut self) {
        self.0.halt();
    }
}

/// Handles the function's message.
struct Message {
    workqueue: Arc<Workqueue>,
    worker: Arc<Worker>,
}

impl MessageHandler for Message {
    fn handle_message(&self) {
        self.worker.interrupts.add(1, Relaxed);
        self.worker.unhandled.add(1, Relaxed);
        // When it is pending already, it has not looked yet.
        let _ = self.workqueue.enqueue(self.worker.clone());
    }
}

/// What the engine has to do with the function.
struct State {
    /// Gone when the function has been halted for good.
    ring: Option<Ring>,
    /// The function works on the ring.
    is_running: bool,
    /// What it has of each transfer, in order.
    moving: KVec<Moving>,
    coalescing: Coalescing,
}

impl State {
    /// Takes the first transfer out if it is done: there is nothing left to wait for, or nothing
    /// could be given of it.
    fn take_done(&mut self) -> Option<Moving> {
        let is_done = self.moving.first().is_some_and(Moving::is_done);
        is_done.then(|| self.moving.remove(0).ok()).flatten()
    }

    /// Takes completions of the function, up to the one with which a transfer is done; returns that.
    fn complete(&mut self) -> Option<Moving> {
        loop {
            if let Some(done) = self.take_done() {
                return Some(done);
            }
            let ring = self.ring.as_mut().filter(|_| self.is_running)?;
            // The function executes descriptors in order.
            let first = self.moving.first_mut()?;
            first.complete(&ring.pop().ok().flatten()?);
        }
    }

    /// Forgets all transfers but those of which the function, which is at rest, has done everything.
    ///
    /// What it has done must not be done once more: its source may be what a later transfer that has
    /// been done, too, has written. Of the first that is not done, nothing later has been begun.
    fn forget(&mut self) {
        while let Some(ring) = self.ring.as_mut() {
            let waits = |moving: &&mut Moving| moving.has_outstanding();
            let (Some(first), Ok(Some(completion))) =
                (self.moving.iter_mut().find(waits), ring.pop())
            else {
                break;
            };
            first.complete(&completion);
        }
        self.moving.retain(|moving| moving.is_done());
    }

    /// Gives what is left of the last transfer to the function. Returns whether it could take
    /// another one.
    fn give(&mut self, max_length: u32) -> bool {
        let Some(ring) = self.ring.as_mut().filter(|_| self.is_running) else {
            return false;
        };
        if let Some(last) = self.moving.last_mut() {
            last.give(ring, max_length);
        }
        ring.room() > 0 && self.moving.len() < DEPTH
    }
}

/// A work item never runs twice at the same time.
#[pin_data]
struct Worker {
    #[pin]
    state: Mutex<State>,
    function: Function,
    queue: Arc<Queue>,
    /// Transfers that were completed.
    completed: Atomic<usize>,
    /// Messages that have come.
    interrupts: Atomic<u64>,
    /// Those of them that the worker has not seen.
    unhandled: Atomic<usize>,
    /// How often there were more than completions.
    idle_interrupts: Atomic<u64>,
    #[pin]
    work: Work<Worker>,
}

impl_has_work! {
    impl HasWork<Self> for Worker { self.work }
}

impl WorkItem for Worker {
    type Pointer = Arc<Worker>;

    fn run(this: Arc<Worker>) {
        let told = this.unhandled.xchg(0, Relaxed);
        let done = this.complete();
        this.give();
        if told > done {
            this.idle_interrupts.add(1, Relaxed);
            this.look_for_fault();
        }
    }
}

impl Worker {
    /// Completes what the function is through with. Returns how many transfers that were.
    fn complete(&self) -> usize {
        self.end_all(State::complete)
    }

    /// Ends each transfer that `next` takes out, with nothing locked. Returns how many that were.
    fn end_all(&self, next: fn(&mut State) -> Option<Moving>) -> usize {
        let mut count = 0;
        loop {
            let done = next(&mut self.state.lock());
            let Some(done) = done else {
                return count;
            };
            let (transfer, result) = done.into_result();
            self.queue.complete(&transfer, result);
            self.completed.add(1, Relaxed);
            count += 1;
        }
    }

    /// Gives the function what waits, as much as it can take.
    fn give(&self) {
        let max_length = self.function.max_length();
        while self.state.lock().give(max_length) {
            let Some(transfer) = self.queue.take() else {
                break;
            };
            self.append(transfer);
        }
        let mut state = self.state.lock();
        let ring = state.ring.as_mut();
        if let Some(tail) = ring.and_then(Ring::take_doorbell) {
            // With the lock held, so that it is not that of a ring which has begun anew.
            self.function.ring_doorbell(tail);
        }
        drop(state);
        // No interrupt tells of what nothing could be given of.
        self.end_all(State::take_done);
    }

    fn append(&self, transfer: Arc<Transfer>) {
        let mut state = self.state.lock();
        let pushed = state.moving.push_within_capacity(Moving::new(transfer));
        drop(state);
        // There is room, or it would not have been taken.
        if let Err(PushError(moving)) = pushed {
            let (transfer, _) = moving.into_result();
            self.queue.complete(&transfer, Err(ENOMEM));
        }
    }

    /// Has the function be reset if it says that it has to be.
    fn look_for_fault(&self) {
        if self.state.lock().is_running && self.function.has_fault() {
            self.queue.needs_reset();
        }
    }

    /// Makes the function forget everything, and start. What it has done is left to be completed.
    fn restart(&self) -> Result {
        let mut state = self.state.lock();
        let was_running = mem::replace(&mut state.is_running, false);
        let mut restarted = self.function.reset();
        if restarted.is_ok() {
            state.forget();
            restarted = self.start(&mut state);
        }
        if restarted.is_err() {
            // So that it accesses no memory, whatever it does.
            self.function.set_master(false);
            if was_running {
                self.function.report_failure();
            }
        }
        state.is_running = restarted.is_ok();
        state.moving.retain(|moving| moving.is_done());
        restarted
    }

    /// Starts the function, which has been reset, with empty rings.
    fn start(&self, state: &mut State) -> Result {
        let ring = state.ring.as_mut().ok_or(ENODEV)?;
        ring.clear()?;
        self.function.start(ring, state.coalescing)
    }

    /// Brings the function to rest for good, and frees its rings.
    fn halt(&self) {
        let mut state = self.state.lock();
        if state.ring.is_none() {
            return;
        }
        state.is_running = false;
        self.function.halt();
        state.moving.clear();
        let ring = state.ring.take();
        drop(state);
        // The device is still bound: this is called at its unbinding.
        drop(ring);
    }
}
