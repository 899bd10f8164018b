// SPDX-License-Identifier: GPL-2.0

//! The PCI driver: functions that are the kit's own peripheral.

use kernel::{
    bindings,
    device::Core,
    pci,
    prelude::*,
    sync::Arc, //
};

use super::{
    bind,
    Bound, //
};
use crate::{
    engine::{
        Function,
        Pci, //
    },
    registers,
    sys::compat::{
        pci_device_table,
        PciIdInfo, //
    }, //
};

/// The driver, bound by vendor and device.
pub(crate) struct PciDriver;

const _: () = assert!(
    registers::pci::VENDOR_ID as u32 == bindings::PCI_VENDOR_ID_REDHAT_QUMRANET,
    "the table below has the vendor's name"
);

pci_device_table!(
    PCI_TABLE,
    <PciDriver as pci::Driver>::IdInfo,
    [(
        pci::DeviceId::from_id(
            pci::Vendor::REDHAT_QUMRANET,
            // CAST: Widening.
            registers::pci::DEVICE_ID as u32
        ),
        ()
    )]
);

impl pci::Driver for PciDriver {
    type IdInfo = ();
    type Data<'bound> = Bound;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: PciIdInfo<'bound, Self::IdInfo>,
    ) -> impl PinInit<Bound, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            let function = Function::enable(pdev)?;
            Ok(bind(pdev.as_ref(), None, move |name, queue| {
                let engine = Pci::new(pdev, function, name, queue.clone())?;
                Ok(Arc::new(engine, GFP_KERNEL)?)
            }))
        })
    }

    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Bound>) {
        this.shut_down();
    }
}
