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
    number: u32,
    class_device: ARef<device::Device>,
}

impl Health {
    /// For an engine that has no device yet to announce changes from.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            announced <- new_mutex!(None),
        })
    }

    /// Announces changes from now on, for device `number` with this class device.
    pub(crate) fn attach(&self, number: u32, class_device: ARef<device::Device>) {
        *self.announced.lock() = Some(Announced {
            number,
            class_device,
        });
    }

    /// Announces nothing any more.
    pub(crate) fn detach(&self) {
        *self.announced.lock() = None;
    }

    /// Announces what `decide` decides on: the new state, and the transfer that it begins with.
    pub(crate) fn change(&self, decide: impl FnOnce() -> Option<(State, u64)>) {
        let announced = self.announced.lock();
        if let (Some((state, sequence)), Some(device)) = (decide(), announced.as_ref()) {
            uevent::state_changed(&device.class_device, state.name(), sequence);
            netlink::state_changed(device.number, state, sequence);
        }
    }
}
