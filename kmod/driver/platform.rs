// SPDX-License-Identifier: GPL-2.0

//! The platform driver: nodes of the device tree, and the device that the module makes itself.

use kernel::{
    device::Core,
    of,
    platform,
    prelude::*,
    sync::Arc, //
};

use super::{
    bind,
    Bound, //
};
use crate::{
    engine::Software,
    sys::compat::of_device_table,
    uapi::names, //
};

/// The driver, bound by its compatible string or, for the self-made device, by its name.
pub(crate) struct PlatformDriver;

of_device_table!(
    OF_TABLE,
    <PlatformDriver as platform::Driver>::IdInfo,
    [(of::DeviceId::new(c_name!(names::COMPATIBLE)), ())]
);

impl platform::Driver for PlatformDriver {
    type IdInfo = ();
    type Data<'bound> = Bound;
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&OF_TABLE);

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Bound, Error> + 'bound {
        bind(pdev.as_ref(), |name, queue| {
            Ok(Arc::new(Software::new(name, queue.clone())?, GFP_KERNEL)?)
        })
    }

    fn unbind<'bound>(_pdev: &'bound platform::Device<Core<'_>>, this: Pin<&Bound>) {
        this.shut_down();
    }
}
