// SPDX-License-Identifier: GPL-2.0

//! Whether the engine completes what it is given.

use kernel::{
    device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    }, //
};

use crate::{
    uapi::names,
    uevent, //
};

/// An engine is stalled from the moment a transfer times out until one completes.
///
/// Each change is announced while `class_device` is locked, so that user space sees the changes in
/// their order.
#[pin_data]
pub(crate) struct Health {
    stalled: Atomic<bool>,
    #[pin]
    class_device: Mutex<Option<ARef<device::Device>>>,
}

impl Health {
    /// The health of an engine that runs, but has no device yet to announce changes from.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            stalled: Atomic::new(false),
            class_device <- new_mutex!(None),
        })
    }

    /// Announces changes from `class_device` from now on.
    pub(crate) fn attach(&self, class_device: ARef<device::Device>) {
        *self.class_device.lock() = Some(class_device);
    }

    /// Announces nothing any more.
    pub(crate) fn detach(&self) {
        *self.class_device.lock() = None;
    }

    /// The state as the ABI names it.
    pub(crate) fn state(&self) -> &'static str {
        if self.stalled.load(Relaxed) {
            names::state::STALLED
        } else {
            names::state::RUNNING
        }
    }

    /// Transfer `sequence` has timed out.
    ///
    /// Called before the transfer is cancelled, so that the completion of a later one cannot slip
    /// in between and go unnoticed.
    pub(crate) fn stall(&self, sequence: u64) {
        self.change(true, sequence);
    }

    /// Transfer `sequence` has completed, or nothing keeps it from completing any more.
    pub(crate) fn recover(&self, sequence: u64) {
        // Spares the lock on nearly every completion.
        if self.stalled.load(Relaxed) {
            self.change(false, sequence);
        }
    }

    fn change(&self, stalled: bool, sequence: u64) {
        let class_device = self.class_device.lock();
        if self.stalled.xchg(stalled, Relaxed) == stalled {
            return;
        }
        if let Some(device) = class_device.as_deref() {
            uevent::state_changed(device, self.state(), sequence);
        }
    }
}
