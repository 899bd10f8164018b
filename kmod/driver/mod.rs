// SPDX-License-Identifier: GPL-2.0

//! Binds devices and lets them go: one file per bus.

use kernel::{
    device,
    prelude::*,
    sync::Arc, //
};

use crate::{
    chardev,
    debugfs,
    device::Device,
    engine::Engine,
    netlink,
    queue::Queue,
    registry::Registry,
    sys::{
        binding::Binding,
        debugfs::Scope,
        dmaengine::Controller, //
    }, //
};

mod pci;
mod platform;

pub(crate) use self::{
    pci::PciDriver,
    platform::PlatformDriver, //
};

/// What exists as long as a device is bound.
///
/// The character device is not in here: it belongs to the bus device, by way of devres, and goes
/// after this. See [`chardev::register`].
#[pin_data]
pub(crate) struct Bound {
    _debugfs: Scope<Device>,
    device: Arc<Device>,
}

impl Bound {
    /// Lets go of the device, which is about to be unbound.
    pub(crate) fn shut_down(&self) {
        self.device.shut_down();
        netlink::device_removed(&self.device);
    }
}

/// Makes a device for the bus device `parent`, with the engine that `make_engine` makes for a name
/// and a queue, and shows it to user space. If it is not `parent` that does the DMA, it is
/// `controller`.
fn bind<'bound>(
    parent: &'bound device::Device<device::Bound>,
    controller: Option<Controller>,
    make_engine: impl FnOnce(&CStr, &Arc<Queue>) -> Result<Arc<dyn Engine>> + 'bound,
) -> impl PinInit<Bound, Error> + 'bound {
    pin_init::pin_init_scope(move || {
        let registry = Registry::current()?;
        let binding = Binding::new(parent, controller.as_ref())?;
        let listed = registry.add(binding, make_engine)?;
        let device = listed.device().clone();

        Ok(try_pin_init!(Bound {
            _debugfs: debugfs::create(registry.debugfs(), &device),
            // Last, because from here on user space can come in.
            _: {
                chardev::register(parent, listed)?;
                dev_info!(
                    parent,
                    "{}: {} engine\n",
                    device.name(),
                    device.engine().name()
                );
            },
            device,
        }))
    })
}
