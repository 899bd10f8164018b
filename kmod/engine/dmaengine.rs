// SPDX-License-Identifier: GPL-2.0

//! The engine of the system-on-chip: a channel of its DMA controller.
//!
//! The controller copies what is aligned as it wants it. What is not, and whatever is to be filled,
//! the processor moves, and it is counted in `cpu_bytes`. Both kinds of work keep to the order of the
//! transfers: the processor begins when the controller has done everything that came before, and the
//! controller gets what comes after when the processor is done.
//!
//! # Addresses
//!
//! The controller may see memory at other addresses than the processor, and less of it: on a
//! Raspberry Pi from 0xc0000000 on, and the first gigabyte only. Its node in the device tree says so
//! (`dma-ranges` of the bus above it), the node of our own device says nothing of it. So buffers are
//! allocated for the controller, by [`Binding`](crate::sys::binding::Binding), and their addresses
//! can be given to it as they are.

use core::{
    cmp::min,
    mem, //
};

use kernel::{
    impl_has_work,
    new_mutex,
    new_work,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use super::Engine;
use crate::{
    device::MAX_BUFFER_BYTES,
    pieces::Piece,
    queue::Queue,
    sys::{
        dmaengine::{
            Channel,
            Listener,
            Ticket, //
        },
        workqueue::Workqueue, //
    },
    transfer::{
        Request,
        Transfer, //
    },
    uapi::{
        ioctl::ENGINE_DMAENGINE,
        names, //
    }, //
};

/// How many copies the controller has at a time.
const DEPTH: usize = 16;

/// A channel of a DMA controller, with a worker that feeds it.
pub(crate) struct DmaEngine {
    workqueue: Arc<Workqueue>,
    worker: Arc<Worker>,
}

impl DmaEngine {
    /// Creates an engine for `queue`, whose worker goes by `name`.
    pub(crate) fn new(name: &CStr, queue: Arc<Queue>, channel: Arc<Channel>) -> Result<Self> {
        let this = Self {
            workqueue: Arc::new(Workqueue::new(name)?, GFP_KERNEL)?,
            worker: Arc::pin_init(
                pin_init!(Worker {
                    queue,
                    channel,
                    moving <- new_mutex!(Moving::new()?),
                    work <- new_work!("dmacopy::dmaengine::Worker"),
                }? Error),
                GFP_KERNEL,
            )?,
        };
        let bell = Arc::new(
            Bell {
                workqueue: this.workqueue.clone(),
                worker: this.worker.clone(),
            },
            GFP_KERNEL,
        )?;
        for _ in 0..DEPTH {
            this.worker.channel.make_room(bell.clone())?;
        }
        Ok(this)
    }
}

impl Engine for DmaEngine {
    fn id(&self) -> u32 {
        ENGINE_DMAENGINE
    }

    fn name(&self) -> &'static str {
        names::engine::DMAENGINE
    }

    fn max_transfer_bytes(&self) -> u64 {
        // What is longer than the controller likes is given to it in pieces.
        // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
        MAX_BUFFER_BYTES as u64
    }

    fn start(&self) {
        // When it is pending already, it has not looked at the queue yet.
        let _ = self.workqueue.enqueue(self.worker.clone());
    }

    fn reset(&self) -> Result {
        // What the worker has taken is in `moving` then. The queue gives it no more.
        self.workqueue.flush();
        let forgotten = self.worker.forget();
        // What was done, the work item completes before this returns.
        self.start();
        self.workqueue.flush();
        forgotten
    }

    fn quiesce(&self) {
        self.workqueue.flush();
        // If the controller does not obey, nothing that it may access is freed, nor the channel.
        let _ = self.worker.forget();
        // With the channel, the bell goes, which refers to the worker, which refers to the channel.
        self.worker.channel.release();
        self.workqueue.flush();
    }
}

impl Drop for DmaEngine {
    fn drop(&mut self) {
        // If the device has never been shut down, because its probe failed.
        self.quiesce();
    }
}

/// Rings when the controller has done a copy.
struct Bell {
    workqueue: Arc<Workqueue>,
    worker: Arc<Worker>,
}

impl Listener for Bell {
    fn copy_done(&self) {
        // When it is pending already, it has not looked at the copies yet.
        let _ = self.workqueue.enqueue(self.worker.clone());
    }
}

/// A work item never runs twice at the same time, which keeps the transfers in order.
#[pin_data]
struct Worker {
    queue: Arc<Queue>,
    channel: Arc<Channel>,
    /// Locked before the lock of a buffer and that of the channel.
    #[pin]
    moving: Mutex<Moving>,
    #[pin]
    work: Work<Worker>,
}

/// The transfers that have been taken.
struct Moving {
    /// What the controller has been given, in this order, which is that of the transfers.
    copies: KVec<Copy>,
    /// The last transfer, of which more is to be moved.
    feeding: Option<Feeding>,
    /// Why a part of the first transfer has failed.
    failure: Option<Error>,
    /// Empty, with room for all copies: a reset must not fail for want of memory.
    forgotten: KVec<Copy>,
}

/// A copy that the controller has been given.
struct Copy {
    ticket: Ticket,
    /// How it has ended, if it has been asked for that already.
    outcome: Option<Result>,
    /// The transfer of which this is the last part.
    last_of: Option<Arc<Transfer>>,
}

/// A transfer of which some has been moved or given to the controller.
struct Feeding {
    transfer: Arc<Transfer>,
    /// How many bytes from its beginning.
    done: usize,
    /// Why there will not be more.
    failure: Option<Error>,
}

/// What to do next.
enum Next {
    /// Tell that the transfer has ended.
    Complete(Arc<Transfer>, Result),
    /// Take another one.
    Take,
    /// Wait until the controller has done something.
    Wait,
}

impl_has_work! {
    impl HasWork<Self> for Worker { self.work }
}

impl WorkItem for Worker {
    type Pointer = Arc<Worker>;

    fn run(this: Arc<Worker>) {
        loop {
            let next = this.advance(&mut this.moving.lock());
            match next {
                Next::Complete(transfer, result) => this.queue.complete(&transfer, result),
                Next::Take => {
                    let Some(transfer) = this.queue.take() else {
                        break;
                    };
                    this.moving.lock().feeding = Some(Feeding {
                        transfer,
                        done: 0,
                        failure: None,
                    });
                }
                Next::Wait => break,
            }
        }
    }
}

impl Worker {
    /// Does what can be done without waiting for the controller.
    fn advance(&self, moving: &mut Moving) -> Next {
        loop {
            if let Some(next) = self.reap(moving) {
                return next;
            }
            if moving.feeding.is_none() {
                return if moving.copies.len() < DEPTH {
                    Next::Take
                } else {
                    Next::Wait
                };
            }
            if let Some(next) = self.feed(moving) {
                return next;
            }
        }
    }

    /// Looks at what the controller has done.
    fn reap(&self, moving: &mut Moving) -> Option<Next> {
        loop {
            let first = moving.copies.first()?;
            let outcome = first
                .outcome
                .or_else(|| self.channel.outcome(first.ticket))?;
            let copy = moving.copies.remove(0).ok()?;
            if let Err(error) = outcome {
                moving.failure.get_or_insert(error);
            }
            if let Some(transfer) = copy.last_of {
                let result = moving.failure.take().map_or(Ok(()), Err);
                return Some(Next::Complete(transfer, result));
            }
        }
    }

    /// Moves the next part of the transfer that is being fed, or has the controller do so. [`None`]
    /// when that has gone well.
    fn feed(&self, moving: &mut Moving) -> Option<Next> {
        let is_idle = moving.copies.is_empty();
        let has_room = moving.copies.len() < DEPTH;
        let feeding = moving.feeding.as_mut()?;
        if !feeding.has_ended() {
            let begun = match feeding.part(&self.channel) {
                // The processor must not overtake the controller.
                Ok(part) if part.is_for_processor() && !is_idle => return Some(Next::Wait),
                Ok(_) if !has_room => return Some(Next::Wait),
                Ok(part) => self.begin(feeding, &part),
                Err(error) => Err(error),
            };
            match begun {
                Ok(None) => {}
                Ok(Some(ticket)) => {
                    let last_of = feeding.is_done().then(|| feeding.transfer.clone());
                    if last_of.is_some() {
                        moving.feeding = None;
                    }
                    // There is room, as has just been seen.
                    let _ = moving.copies.push_within_capacity(Copy {
                        ticket,
                        outcome: None,
                        last_of,
                    });
                }
                Err(error) => feeding.failure = Some(error),
            }
            return None;
        }

        // The processor did the last part, or there was a failure. The transfer ends when the
        // controller has done all that it has been given.
        if !is_idle {
            return Some(Next::Wait);
        }
        let Feeding {
            transfer, failure, ..
        } = moving.feeding.take()?;
        let failure = moving.failure.take().or(failure);
        Some(Next::Complete(transfer, failure.map_or(Ok(()), Err)))
    }

    /// Moves what the processor has to move of a part, and gives the rest to the controller, if there
    /// is any.
    fn begin(&self, feeding: &mut Feeding, part: &Part) -> Result<Option<Ticket>> {
        let request = feeding.transfer.request();
        let tail = part.length - part.head - part.body;
        self.move_by_processor(request, feeding.done, part.head)?;
        // OVERFLOW: Here and below, all of it lies within the transfer.
        self.move_by_processor(request, feeding.done + part.head + part.body, tail)?;
        let ticket = match part.body {
            0 => None,
            bytes => Some(self.channel.copy(part.to, part.from, bytes)?),
        };
        feeding.done += part.length;
        Ok(ticket)
    }

    /// Moves `length` bytes of a transfer from the `done`th on, and counts them.
    fn move_by_processor(&self, request: &Request, done: usize, length: usize) -> Result {
        if length > 0 {
            request.move_by_processor(done, length)?;
            // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
            self.queue.counters().cpu_bytes.add(length as u64, Relaxed);
        }
        Ok(())
    }

    /// Takes everything back from the controller but what it has done, which is left for the work
    /// item to complete.
    ///
    /// That must not be done once more: its source may be what a later transfer that has been done,
    /// too, has written.
    fn forget(&self) -> Result {
        let (mut copies, feeding) = {
            let mut moving = self.moving.lock();
            if let Err(error) = self.channel.terminate() {
                // It may be in the middle of what it has, but gets no more of that.
                if let Some(feeding) = &mut moving.feeding {
                    feeding.failure.get_or_insert(error);
                }
                return Err(error);
            }
            moving.forget(&self.channel)
        };
        // With the lock released: they may be the last to refer to a buffer.
        drop(feeding);
        copies.clear();
        self.moving.lock().forgotten = copies;
        Ok(())
    }
}

impl Moving {
    fn new() -> Result<Self> {
        Ok(Self {
            copies: KVec::with_capacity(DEPTH, GFP_KERNEL)?,
            feeding: None,
            failure: None,
            forgotten: KVec::with_capacity(DEPTH, GFP_KERNEL)?,
        })
    }

    /// Takes out what the controller, which has been terminated, has not done: everything
    /// from the first transfer on that it has not done whole.
    fn forget(&mut self, channel: &Channel) -> (KVec<Copy>, Option<Feeding>) {
        let mut forgotten = mem::replace(&mut self.forgotten, KVec::new());
        let mut whole = 0;
        let mut is_all_done = true;
        for (index, copy) in self.copies.iter_mut().enumerate() {
            copy.outcome = copy.outcome.or_else(|| channel.outcome(copy.ticket));
            is_all_done &= copy.outcome.is_some();
            if is_all_done && copy.last_of.is_some() {
                // OVERFLOW: There are at most `DEPTH`.
                whole = index + 1;
            }
        }
        if is_all_done && self.feeding.as_ref().is_some_and(Feeding::has_ended) {
            return (forgotten, None);
        }
        while self.copies.len() > whole {
            let Some(copy) = self.copies.pop() else {
                break;
            };
            // There is room, as for all copies.
            let _ = forgotten.push_within_capacity(copy);
        }
        if whole == 0 {
            // It was of a transfer that is forgotten.
            self.failure = None;
        }
        (forgotten, self.feeding.take())
    }
}

impl Feeding {
    fn is_done(&self) -> bool {
        self.done == self.transfer.request().length
    }

    /// Whether nothing more is to be moved.
    fn has_ended(&self) -> bool {
        self.is_done() || self.failure.is_some()
    }

    /// The next part.
    fn part(&self, channel: &Channel) -> Result<Part> {
        let request = self.transfer.request();
        let piece = request.piece(self.done, channel.max_bytes())?;
        Ok(Part::new(&piece, channel.alignment()))
    }
}

/// A part of a transfer that is contiguous for the controller at both ends.
struct Part {
    /// How many bytes.
    length: usize,
    /// How many of them the processor has to move before those of the controller.
    head: usize,
    /// How many the controller can move; what is left is for the processor again.
    body: usize,
    /// Where the controller writes.
    to: u64,
    /// Where the controller reads.
    from: u64,
}

impl Part {
    /// Divides a piece for a controller whose addresses and lengths are multiples of `alignment`.
    fn new(piece: &Piece, alignment: usize) -> Self {
        let (length, to) = (piece.length, piece.destination);
        // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
        let mask = alignment as u64 - 1;
        let misaligned = |address: u64| address & mask;
        match piece.source {
            Some(from) if misaligned(from) == misaligned(to) => {
                // CAST: It is less than `alignment`.
                let head = min(length, (to.wrapping_neg() & mask) as usize);
                let body = (length - head) & !(alignment - 1);
                // OVERFLOW: All of the piece has addresses.
                Self {
                    length,
                    head,
                    body,
                    to: to + head as u64,
                    from: from + head as u64,
                }
            }
            // To be filled, or aligned at one end at most.
            _ => Self {
                length,
                head: length,
                body: 0,
                to,
                from: to,
            },
        }
    }

    /// Whether there is something for the processor to do.
    fn is_for_processor(&self) -> bool {
        self.body < self.length
    }
}
