// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where programs leave numbers.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::system_call;
use crate::{Error, Operation};

const MAP_TYPE_ARRAY: u32 = 2;

/// Numbers of 64 bits, all zero at first. `BPF_MAP_TYPE_ARRAY`
#[derive(Debug)]
pub struct Array {
    name: String,
    length: u32,
    map: OwnedFd,
}

impl Array {
    /// Creates an array of so many numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Bpf`] with what `bpf(2)` returned: `EPERM` without `CAP_BPF`, `EINVAL` for a length
    /// of zero.
    pub fn new(name: &str, length: u32) -> Result<Self, Error> {
        let map = system_call::create_map(MAP_TYPE_ARRAY, 4, 8, length, name)
            .map_err(|source| Error::bpf(Operation::Create, "map", name, source))?;
        let name = name.to_owned();
        Ok(Self { name, length, map })
    }

    /// All numbers as they are at this moment.
    ///
    /// # Errors
    ///
    /// [`Error::Bpf`] with what `bpf(2)` returned.
    pub fn read(&self) -> Result<Vec<u64>, Error> {
        let number = |key| system_call::look_up(self.map.as_fd(), key);
        let numbers: Result<_, _> = (0..self.length).map(number).collect();
        numbers.map_err(|source| Error::bpf(Operation::Read, "map", &self.name, source))
    }
}

impl AsFd for Array {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}
