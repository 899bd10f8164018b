// SPDX-License-Identifier: GPL-2.0

//! What of PCI differs between the kernels that the driver is built for, see [`super`].

#[cfg(linux_7_2)]
pub(crate) use linux_7_2::*;
#[cfg(not(linux_7_2))]
pub(crate) use newest::*;

#[cfg(not(linux_7_2))]
mod newest {
    use core::ptr;

    use kernel::{
        device::Bound,
        devres,
        irq::{
            Flags,
            Handler,
            IrqRequest,
            IrqReturn,
            Registration, //
        },
        pci::{
            Device,
            IrqTypes,
            IrqVectorRegistration, //
        },
        prelude::*, //
    };
    pub(crate) use kernel::{
        pci::DevresBar,
        pci_device_table, //
    };

    use crate::sys::pci::{
        Handled,
        MessageHandler, //
    };

    /// What probe of a PCI driver is told of the entry in its table.
    pub(crate) type PciIdInfo<'bound, T> = Option<&'bound T>;

    impl<H: MessageHandler> Handler for Handled<H> {
        fn handle(&self) -> IrqReturn {
            self.0.handle_message();
            IrqReturn::Handled
        }
    }

    /// A message-signalled interrupt, and who handles it.
    #[pin_data]
    struct Message<H: MessageHandler> {
        // Dropped in this order: the handler borrows from the vectors.
        #[pin]
        _registration: Registration<'static, Handled<H>>,
        _vectors: KBox<IrqVectorRegistration<'static>>,
    }

    /// Has `handler` handle the only message of a function, until it is unbound.
    pub(in crate::sys) fn register_message<H: MessageHandler>(
        device: &Device<Bound>,
        types: IrqTypes,
        name: &'static CStr,
        handler: Handled<H>,
    ) -> Result {
        // SAFETY: Whatever borrows from this is put into a `Message`, or dropped here. A `Message`
        // is owned by the devres of the device, which drops it before the device is unbound; until
        // then the device is valid.
        let device: &'static Device<Bound> = unsafe { &*ptr::from_ref(device) };
        let vectors = KBox::new(device.alloc_irq_vectors(1, 1, types)?, GFP_KERNEL)?;
        // SAFETY: What is in the box stays where it is until the box is dropped. What borrows from
        // it here is put into the same `Message`, in which it is dropped before the box, or dropped
        // before the box here.
        let borrowed: &'static IrqVectorRegistration<'static> =
            unsafe { &*ptr::from_ref(&*vectors) };
        let request = IrqRequest::from(borrowed.index(0)?);
        devres::register(
            device.as_ref(),
            try_pin_init!(Message {
                // SAFETY: The registration is not leaked: devres owns the message, and drops it.
                _registration <- unsafe {
                    Registration::new(request, Flags::TRIGGER_NONE, name, Ok::<_, Error>(handler))
                },
                _vectors: vectors,
            }),
            GFP_KERNEL,
        )
    }
}

#[cfg(linux_7_2)]
#[macro_use]
mod linux_7_2 {
    use kernel::{
        device::{
            self,
            Bound, //
        },
        devres::{
            self,
            Devres, //
        },
        irq::{
            Flags,
            Handler,
            IrqReturn, //
        },
        pci::{
            Bar,
            Device,
            IrqTypes, //
        },
        prelude::*, //
    };

    use crate::sys::pci::{
        Handled,
        MessageHandler, //
    };

    /// As `kernel::pci_device_table!` of Linux 7.3, likewise.
    macro_rules! pci_device_table {
        ($table:ident, $info:ty, $data:tt $(,)?) => {
            ::kernel::pci_device_table!($table, PCI_MODULE_TABLE, $info, $data);
        };
    }
    pub(crate) use pci_device_table;

    /// What probe of a PCI driver is told of the entry in its table.
    pub(crate) type PciIdInfo<'bound, T> = &'bound T;

    /// The registers of a PCI function, until it is unbound.
    pub(crate) type DevresBar<const SIZE: usize> = Devres<Bar<'static, SIZE>>;

    impl<H: MessageHandler> Handler for Handled<H> {
        fn handle(&self, _device: &device::Device<Bound>) -> IrqReturn {
            self.0.handle_message();
            IrqReturn::Handled
        }
    }

    /// Has `handler` handle the only message of a function, until it is unbound.
    pub(in crate::sys) fn register_message<H: MessageHandler>(
        device: &Device<Bound>,
        types: IrqTypes,
        name: &'static CStr,
        handler: Handled<H>,
    ) -> Result {
        // The vectors are freed at the unbinding, behind the handler.
        let vector = *device.alloc_irq_vectors(1, 1, types)?.start();
        let handler = Ok::<_, Error>(handler);
        let registration = device.request_irq(vector, Flags::TRIGGER_NONE, name, handler);
        devres::register(device.as_ref(), registration, GFP_KERNEL)
    }
}
