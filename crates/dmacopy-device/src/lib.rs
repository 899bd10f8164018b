// SPDX-License-Identifier: MIT OR Apache-2.0

//! The DMA copy engine as hardware: a PCI function, described in `DATASHEET.md`.
//!
//! [`registers`] is what a driver needs, and is compiled into the kit's. The rest is a model of the
//! function, which QEMU attaches by the vfio-user protocol: [`engine`] executes descriptors,
//! [`memory`] is what it can reach, [`pci`] is its configuration space, [`device`] puts them
//! together, and [`model`] runs them. [`faults`] is what a test can make it do wrong, and [`port`]
//! offers that to other programs.

mod backend;
pub mod device;
pub mod engine;
pub mod faults;
pub mod memory;
pub mod model;
pub mod pci;
pub mod port;
pub mod registers;
