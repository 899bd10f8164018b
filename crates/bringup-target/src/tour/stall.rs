// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps the engine from completing anything, as several rooms need it.

use std::time::Duration;

use dmacopy_client::{DebugFiles, Device, Stall};
use dmacopy_uapi::names::{attribute, debugfs};
use kernel_channels::Restore;

use super::evidence::Evidence;

/// A stalled engine, and the timeout that it had before. Dropped, the engine goes on before the
/// timeout is restored.
pub(super) struct Stalled {
    stall: Stall,
    _restore: Restore,
}

impl Stalled {
    /// Stalls the engine, which has to complete something within `timeout` from now on.
    pub(super) fn engine(
        device: &Device,
        timeout: Duration,
        evidence: &mut Evidence,
    ) -> anyhow::Result<Self> {
        let attributes = device.attributes();
        let debug = DebugFiles::open(device)?;
        let restore = attributes
            .directory()
            .restore_later(attribute::TIMEOUT_MS)?;
        attributes.set_timeout(timeout)?;
        let path = attributes.directory().path().join(attribute::TIMEOUT_MS);
        evidence.gave(
            "say how long a transfer may take",
            format_args!("write(2) to {}", path.display()),
            format_args!("{} ms, {} before", timeout.as_millis(), restore.text()),
        );
        let stall = debug.stall()?;
        let path = debug.directory().path().join(debugfs::STALL);
        evidence.gave(
            "keep the engine from completing anything",
            format_args!("write(2) to {}", path.display()),
            format_args!("stalled: {}", debug.is_stalled()?),
        );
        Ok(Self {
            stall,
            _restore: restore,
        })
    }

    /// Lets the engine go on, and restores the timeout.
    pub(super) fn lift(self, evidence: &mut Evidence) -> anyhow::Result<()> {
        self.stall.lift()?;
        evidence.gave("let the engine go on", "write(2) to the same file", "taken");
        Ok(())
    }
}
