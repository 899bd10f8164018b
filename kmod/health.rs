// SPDX-License-Identifier: GPL-2.0

//! Whether the engine completes what it is given.

use kernel::{
    device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};

use crate::{
    aftermath::Stall,
    device::Device,
    netlink,
    uapi::{
        names,
        netlink::state, //
    },
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
    /// It does not even obey a reset.
    Failed,
}

impl State {
    /// The state as the ABI names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stalled => names::state::STALLED,
            Self::Running | Self::Resumed(_) => names::state::RUNNING,
            Self::Failed => names::state::FAILED,
        }
    }

    /// The state as the ABI numbers it.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Stalled => state::STALLED,
            Self::Running | Self::Resumed(_) => state::RUNNING,
            Self::Failed => state::FAILED,
        }
    }
}

/// Tells user space when the health of an engine changes.
///
/// A change is decided on and announced with `announced` locked, so that user space hears of all
/// changes, in their order.
#[pin_data]
pub(crate) struct Health {
    #[pin]
    announced: Mutex<Option<Announced>>,
}

/// What changes are announced for.
struct Announced {
    // Which owns this.
    device: Arc<Device>,
    class_device: ARef<device::Device>,
}

impl Health {
    /// For an engine that has no device yet to announce changes from.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            announced <- new_mutex!(None),
        })
    }

    /// Announces changes from now on, for `device` with this class device, until [`Self::detach`].
    pub(crate) fn attach(&self, device: Arc<Device>, class_device: ARef<device::Device>) {
        *self.announced.lock() = Some(Announced {
            device,
            class_device,
        });
    }

    /// Announces nothing any more.
    pub(crate) fn detach(&self) {
        let announced = self.announced.lock().take();
        drop(announced);
    }

    /// Announces that the engine was reset on demand, which was reset number `count`.
    pub(crate) fn was_reset(&self, count: u64) {
        if let Some(announced) = self.announced.lock().as_ref() {
            uevent::was_reset(&announced.class_device, count);
        }
    }

    /// Announces what `decide` decides on: the new state, and the transfer that it begins with.
    pub(crate) fn change(&self, decide: impl FnOnce() -> Option<(State, u64)>) {
        let announced = self.announced.lock();
        if let (Some((state, sequence)), Some(announced)) = (decide(), announced.as_ref()) {
            let device = &announced.device;
            uevent::state_changed(&announced.class_device, state.name(), sequence);
            netlink::state_changed(device.number(), state, sequence);
            if let State::Stalled = state {
                let queue = device.queue().snapshot();
                device.aftermath().begin(device, Stall { sequence, queue });
            }
        }
    }
}
