// SPDX-License-Identifier: GPL-2.0

//! What `kernel::pci` lacks for a function that does DMA and sends messages.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::ptr;

use kernel::{
    bindings,
    device::{
        Bound,
        Core,
        DeviceContext, //
    },
    dma::{
        Device as _,
        DmaMask, //
    },
    error::to_result,
    pci::{
        Device,
        IrqType,
        IrqTypes, //
    },
    prelude::*, //
};

use super::{
    compat::register_message,
    raw_device, //
};

/// The C device behind `device`, valid as long as `device` is.
fn raw<Context: DeviceContext>(device: &Device<Context>) -> *mut bindings::pci_dev {
    // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
    ptr::from_ref(device).cast_mut().cast()
}

/// Enables the function, until it is unbound.
#[doc(alias = "pcim_enable_device")]
pub(crate) fn enable(device: &Device<Core<'_>>) -> Result {
    // SAFETY: The device is valid, and is being bound or bound, so its devres is released before it
    // is bound to another driver.
    to_result(unsafe { bindings::pcim_enable_device(raw(device)) })
}

/// Says how many bits of an address the function has.
///
/// For probe, before anybody else knows of the device; `EBUSY` when it is over.
pub(crate) fn set_address_bits(device: &Device<Core<'_>>, bits: u32) -> Result {
    let mask = DmaMask::try_new(bits)?;
    // SAFETY: The device is valid, and `Core` is there with its lock held only, so nobody writes to
    // this meanwhile.
    if !unsafe { bindings::dev_get_drvdata(raw_device(device.as_ref())) }.is_null() {
        return Err(EBUSY);
    }
    // SAFETY: There is no driver data yet, so this is probe. Until that has made the device known,
    // by its character device, nobody but this thread allocates or maps memory for it; and probe
    // calls this first.
    unsafe { device.dma_set_mask_and_coherent(mask) }
}

/// Lets the function access memory and send messages, or keeps it from that.
#[doc(alias = "pci_set_master")]
#[doc(alias = "pci_clear_master")]
pub(crate) fn set_master(device: &Device<Bound>, is_master: bool) {
    // SAFETY: The device is valid; the access to its configuration space is locked by the bus.
    unsafe {
        if is_master {
            bindings::pci_set_master(raw(device));
        } else {
            bindings::pci_clear_master(raw(device));
        }
    }
}

/// Handles a message-signalled interrupt.
pub(crate) trait MessageHandler: Send + Sync + 'static {
    /// A message has come. Called in interrupt context.
    fn handle_message(&self);
}

/// A handler as the kernel's interrupts have it.
pub(super) struct Handled<H>(pub(super) H);

/// Has `handler` handle the only message of the function, until it is unbound.
#[doc(alias = "pci_alloc_irq_vectors")]
#[doc(alias = "request_irq")]
pub(crate) fn handle_message(
    device: &Device<Bound>,
    name: &'static CStr,
    handler: impl MessageHandler,
) -> Result {
    let types = IrqTypes::default().with(IrqType::Msi);
    register_message(device, types, name, Handled(handler))
}
