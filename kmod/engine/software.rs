// SPDX-License-Identifier: GPL-2.0

//! The engine that needs no hardware: a kernel worker.

use kernel::{
    impl_has_work,
    new_work,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

use super::{
    Engine,
    Faults, //
};
use crate::{
    device::MAX_BUFFER_BYTES,
    queue::Queue,
    sys::workqueue::Workqueue,
    uapi::{
        ioctl::ENGINE_SOFTWARE,
        names, //
    }, //
};

/// A worker of one device.
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
                    faults: Faults::new(),
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

    fn faults(&self) -> Option<&Faults> {
        Some(&self.worker.faults)
    }

    fn start(&self) {
        // When it is pending already, it has not looked at the queue yet.
        let _ = self.workqueue.enqueue(self.worker.clone());
    }

    fn reset(&self) -> Result {
        // What the worker has taken, it completes. The queue gives it no more.
        self.workqueue.flush();
        Ok(())
    }

    fn quiesce(&self) {
        self.workqueue.flush();
    }
}

/// A work item never runs twice at the same time, which keeps the transfers in order.
#[pin_data]
struct Worker {
    queue: Arc<Queue>,
    faults: Faults,
    #[pin]
    work: Work<Worker>,
}

impl_has_work! {
    impl HasWork<Self> for Worker { self.work }
}

impl WorkItem for Worker {
    type Pointer = Arc<Worker>;

    fn run(this: Arc<Worker>) {
        while let Some(transfer) = this.queue.take() {
            let request = transfer.request();
            let moved = || request.move_by_processor(0, request.length);
            let result = this.faults.meet().and_then(|()| moved());
            if result.is_ok() {
                // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
                let length = request.length as u64;
                this.queue.counters().cpu_bytes.add(length, Relaxed);
            }
            this.queue.complete(&transfer, result);
        }
    }
}
