// SPDX-License-Identifier: MIT OR Apache-2.0

//! Switches the board off, or restarts it.

use std::thread;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};

use super::complain;

/// Switches the board off. Where that cannot be done, the board stays as it is.
pub(super) fn off() {
    end(RebootMode::RB_POWER_OFF, "power off");
}

/// Restarts the board. Where that cannot be done, the board stays as it is.
pub(super) fn restart() {
    end(RebootMode::RB_AUTOBOOT, "restart");
}

fn end(mode: RebootMode, what: &str) {
    nix::unistd::sync();
    let Err(errno) = reboot(mode);
    complain(&format!("cannot {what}: {errno}"));
}

/// Waits for ever, as the first program must when there is nothing left to do: the kernel would
/// panic.
pub(super) fn idle() -> ! {
    loop {
        super::processes::reap_orphans(&[]);
        thread::sleep(Duration::from_secs(1));
    }
}
