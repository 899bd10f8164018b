// SPDX-License-Identifier: MIT OR Apache-2.0

//! Functions that a driver offers to programs.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::btf::Btf;
use super::system_call;
use crate::{Error, Operation};

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
        let folder = Path::new("/sys/kernel/btf");
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|e| Error::path(Operation::Read, &path, e))
        };
        let malformed = |name: &str| Error::Btf {
            path: folder.join(name),
        };
        let base = read("vmlinux")?;
        let base = Btf::parse(&base).ok_or_else(|| malformed("vmlinux"))?;
        let own = read(module)?;
        let own = Btf::parse(&own).ok_or_else(|| malformed(module))?;
        let id = own.function(name, &base).ok_or_else(|| Error::Function {
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
