// SPDX-License-Identifier: GPL-2.0

//! What moves the bytes.

use kernel::{
    impl_has_work,
    new_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use crate::{
    device::MAX_BUFFER_BYTES,
    queue::{
        Queue,
        Source, //
    },
    sys::workqueue::Workqueue,
    uapi::{
        ioctl::ENGINE_SOFTWARE,
        names, //
    }, //
};

/// An engine takes transfers from the [`Queue`] that it was created with, moves their bytes and
/// completes them, in order.
///
/// It accesses the memory of a transfer only until it completes it.
pub(crate) trait Engine: Send + Sync {
    /// The engine's number in the ABI, one of the `ENGINE_` constants.
    fn id(&self) -> u32;

    /// The engine's name in the ABI.
    fn name(&self) -> &'static str;

    /// The longest transfer that the engine takes, in bytes.
    fn max_transfer_bytes(&self) -> u64;

    /// Makes the engine look at the queue.
    ///
    /// Called with the queue locked, so the looking has to happen elsewhere.
    fn start(&self);

    /// Waits until the engine has completed what it has taken, and accesses no memory and runs no
    /// code any more.
    ///
    /// Called after the queue has been closed, so that nothing is started afterwards.
    fn quiesce(&self);
}

/// The engine that needs no hardware: a kernel worker.
pub(crate) struct Software {
    workqueue: Workqueue,
    worker: Arc<Worker>,
}

impl Software {
    /// Creates an engine for `queue`, whose worker goes by `name`.
    pub(crate) fn new(name: &CStr, queue: Arc<Queue>) -> Result<Self> {
        Ok(Self {
            workqueue: Workqueue::new(name)?,
            worker: Arc::pin_init(
                pin_init!(Worker {
                    queue,
                    work <- new_work!("dmacopy::Worker"),
                }),
                GFP_KERNEL,
            )?,
        })
    }
}

impl Engine for Software {
    fn id(&self) -> u32 {
        ENGINE_SOFTWARE
    }

    fn name(&self) -> &'static str {
        names::engine::SOFTWARE
    }

    fn max_transfer_bytes(&self) -> u64 {
        // The processor sets no limit; no buffer is larger than this.
        // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
        MAX_BUFFER_BYTES as u64
    }

    fn start(&self) {
        // When it is pending already, it has not looked at the queue yet.
        let _ = self.workqueue.enqueue(self.worker.clone());
    }

    fn quiesce(&self) {
        self.workqueue.flush();
    }
}

/// A work item never runs twice at the same time, which keeps the transfers in order.
#[pin_data]
struct Worker {
    queue: Arc<Queue>,
    #[pin]
    work: Work<Worker>,
}

impl_has_work! {
    impl HasWork<Self> for Worker { self.work }
}

impl WorkItem for Worker {
    type Pointer = Arc<Worker>;

    fn run(this: Arc<Worker>) {
        while let Some(entry) = this.queue.take() {
            let request = entry.transfer().request();
            let (buffer, destination) = (&request.buffer, request.destination);
            let result = match request.source {
                Source::Offset(source) => buffer.copy_within(source, destination, request.length),
                Source::Pattern(pattern) => buffer.fill(destination, request.length, pattern),
            };
            this.queue.complete(entry, result);
        }
    }
}
