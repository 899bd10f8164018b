// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! The ABI of the dmacopy driver: what crosses between user space and the kernel.
//!
//! Everything lives in [`abi`], one source tree that two compilers read: cargo as part of this
//! crate, and Kbuild, which mounts `abi/mod.rs` into the module with `#[path]`. So there is one
//! definition of each structure, number and name, and no copy that could drift.

#![no_std]

pub mod abi;

pub use abi::*;
