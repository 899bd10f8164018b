// SPDX-License-Identifier: MIT OR Apache-2.0

//! Functions that a driver offers to programs.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::btf::Btf;
use super::system_call;
use crate::{Error, Operation};

/// The name of what describes the kernel itself.
pub(super) const KERNEL: &str = "vmlinux";

/// Where the kernel describes itself and its modules.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new("/sys/kernel/btf").join(name)
}

/// What the kernel says of itself or of a module.
pub(super) fn read(name: &str) -> Result<Vec<u8>, Error> {
    let path = path(name);
    fs::read(&path).map_err(|e| Error::path(Operation::Read, &path, e))
}

/// The same, understood.
pub(super) fn parse<'a>(name: &str, bytes: &'a [u8]) -> Result<Btf<'a>, Error> {
    Btf::parse(bytes).ok_or_else(|| Error::Btf { path: path(name) })
}

/// A function of a module that programs can call, a kfunc.
#[derive(Debug)]
pub struct Function {
    id: i32,
    module: OwnedFd,
}

impl Function {
    /// A function by the names of its module and its own.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the module has no BTF, or is not loaded; [`Error::Btf`] when its BTF
    /// cannot be understood; [`Error::Function`] when there is no such function in it;
    /// [`Error::Bpf`] with what `bpf(2)` returned.
    pub fn find(module: &str, name: &str) -> Result<Self, Error> {
        let base = read(KERNEL)?;
        let base = parse(KERNEL, &base)?;
        let own = read(module)?;
        let own = parse(module, &own)?;
        let id = own.function(name, Some(&base));
        let id = id.ok_or_else(|| Error::Function {
            function: name.to_owned(),
            module: module.to_owned(),
        })?;
        let module = find_module(module)
            .map_err(|source| Error::bpf(Operation::Open, "BTF", module, source))?;
        Ok(Self { id, module })
    }

    /// Its number.
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// The BTF of its module.
    pub(super) fn module(&self) -> BorrowedFd<'_> {
        self.module.as_fd()
    }
}

/// The BTF of a module.
fn find_module(name: &str) -> std::io::Result<OwnedFd> {
    let mut id = 0;
    loop {
        id = system_call::next_btf(id)?;
        // One that has gone meanwhile is not the one.
        if let Ok(btf) = system_call::open_btf(id) {
            if system_call::btf_name(btf.as_fd())? == name {
                return Ok(btf);
            }
        }
    }
}
