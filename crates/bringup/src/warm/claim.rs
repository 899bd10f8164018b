// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps a described bench from everyone else on this PC, whichever user and checkout they are:
//! its ports are claimed by locks that all of them know.

use std::path::{Path, PathBuf};
use std::process::Command;

use command_fds::{CommandFdExt as _, FdMapping};
use hil::description::BenchDescription;

use crate::failure::{OrFail, Result};
use crate::lock::Lock;
use crate::progress::Progress;

/// Where programs keep locks on devices (Filesystem Hierarchy Standard 3.0, 5.9), and where it is
/// missing.
const FOLDERS: [&str; 3] = ["/run/lock", "/var/lock", "/tmp"];

/// The first descriptor of a claim in the server, out of the way of what it opens.
const FIRST_FD: i32 = 200;

/// Claims all that a bench uses; says so if that means waiting.
pub(super) fn all(
    name: &str,
    description: &BenchDescription,
    progress: &Progress,
) -> Result<Vec<Lock>> {
    let mut folders = FOLDERS.iter().map(Path::new);
    let folder = folders.find(|folder| folder.is_dir());
    let folder = folder.unwrap_or(Path::new("."));
    // In one order for all, so that nobody waits for each other.
    let resources = description.resources();
    let claim = |resource: &String| {
        let what = format!("bench {name} ({resource})");
        Lock::take_from_all_users(&path(folder, resource), &what, progress)
    };
    resources.iter().map(claim).collect()
}

/// The lock of a resource.
fn path(folder: &Path, resource: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = resource
        .trim_start_matches('/')
        .chars()
        .map(plain)
        .collect();
    folder.join(format!("bringup-{name}.lock"))
}

/// Lets a program inherit the claims: they are held as long as it runs.
pub(super) fn hand_on(server: &mut Command, claims: &[Lock]) -> Result<()> {
    let mut mappings = Vec::new();
    for (claim, child_fd) in claims.iter().zip(FIRST_FD..) {
        mappings.push(FdMapping {
            parent_fd: claim.inheritable()?,
            child_fd,
        });
    }
    server
        .fd_mappings(mappings)
        .or_environment(|| "cannot hand on the claims on the bench")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_one_lock_whoever_asks() {
        let folder = Path::new("/run/lock");
        assert_eq!(
            path(folder, "/dev/ttyUSB0"),
            Path::new("/run/lock/bringup-dev_ttyUSB0.lock")
        );
        assert_eq!(
            path(folder, "farm.lab:2001"),
            Path::new("/run/lock/bringup-farm_lab_2001.lock")
        );
    }
}
