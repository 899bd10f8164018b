// SPDX-License-Identifier: GPL-2.0

//! A DMA copy engine, offered to user space as `/dev/dmacopyN`.
//!
//! One file per thing and one per way of talking to user space; everything unsafe is in [`sys`].
//! What crosses to user space is defined once, in [`uapi`].

#![deny(unsafe_code)]

use kernel::{
    driver::Registration,
    pci,
    platform,
    prelude::*,
    InPlaceModule,
    ModuleMetadata, //
};

#[macro_use]
mod name;

mod aftermath;
mod bpf;
mod buffers;
mod chardev;
mod coredump;
mod debugfs;
mod device;
mod dma;
mod driver;
mod engine;
mod health;
mod ioctl;
mod lane;
mod limits;
mod mmap;
mod netlink;
mod notify;
mod pieces;
mod procfs;
mod queue;
mod registry;
mod report;
mod ring;
mod session;
mod stream;
#[expect(
    unsafe_code,
    reason = "safe abstractions that rust/kernel does not have yet"
)]
mod sys;
mod sysfs;
mod trace;
mod transfer;
mod uevent;
mod upcall;
mod uring;
mod watchdog;

use sys::compat::module;

#[path = "../crates/dmacopy-uapi/src/abi/mod.rs"]
pub mod uapi;

#[path = "../crates/dmacopy-device/src/registers.rs"]
pub mod registers;

/// The name of the module, of its driver and of its self-made device.
const MODULE_NAME: &CStr = {
    let name = <LocalModule as ModuleMetadata>::NAME;
    assert!(
        name::same(name.to_bytes(), uapi::names::DRIVER.as_bytes()),
        "`module!` and the ABI must agree on the name"
    );
    name
};

#[pin_data]
struct DmaCopyModule {
    // Fields are dropped in this order: the device that the module made for itself, the drivers
    // (which unbind all other devices), then what all of them use.
    _software: Option<sys::platform::Device>,
    #[pin]
    _driver: Registration<platform::Adapter<driver::PlatformDriver>>,
    #[pin]
    _pci_driver: Registration<pci::Adapter<driver::PciDriver>>,
    _netlink: sys::netlink::Registration,
    _summary: sys::procfs::Entry<registry::Registry>,
    _registry: sys::module_data::Published,
}

impl InPlaceModule for DmaCopyModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let registry = registry::Registry::new()?;
            // A kernel that was built without its BTF at hand has none for the module either.
            if let Err(error) = sys::kfunc::register() {
                pr_warn!("no functions for BPF programs: {error:?}\n");
            }

            Ok(try_pin_init!(Self {
                _registry: sys::module_data::publish(registry.clone())?,
                _summary: procfs::create(registry.clone())?,
                // Before there is a device, so that nobody who finds one misses its family.
                _netlink: netlink::register()?,
                _driver <- Registration::new(MODULE_NAME, module),
                // After it, so that the engine of the board itself has the first number.
                _software: if wants_software() {
                    Some(sys::platform::Device::register(MODULE_NAME)?)
                } else {
                    None
                },
                // After that, so that the first device is the one which is everywhere.
                _pci_driver <- Registration::new(MODULE_NAME, module),
            }))
        })
    }
}

/// Whether the module makes a device for itself.
fn wants_software() -> bool {
    use module_parameters::{
        always_software,
        software, //
    };
    use sys::compat::is_on;

    // The driver of such a node may have to wait for another one, so it need not be bound yet.
    let has_node = || sys::of::has_node(c_name!(uapi::names::COMPATIBLE));
    is_on(always_software.value()) || (is_on(software.value()) && !has_node())
}

module! {
    type: DmaCopyModule,
    name: "dmacopy",
    authors: ["bringup"],
    description: "DMA copy engine",
    license: "GPL",
    imports_ns: ["DMA_BUF"],
    params: {
        software: bool {
            default: true,
            description: "Create a device with the software engine if the device tree has none",
        },
        always_software: bool {
            default: false,
            description: "Create a device with the software engine even then",
        },
    },
}
