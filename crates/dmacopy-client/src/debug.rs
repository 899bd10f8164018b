// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only developers may do to a device: look inside, and make it stall.

use dmacopy_uapi::names;
use kernel_channels::debugfs::Directory;
use kernel_channels::procfs::{Block, Summary};

use crate::error::Context;
use crate::{Device, Error, Operation};

/// A device's directory in debugfs.
#[derive(Clone, Debug)]
pub struct DebugFiles {
    device: String,
    directory: Directory,
}

impl DebugFiles {
    /// The directory of a device, for root only.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when debugfs is not mounted or must not be read.
    pub fn open(device: &Device) -> Result<Self, Error> {
        let path = format!("{}/{}", names::DRIVER, device.name());
        let device = device.name().to_owned();
        let directory = Directory::open(path).on(&device, Operation::FindDebugFiles)?;
        Ok(Self { device, directory })
    }

    /// The directory, for access without types.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The engine's queue and counters. Their names are no ABI.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when they cannot be read.
    pub fn engine(&self) -> Result<Block, Error> {
        let text = self.directory.text(names::debugfs::ENGINE).on(
            &self.device,
            Operation::ReadDebugFile(names::debugfs::ENGINE),
        )?;
        let entries = Summary::parse(&text)
            .blocks
            .into_iter()
            .flat_map(|block| block.entries)
            .collect();
        Ok(Block {
            title: None,
            entries,
        })
    }

    /// Whether the engine is kept from completing anything.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the switch cannot be read.
    pub fn is_stalled(&self) -> Result<bool, Error> {
        self.directory.switch(names::debugfs::STALL).on(
            &self.device,
            Operation::ReadDebugFile(names::debugfs::STALL),
        )
    }

    /// Keeps the engine from completing anything until the returned guard is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the switch cannot be set.
    pub fn stall(&self) -> Result<Stall, Error> {
        self.set_stall(true)?;
        Ok(Stall {
            debug: self.clone(),
        })
    }

    fn set_stall(&self, on: bool) -> Result<(), Error> {
        self.directory.set_switch(names::debugfs::STALL, on).on(
            &self.device,
            Operation::WriteDebugFile(names::debugfs::STALL),
        )
    }
}

/// An engine that completes nothing. It goes on when this is dropped.
#[derive(Debug)]
#[must_use = "the engine goes on at once when this is dropped"]
pub struct Stall {
    debug: DebugFiles,
}

impl Stall {
    /// Lets the engine go on, and says whether that worked.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the switch cannot be set. It is tried again on drop.
    pub fn lift(self) -> Result<(), Error> {
        self.debug.set_stall(false)
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        // Nobody is left to tell; who wants to know calls `lift`.
        let _ = self.debug.set_stall(false);
    }
}
