// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only developers may do to a device: look inside, and make it stall.

use std::time::Duration;

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

    /// Has the next transfers end with `EIO`; those that are left are not to when the returned guard
    /// is dropped. Of devices with the engine `software` only.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when it cannot be set; `ENOENT` for another engine.
    pub fn fail_next(&self, count: u32) -> Result<Fault, Error> {
        self.fault(names::debugfs::FAIL_NEXT, count)
    }

    /// Has each transfer take longer, by whole microseconds, until the returned guard is dropped. Of
    /// devices with the engine `software` only.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when it cannot be set; `EINVAL` for more than a second, `ENOENT` for another
    /// engine.
    pub fn delay(&self, delay: Duration) -> Result<Fault, Error> {
        let microseconds = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
        self.fault(names::debugfs::DELAY_US, microseconds)
    }

    fn fault(&self, file: &'static str, value: u32) -> Result<Fault, Error> {
        self.directory
            .set(file, &value.to_string())
            .on(&self.device, Operation::WriteDebugFile(file))?;
        Ok(Fault {
            debug: self.clone(),
            file,
        })
    }

    fn set_stall(&self, on: bool) -> Result<(), Error> {
        self.directory.set_switch(names::debugfs::STALL, on).on(
            &self.device,
            Operation::WriteDebugFile(names::debugfs::STALL),
        )
    }
}

/// A fault that an engine has. It is mended when this is dropped.
#[derive(Debug)]
#[must_use = "the fault is mended at once when this is dropped"]
pub struct Fault {
    debug: DebugFiles,
    file: &'static str,
}

impl Drop for Fault {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.debug.directory.set(self.file, "0");
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
