// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions that `rust/kernel` does not have yet: the only place with unsafe code.
//!
//! Each file wraps one C interface the way `rust/kernel` would, knows nothing of DMA copying
//! (except [`module_data`], which has to name the type that it holds, and [`tracepoint`],
//! [`kfunc`] and [`uring`], which have to name what C defines), and can go when the kernel has its like.

pub(crate) mod attribute;
pub(crate) mod binding;
pub(crate) mod cached;
pub(crate) mod capability;
#[macro_use]
pub(crate) mod compat;
pub(crate) mod coredump;
pub(crate) mod debugfs;
pub(crate) mod dma;
pub(crate) mod dma_buf;
pub(crate) mod dmaengine;
pub(crate) mod eventfd;
pub(crate) mod fasync;
pub(crate) mod kfunc;
pub(crate) mod kobject;
pub(crate) mod miscdevice;
pub(crate) mod module_data;
pub(crate) mod netlink;
pub(crate) mod of;
pub(crate) mod pages;
pub(crate) mod pci;
pub(crate) mod platform;
pub(crate) mod poll;
pub(crate) mod procfs;
pub(crate) mod rcu;
pub(crate) mod shared;
pub(crate) mod streaming;
pub(crate) mod tracepoint;
pub(crate) mod upcall;
pub(crate) mod uring;
pub(crate) mod window;
pub(crate) mod workqueue;

use kernel::{
    bindings,
    device, //
};

/// The C device behind `device`, valid as long as `device` is.
fn raw_device<Context: device::DeviceContext>(
    device: &device::Device<Context>,
) -> *mut bindings::device {
    // CAST: `device::Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(device).cast_mut().cast()
}
