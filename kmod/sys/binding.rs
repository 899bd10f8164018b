// SPDX-License-Identifier: GPL-2.0

//! Whether a device is still bound to its driver, for code that may run after it has been.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use core::ops::Deref;

use kernel::{
    device::{
        self,
        Bound, //
    },
    devres,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex,
        MutexGuard, //
    }, //
};

use super::dmaengine::{
    Channel,
    Controller, //
};

/// The binding of a device to its driver.
///
/// # Invariants
///
/// While `is_bound` is locked and true, the devices are bound.
#[pin_data]
pub(crate) struct Binding {
    device: ARef<device::Device>,
    /// The device that does the DMA: the same, or its controller.
    for_dma: ARef<device::Device>,
    /// Of the controller, if it is that.
    channel: Option<Arc<Channel>>,
    #[pin]
    is_bound: Mutex<bool>,
}

impl Binding {
    /// The present binding of `device`, which does DMA by `controller`, if that is another one.
    pub(crate) fn new(
        device: &device::Device<Bound>,
        controller: Option<&Controller>,
    ) -> Result<Arc<Self>> {
        let for_dma = match controller {
            Some(controller) => controller.of(device).ok_or(EINVAL)?.clone(),
            None => device.into(),
        };
        // INVARIANT: The device is bound now, and its controller is as long as it is. Before it is
        // not, its devres is released, which drops the `End`, and that waits for the lock and clears
        // `is_bound`. When the `End` cannot be registered, it is dropped at once.
        let this = Arc::pin_init(
            pin_init!(Self {
                device: device.into(),
                for_dma,
                channel: controller.map(|controller| controller.channel().clone()),
                is_bound <- new_mutex!(true),
            }),
            GFP_KERNEL,
        )?;
        devres::register(device, End(this.clone()), GFP_KERNEL)?;
        Ok(this)
    }

    /// The device, which may not be bound any more.
    pub(crate) fn device(&self) -> &device::Device {
        &self.device
    }

    /// The device for whose DMA memory is allocated and mapped, kept bound until the result is
    /// dropped; [`None`] when it is not bound any more.
    ///
    /// [`None`], too, as long as it accesses memory that it should not: none must be freed then.
    pub(crate) fn hold(&self) -> Option<Held<'_>> {
        let guard = self.is_bound.lock();
        let is_stuck = self.channel.as_ref().is_some_and(|dma| dma.is_stuck());
        if !*guard || is_stuck {
            return None;
        }
        // INVARIANT: The guard is that of the device's binding, and true.
        Some(Held {
            device: &self.for_dma,
            _guard: guard,
        })
    }
}

/// A device that is bound as long as this exists.
///
/// # Invariants
///
/// The guard is that of the `is_bound` of a [`Binding`] of `device`, which is true.
pub(crate) struct Held<'a> {
    device: &'a device::Device,
    _guard: MutexGuard<'a, bool>,
}

impl Deref for Held<'_> {
    type Target = device::Device<Bound>;

    fn deref(&self) -> &device::Device<Bound> {
        // SAFETY: By the type invariants, `is_bound` is locked and true, so by those of `Binding`,
        // the device is bound as long as `self` is borrowed.
        unsafe { self.device.as_bound() }
    }
}

/// Ends a binding; owned by the devres of the device.
struct End(Arc<Binding>);

impl Drop for End {
    fn drop(&mut self) {
        *self.0.is_bound.lock() = false;
    }
}
