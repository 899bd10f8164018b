// SPDX-License-Identifier: GPL-2.0

//! The platform driver: nodes of the device tree, and the device that the module makes itself.

use kernel::{
    device::{
        property::FwNode,
        Core, //
    },
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
    engine::{
        DmaEngine,
        Engine,
        Software, //
    },
    sys::{
        compat::of_device_table,
        dmaengine::Channel, //
    },
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
        pin_init::pin_init_scope(move || {
            let parent = pdev.as_ref();
            let has_channel = |node: &FwNode| node.property_present(c_name!(names::DMAS));
            let (channel, controller) = if parent.fwnode().is_some_and(has_channel) {
                let (channel, controller) = Channel::request(parent, c_name!(names::DMA))?;
                (Some(channel), Some(controller))
            } else {
                (None, None)
            };
            Ok(bind(parent, controller, move |name, queue| {
                let queue = queue.clone();
                let engine: Arc<dyn Engine> = match channel {
                    Some(channel) => Arc::new(DmaEngine::new(name, queue, channel)?, GFP_KERNEL)?,
                    None => Arc::new(Software::new(name, queue)?, GFP_KERNEL)?,
                };
                Ok(engine)
            }))
        })
    }

    fn unbind<'bound>(_pdev: &'bound platform::Device<Core<'_>>, this: Pin<&Bound>) {
        this.shut_down();
    }
}
