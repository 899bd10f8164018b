// SPDX-License-Identifier: GPL-2.0

//! The platform driver: binds devices and lets them go.

use kernel::{
    device::Core,
    of,
    platform,
    prelude::*,
    sync::Arc, //
};

use crate::{
    chardev,
    debugfs,
    device::Device,
    netlink,
    registry::Registry,
    sys::compat::of_device_table,
    sys::debugfs::Scope,
    uapi::names, //
};

/// The driver, bound by its compatible string or, for the self-made device, by its name.
pub(crate) struct DmaCopyDriver;

/// What exists as long as a device is bound.
///
/// The character device is not in here: it belongs to the bus device, by way of devres, and goes
/// after this. See [`chardev::register`].
#[pin_data]
pub(crate) struct Bound {
    _debugfs: Scope<Device>,
    device: Arc<Device>,
}

of_device_table!(
    OF_TABLE,
    <DmaCopyDriver as platform::Driver>::IdInfo,
    [(of::DeviceId::new(c_name!(names::COMPATIBLE)), ())]
);

impl platform::Driver for DmaCopyDriver {
    type IdInfo = ();
    type Data<'bound> = Bound;
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&OF_TABLE);

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Bound, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            let registry = Registry::current()?;
            let listed = registry.add(pdev.as_ref())?;
            let device = listed.device().clone();

            Ok(try_pin_init!(Bound {
                _debugfs: debugfs::create(registry.debugfs(), &device),
                // Last, because from here on user space can come in.
                _: {
                    chardev::register(pdev.as_ref(), listed)?;
                    dev_info!(
                        pdev,
                        "{}: {} engine\n",
                        device.name(),
                        device.engine().name()
                    );
                },
                device,
            }))
        })
    }

    fn unbind<'bound>(_pdev: &'bound platform::Device<Core<'_>>, this: Pin<&Bound>) {
        this.device.shut_down();
        netlink::device_removed(&this.device);
    }
}
