// SPDX-License-Identifier: MIT OR Apache-2.0

//! The file systems that programs expect, when nobody else has mounted them.

use std::fs;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use super::complain;

/// Type and mount point, in the order in which they need each other.
const MOUNTS: [(&str, &str); 8] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("debugfs", "/sys/kernel/debug"),
    ("tracefs", "/sys/kernel/tracing"),
    ("securityfs", "/sys/kernel/security"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
];

/// Mounts them all. One that fails is no reason to give up: the plan may not need it.
pub(super) fn mount_all() {
    for (kind, point) in MOUNTS {
        // In an initramfs the mount points may be missing; in sysfs they never are.
        let _ = fs::create_dir_all(point);
        match mount(
            Some(kind),
            point,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        ) {
            // Mounted before.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(errno) => complain(&format!("cannot mount {kind} on {point}: {errno}")),
        }
    }
    if let Err(errno) = nix::unistd::sethostname("bringup") {
        complain(&format!("cannot set the host name: {errno}"));
    }
}
