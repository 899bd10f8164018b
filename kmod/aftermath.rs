// SPDX-License-Identifier: GPL-2.0

//! What follows a stall: a dump of the device, then an upcall.
//!
//! Both take their time, so they are not the watchdog's business.

use kernel::{
    impl_has_delayed_work,
    new_delayed_work,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    workqueue::{
        DelayedWork,
        WorkItem, //
    }, //
};

use crate::{
    coredump,
    device::Device,
    queue::Snapshot,
    sys::workqueue::{
        cancel,
        reschedule,
        system_default, //
    },
    upcall::Upcall, //
};

/// A stall, as it was when it was noticed.
pub(crate) struct Stall {
    /// The number of the transfer that took too long.
    pub(crate) sequence: u64,
    /// The queue at that moment.
    pub(crate) queue: Snapshot,
}

/// What follows the stalls of a device, one after the other.
#[pin_data]
pub(crate) struct Aftermath {
    /// The stall that has to be looked after, with its device, which owns this.
    #[pin]
    pending: Mutex<Option<(Arc<Device>, Stall)>>,
    #[pin]
    upcall: Upcall,
    #[pin]
    work: DelayedWork<Aftermath>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Aftermath { self.work }
}

impl WorkItem for Aftermath {
    type Pointer = Arc<Aftermath>;

    fn run(this: Arc<Aftermath>) {
        let pending = this.pending.lock().take();
        if let Some((device, stall)) = pending {
            // First, so that the program finds it.
            coredump::offer(&device, &stall);
            this.upcall.stalled(device.name(), stall.sequence);
        }
    }
}

impl Aftermath {
    /// For a device that has not stalled yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                pending <- new_mutex!(None),
                upcall <- Upcall::new(),
                work <- new_delayed_work!("dmacopy::Aftermath"),
            }),
            GFP_KERNEL,
        )
    }

    /// The upcall.
    pub(crate) fn upcall(&self) -> &Upcall {
        &self.upcall
    }

    /// The engine of `device`, which owns this, has stalled. Waits for nothing.
    ///
    /// Must not be called when [`Self::end`] may have been.
    pub(crate) fn begin(self: &Arc<Self>, device: &Arc<Device>, stall: Stall) {
        let mut pending = self.pending.lock();
        if pending.is_some() {
            self.upcall.skip();
            return;
        }
        *pending = Some((device.clone(), stall));
        drop(pending);
        reschedule(system_default(), self.clone(), 0);
    }

    /// Forgets what has not been done yet, and waits for what is being done.
    pub(crate) fn end(self: &Arc<Self>) {
        cancel(self);
        // The device owns this, and this the device.
        let pending = self.pending.lock().take();
        drop(pending);
    }
}
