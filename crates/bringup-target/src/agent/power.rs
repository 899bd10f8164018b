// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only PID 1 has to do: bury the orphans, and switch off the board.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::complain;

/// Takes the status of every orphan that has ended: those become children of PID 1.
pub(super) fn reap() {
    if std::process::id() != 1 {
        return;
    }
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
            // Anything else is one process less, even one whose signal nix has no name for.
            _ => {}
        }
    }
}

/// Waits for ever.
pub(super) fn idle() -> ! {
    loop {
        reap();
        thread::sleep(Duration::from_secs(1));
    }
}

/// Switches the board off. Where that cannot be done, the board stays as it is: PID 1 must not end.
pub(super) fn off() -> ExitCode {
    nix::unistd::sync();
    if std::process::id() != 1 {
        complain("not PID 1, so the board stays on");
        return ExitCode::FAILURE;
    }
    let Err(errno) = reboot(RebootMode::RB_POWER_OFF);
    complain(&format!("cannot power off: {errno}"));
    idle()
}
