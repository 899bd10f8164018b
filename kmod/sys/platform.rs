// SPDX-License-Identifier: GPL-2.0

//! Platform devices that a module makes itself.
//!
//! C header: [`include/linux/platform_device.h`](srctree/include/linux/platform_device.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    dma::DmaMask,
    error::from_err_ptr,
    prelude::*, //
};

/// A registered platform device.
///
/// # Invariants
///
/// The pointer is what `platform_device_register_full` returned, and the device has not been
/// unregistered.
pub(crate) struct Device(NonNull<bindings::platform_device>);

// SAFETY: A platform device can be unregistered on any thread, and that is all that is done to it.
unsafe impl Send for Device {}
// SAFETY: There are no methods with `&self`.
unsafe impl Sync for Device {}

impl Device {
    /// Registers a device without resources, which can do DMA to the lowest 4 GiB.
    ///
    /// The driver of the same name binds to it.
    #[doc(alias = "platform_device_register_full")]
    pub(crate) fn register(name: &'static CStr) -> Result<Self> {
        let info = bindings::platform_device_info {
            name: name.as_char_ptr(),
            // Whatever a node of the device tree is called, the names differ.
            id: bindings::PLATFORM_DEVID_AUTO,
            dma_mask: DmaMask::new::<32>().value(),
            ..pin_init::zeroed()
        };
        // SAFETY: `info` is valid during the call, which copies what it keeps, and all its pointers
        // are null but for the name, which is a C string.
        let device = from_err_ptr(unsafe { bindings::platform_device_register_full(&info) })?;
        // INVARIANT: The device has just been registered.
        NonNull::new(device).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the device is registered, and nobody else unregisters it.
        unsafe { bindings::platform_device_unregister(self.0.as_ptr()) };
    }
}
