// SPDX-License-Identifier: MIT OR Apache-2.0

//! A device's settings and counters in sysfs.

use std::time::Duration;

use dmacopy_uapi::names::{attribute, state};
use kernel_channels::sysfs;

use crate::error::Context;
use crate::{Coalescing, Error, Operation};

/// The attributes of one device.
#[derive(Clone, Debug)]
pub struct Attributes {
    device: String,
    directory: sysfs::Device,
}

/// What an engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It completes transfers.
    Running,
    /// A transfer has been waiting for longer than the timeout.
    Stalled,
    /// It cannot even be reset, which is tried again and again. Meanwhile everything fails.
    Failed,
}

/// What an engine has done since probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transfers completed.
    pub transfers: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// Transfers that failed or timed out.
    pub errors: u64,
}

impl Counters {
    /// What has been done since an earlier look at the same device. None when it is another device,
    /// which has begun anew: then something is less than it was.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            transfers: self.transfers.checked_sub(earlier.transfers)?,
            bytes: self.bytes.checked_sub(earlier.bytes)?,
            errors: self.errors.checked_sub(earlier.errors)?,
        })
    }
}

impl Attributes {
    pub(crate) fn new(device: String, directory: sysfs::Device) -> Self {
        Self { device, directory }
    }

    /// The directory, for access without types.
    pub fn directory(&self) -> &sysfs::Device {
        &self.directory
    }

    /// The version of the driver's ABI.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn abi_version(&self) -> Result<u64, Error> {
        self.number(attribute::ABI_VERSION)
    }

    /// Which engine moves the bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn engine(&self) -> Result<String, Error> {
        self.text(attribute::ENGINE)
    }

    /// What the engine is doing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownState`], and [`Error::Device`] as for all attributes.
    pub fn state(&self) -> Result<State, Error> {
        let text = self.text(attribute::STATE)?;
        match text.as_str() {
            state::RUNNING => Ok(State::Running),
            state::STALLED => Ok(State::Stalled),
            state::FAILED => Ok(State::Failed),
            _ => Err(Error::UnknownState {
                device: self.device.clone(),
                text,
            }),
        }
    }

    /// The size of the buffer that a new session gets, in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn buffer_bytes(&self) -> Result<u64, Error> {
        self.number(attribute::BUFFER_BYTES)
    }

    /// Sets that size.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for a size that is no multiple of the page size or out of range.
    pub fn set_buffer_bytes(&self, bytes: u64) -> Result<(), Error> {
        self.set(attribute::BUFFER_BYTES, bytes)
    }

    /// When the client of the next session is told of completions in its ring.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn coalescing(&self) -> Result<Coalescing, Error> {
        let count = self.number(attribute::COALESCE_COUNT)?;
        let delay = Duration::from_micros(self.number(attribute::COALESCE_US)?);
        Ok(Coalescing {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            delay,
        })
    }

    /// Sets that: first how many, then how late.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for more than 4096 completions or a second.
    pub fn set_coalescing(&self, coalescing: Coalescing) -> Result<(), Error> {
        let microseconds = u64::try_from(coalescing.delay.as_micros()).unwrap_or(u64::MAX);
        self.set(attribute::COALESCE_COUNT, coalescing.count.into())?;
        self.set(attribute::COALESCE_US, microseconds)
    }

    /// How many entries each ring of the next session gets.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn ring_entries(&self) -> Result<u64, Error> {
        self.number(attribute::RING_ENTRIES)
    }

    /// Sets how many entries each ring of the next session gets: a power of two from 2 to 4096.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for another number.
    pub fn set_ring_entries(&self, entries: u64) -> Result<(), Error> {
        self.set(attribute::RING_ENTRIES, entries)
    }

    /// How long a transfer may take before the engine counts as stalled.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn timeout(&self) -> Result<Duration, Error> {
        self.number(attribute::TIMEOUT_MS)
            .map(Duration::from_millis)
    }

    /// Sets that time, which the driver takes in whole milliseconds; a fraction is cut off.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` when the driver does not accept it.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.set(attribute::TIMEOUT_MS, milliseconds)
    }

    /// How many sessions are open now.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn sessions(&self) -> Result<u64, Error> {
        self.number(attribute::SESSIONS)
    }

    /// What the engine has done since probe. The numbers are read one after the other: they fit
    /// together when the engine is idle.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn counters(&self) -> Result<Counters, Error> {
        Ok(Counters {
            transfers: self.number(attribute::TRANSFERS)?,
            bytes: self.number(attribute::BYTES)?,
            errors: self.number(attribute::ERRORS)?,
        })
    }

    /// How many bytes the processor has moved since probe, because hardware could not.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn cpu_bytes(&self) -> Result<u64, Error> {
        self.number(attribute::CPU_BYTES)
    }

    fn text(&self, name: &'static str) -> Result<String, Error> {
        self.directory
            .text(name)
            .on(&self.device, Operation::ReadAttribute(name))
    }

    fn number(&self, name: &'static str) -> Result<u64, Error> {
        self.directory
            .number(name)
            .on(&self.device, Operation::ReadAttribute(name))
    }

    fn set(&self, name: &'static str, value: u64) -> Result<(), Error> {
        self.directory
            .set(name, value)
            .on(&self.device, Operation::SetAttribute(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(directory: &str) -> Attributes {
        let directory = sysfs::Device::at(directory).unwrap();
        Attributes::new("dmacopy0".into(), directory)
    }

    #[test]
    fn counters_are_compared_with_earlier_ones_of_the_same_device() {
        let counters = |transfers, bytes, errors| Counters {
            transfers,
            bytes,
            errors,
        };
        let (earlier, later) = (counters(2, 100, 1), counters(5, 100, 2));
        assert_eq!(later.since(&earlier), Some(counters(3, 0, 1)));
        assert_eq!(earlier.since(&later), None);
    }

    #[test]
    fn an_error_names_device_attribute_and_file() {
        use std::error::Error as _;

        let error = attributes("/sys/class").set_buffer_bytes(4096).unwrap_err();
        assert_eq!(
            error.to_string(),
            "dmacopy0: cannot set attribute buffer_bytes"
        );
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "cannot open /sys/class/buffer_bytes");
        assert!(error.raw_os_error().is_some());
    }
}
