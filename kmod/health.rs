// SPDX-License-Identifier: GPL-2.0

//! Whether the engine completes what it is given.

use kernel::{
    device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Mutex, //
    }, //
};

use crate::{
    uapi::names,
    uevent, //
};

/// The health of an engine.
#[derive(Clone, Copy)]
pub(crate) enum State {
    /// It completes what it is given.
    Running,
    /// It has completed nothing for too long.
    Stalled,
    /// It was stalled and goes on, which has not been announced yet, with the given transfer.
    Resumed(u64),
}

impl State {
    /// The state as the ABI names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stalled => names::state::STALLED,
            Self::Running | Self::Resumed(_) => names::state::RUNNING,
        }
    }
}

/// Tells user space when the health of an engine changes.
///
/// A change is decided on and announced with `class_device` locked, so that user space hears of all
/// changes, in their order.
#[pin_data]
pub(crate) struct Health {
    #[pin]
    class_device: Mutex<Option<ARef<device::Device>>>,
}

impl Health {
    /// For an engine that has no device yet to announce changes from.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
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

    /// Announces what `decide` decides on: the new state, and the transfer that it begins with.
    pub(crate) fn change(&self, decide: impl FnOnce() -> Option<(State, u64)>) {
        let class_device = self.class_device.lock();
        if let (Some((state, sequence)), Some(device)) = (decide(), class_device.as_deref()) {
            uevent::state_changed(device, state.name(), sequence);
        }
    }
}
