// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! Structures, request codes and names of the dmacopy driver.
//!
//! Rules of this folder, because the kernel compiles it too: edition 2021, `core` and `zerocopy`
//! only, no `crate::` paths, no features, no `unsafe`. Every structure has fixed-width fields,
//! no implicit padding (the derive of `IntoBytes` refuses it), a size that is a multiple of
//! eight, and reserved fields that must be zero.

pub mod ioctl;
pub mod names;
pub mod netlink;
pub mod ring;
pub mod transfer;

/// Version of this ABI, reported by [`ioctl::INFO`] and by the `abi_version` attribute.
///
/// It grows when something is added; nothing that exists ever changes its meaning.
pub const ABI_VERSION: u32 = 3;

/// Version of the driver, reported by the `driver_version` attribute.
pub const DRIVER_VERSION: &str = "0.1.0";
