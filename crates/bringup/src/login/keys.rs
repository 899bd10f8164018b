// SPDX-License-Identifier: MIT OR Apache-2.0

//! The keys of one board and its one user, made by `ssh-keygen(1)`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::external;
use crate::failure::{OrFail, Result};

/// What the board's key is filed under: its port is another one each time.
pub(super) const ALIAS: &str = "bringup-board";

/// A pair of keys for the board and one for the user, in a folder.
#[derive(Debug)]
pub(super) struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// Makes new ones in a folder, in place of those of an earlier time.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let folder = folder.join("keys");
        crate::cache::remove(&folder)?;
        std::fs::create_dir_all(&folder)
            .or_environment(|| format!("cannot make the folder {}", folder.display()))?;
        for name in ["host", "user"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]);
            external::output(command.arg(folder.join(name)))?;
        }
        let keys = Self { folder };
        let public = keys.read("host.pub")?;
        let path = keys.known_hosts();
        std::fs::write(&path, format!("{ALIAS} {public}"))
            .or_environment(|| format!("cannot write {}", path.display()))?;
        Ok(keys)
    }

    /// The user's private key.
    pub(super) fn identity(&self) -> PathBuf {
        self.folder.join("user")
    }

    /// What the PC knows the board by.
    pub(super) fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The board's private key.
    pub(super) fn host_key(&self) -> Result<String> {
        self.read("host")
    }

    /// What the board knows the user by.
    pub(super) fn authorized(&self) -> Result<String> {
        self.read("user.pub")
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path).or_environment(|| format!("cannot read {}", path.display()))
    }
}
