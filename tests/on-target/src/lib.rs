// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tests on a board need besides the driver: bytes, error numbers, an engine that stalls.
//!
//! The tests run one after the other, as root, and count on being the only user of the device:
//! `cargo bringup test` sees to that. On a PC they are listed as ignored.

use std::time::Duration;

use dmacopy_client::{DebugFiles, Device, Stall};
use dmacopy_uapi::{ioctl, names};
use kernel_channels::{Restore, procfs};

/// What a test, or what it needs, returns when something else than the driver fails it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Longer than anything takes that is not stuck, on the slowest emulated board.
pub const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

/// Pseudo-random bytes (xorshift64), the same for the same seed, which must not be zero.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(step).take(length).collect()
}

/// The size of a page in bytes.
///
/// # Errors
///
/// When `/proc/self/smaps` does not tell.
pub fn page_bytes() -> Result<u64> {
    let maps = procfs::read("self/smaps")?;
    let mut sizes = maps.blocks.iter().filter_map(|b| b.text("KernelPageSize"));
    let kilobytes = sizes.next().and_then(|size| size.strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no page size")?.parse::<u64>()? * 1024)
}

/// A request code for the same command with an argument of another size, in bytes.
pub const fn with_size(request: u32, bytes: u16) -> u32 {
    ioctl::command(request) | ((bytes as u32) << 16)
}

/// The error number of a call that failed.
pub trait Errno {
    /// None when the call succeeded or the error is not the kernel's.
    fn errno(&self) -> Option<i32>;
}

impl<T> Errno for std::result::Result<T, dmacopy_client::Error> {
    fn errno(&self) -> Option<i32> {
        self.as_ref().err()?.raw_os_error()
    }
}

impl<T> Errno for std::result::Result<T, kernel_channels::Error> {
    fn errno(&self) -> Option<i32> {
        self.as_ref().err()?.raw_os_error()
    }
}

/// An engine that completes nothing, and a timeout that does not keep a test waiting. Both end
/// when this is dropped.
#[derive(Debug)]
pub struct Stalled {
    // Dropped first, so that what still waits does not meet a longer timeout.
    stall: Stall,
    _timeout: Restore,
}

impl Stalled {
    /// Stalls the engine of a device.
    ///
    /// # Errors
    ///
    /// When the device has no debugfs directory.
    pub fn new(device: &Device, timeout: Duration) -> Result<Self> {
        let attributes = device.attributes();
        let restore = attributes
            .directory()
            .restore_later(names::attribute::TIMEOUT_MS)?;
        attributes.set_timeout(timeout)?;
        let stall = DebugFiles::open(device)?.stall()?;
        Ok(Self {
            stall,
            _timeout: restore,
        })
    }

    /// Lets the engine go on.
    ///
    /// # Errors
    ///
    /// When the switch cannot be set.
    pub fn lift(self) -> Result<()> {
        Ok(self.stall.lift()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_size_of_this_machine_is_a_power_of_two() {
        assert!(page_bytes().unwrap().is_power_of_two());
    }

    #[test]
    fn another_size_leaves_the_command_as_it_is() {
        let shorter = with_size(ioctl::COPY, 24);
        assert_eq!(ioctl::size(shorter), 24);
        assert_eq!(ioctl::command(shorter), ioctl::command(ioctl::COPY));
    }
}
