// SPDX-License-Identifier: GPL-2.0

//! All devices of the module, and what they share.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

use crate::{
    bpf,
    device::Device,
    engine::Engine,
    queue::Queue,
    sys::{
        binding::Binding,
        debugfs::Dir,
        module_data, //
    }, //
};

/// The bound devices, by number, and the root of the module's debugfs files.
#[pin_data]
pub(crate) struct Registry {
    #[pin]
    devices: Mutex<KVec<Arc<Device>>>,
    /// Counts the changes of `devices`; written with it locked.
    generation: Atomic<u32>,
    debugfs: Arc<Dir>,
}

impl Registry {
    /// Creates the registry of a module that has no device yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let debugfs = Dir::create(crate::MODULE_NAME)?;
        Arc::pin_init(
            pin_init!(Self {
                devices <- new_mutex!(KVec::new()),
                generation: Atomic::new(0),
                debugfs,
            }),
            GFP_KERNEL,
        )
    }

    /// The registry of this module, while it is loaded.
    pub(crate) fn current() -> Result<Arc<Self>> {
        module_data::current().ok_or(ENODEV)
    }

    /// Creates a device under the lowest free number, for the bus device of `binding`, with the
    /// engine that `make_engine` makes for its name and its queue.
    ///
    /// The number is taken until the returned [`Listed`] is dropped.
    pub(crate) fn add(
        self: &Arc<Self>,
        binding: Arc<Binding>,
        make_engine: impl FnOnce(&CStr, &Arc<Queue>) -> Result<Arc<dyn Engine>>,
    ) -> Result<Listed> {
        let mut devices = self.devices.lock();
        let mut number = 0;
        while devices.iter().any(|device| device.number() == number) {
            number += 1;
        }
        let device = Device::new(number, binding, make_engine)?;
        devices.push(device.clone(), GFP_KERNEL)?;
        self.generation.add(1, Relaxed);
        // From here on, dropping it takes the device off the list.
        let listed = Listed {
            registry: self.clone(),
            device,
        };
        let published = bpf::publish(&devices);
        drop(devices);
        published?;
        Ok(listed)
    }

    /// Calls `f` with each device.
    pub(crate) fn for_each(&self, f: impl FnMut(&Arc<Device>)) {
        self.devices.lock().iter().for_each(f);
    }

    /// The device with the lowest number from `number` on that is not gone.
    pub(crate) fn first_from(&self, number: u32) -> Option<Arc<Device>> {
        let devices = self.devices.lock();
        devices
            .iter()
            .filter(|device| device.number() >= number && !device.is_gone())
            .min_by_key(|device| device.number())
            .cloned()
    }

    /// A number that changes when a device comes or goes.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// The directory that holds one directory per device.
    pub(crate) fn debugfs(&self) -> &Arc<Dir> {
        &self.debugfs
    }
}

/// A device that is in the [`Registry`] until this is dropped.
pub(crate) struct Listed {
    registry: Arc<Registry>,
    device: Arc<Device>,
}

impl Listed {
    /// The device.
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut devices = self.registry.devices.lock();
        devices.retain(|device| !Arc::ptr_eq(device, &self.device));
        self.registry.generation.add(1, Relaxed);
        // Without memory, programs find its counters until the next change. They are still there.
        let _ = bpf::publish(&devices);
    }
}
