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

use super::compat::register_message;

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
/// For probe, before the device has memory: what others allocate meanwhile may be out of reach.
pub(crate) fn set_address_bits(device: &Device<Core<'_>>, bits: u32) -> Result {
    let mask = DmaMask::try_new(bits)?;
    // SAFETY: `Core` is there during probe and unbind only. Memory is allocated for a device by who
    // probes it, in the same thread, and by others with the help of a `Binding` of it, which probe
    // makes later, and which has not been made anew when there is unbind. So there is nobody who
    // allocates or maps memory at the same time.
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
