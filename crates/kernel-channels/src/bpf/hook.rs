// SPDX-License-Identifier: MIT OR Apache-2.0

//! Hooks of the kernel's security modules, BPF-LSM.

use super::function::{KERNEL, parse, read};
use crate::Error;

/// A place where the kernel asks its security modules. For programs, if `bpf` is among those that
/// `/sys/kernel/security/lsm` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    function: u32,
}

impl Hook {
    /// A hook by its name in `lsm_hook_defs.h`, for example `file_ioctl`.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the kernel does not describe itself; [`Error::Btf`] when that cannot be
    /// understood; [`Error::Function`] when it has no such hook for programs.
    pub fn find(name: &str) -> Result<Self, Error> {
        let kernel = read(KERNEL)?;
        let function = format!("bpf_lsm_{name}");
        let found = parse(KERNEL, &kernel)?.function(&function, None);
        let found = found.and_then(|number| u32::try_from(number).ok());
        let found = found.ok_or_else(|| Error::Function {
            function,
            module: KERNEL.to_owned(),
        })?;
        Ok(Self { function: found })
    }

    /// The number of the function that programs are attached to, as the kernel tells it of each
    /// attachment (`target_btf_id`).
    pub fn function(self) -> u32 {
        self.function
    }
}

/// Where the kernel has the device of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLayout {
    /// From a file to its inode.
    pub(super) inode: i16,
    /// From an inode to the number of the device that it is a node of.
    pub(super) device: i16,
}

impl FileLayout {
    /// As the running kernel has it.
    ///
    /// # Errors
    ///
    /// As [`Hook::find`], and [`Error::Btf`] when it is told in another way.
    pub fn find() -> Result<Self, Error> {
        let kernel = read(KERNEL)?;
        let kernel = parse(KERNEL, &kernel)?;
        let inode = kernel.member("file", "f_inode");
        let device = kernel.member("inode", "i_rdev");
        let (inode, device) = inode.zip(device).ok_or_else(|| Error::Btf {
            path: super::function::path(KERNEL),
        })?;
        Ok(Self { inode, device })
    }
}
