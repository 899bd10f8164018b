// SPDX-License-Identifier: MIT OR Apache-2.0

//! The lock file: which packages, to the byte.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, Package, is_word};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::lock_file;
use crate::stamp::Stamp;

/// What stands at the top of the file.
const HEADER: &str = "\
# SPDX-License-Identifier: MIT OR Apache-2.0
# A shell and a server of remote logins for emulated boards that play real ones.
# Written by `cargo bringup bench update`.

";

/// How a lock file comes about that is missing or wrong.
const HELP: &str = "`cargo bringup bench update` writes a new one";

/// Packages of one suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    /// The suite of the archive that carries them.
    pub(crate) suite: String,
    /// The packages, each with what it needs.
    #[serde(rename = "package")]
    pub(crate) packages: Vec<Package>,
}

impl Lock {
    /// Reads a lock file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        lock_file::read(path, HELP, Self::fault)
    }

    /// Names become paths and arguments: they must look like what they are.
    fn fault(&self) -> Option<String> {
        if !is_word(&self.suite) {
            return Some(format!("{:?} is no name of a suite", self.suite));
        }
        self.packages.iter().find_map(Package::fault)
    }

    /// Writes the lock file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        lock_file::write(path, HEADER, self)
    }

    /// The newest version of each of these packages.
    pub(crate) fn newest(archive: &Archive<'_>, suite: &str, names: &[&str]) -> Result<Self> {
        let mut packages = Vec::new();
        for name in names {
            let found = archive.find(name, "arm64", None)?;
            packages.push(found.ok_or_else(|| {
                let what = format!("{suite} has no package {name} for arm64");
                Failure::new(Exit::Environment, what)
            })?);
        }
        let suite = suite.to_owned();
        Ok(Self { suite, packages })
    }

    /// The name of the entry in the cache that holds their files.
    pub(super) fn entry_name(&self) -> String {
        let hashes = self.packages.iter().map(|package| package.sha256.as_str());
        let stamp = hashes.fold(Stamp::default(), Stamp::text);
        format!("target-{}", stamp.key())
    }

    /// The file in the cache that remembers what takes their place.
    pub(super) fn substitute_name(&self) -> String {
        format!("instead-of-{}.lock", self.entry_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;

    fn lock() -> Lock {
        Lock {
            suite: "trixie".into(),
            packages: vec![Package {
                name: "busybox-static".into(),
                architecture: "arm64".into(),
                version: "1:1.37.0-6+b9".into(),
                size: 1,
                sha256: "ab".repeat(32),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target.lock");
        lock().write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), lock());
    }

    #[test]
    fn a_name_that_could_be_a_path_or_an_option_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target.lock");
        for bad in ["../x", "-x", ""] {
            let mut lock = lock();
            lock.packages[0].name = bad.into();
            lock.write(&path).unwrap();
            assert_eq!(Lock::read(&path).unwrap_err().exit(), Exit::Refused);
        }
        let mut lock = lock();
        lock.suite = "-oDir=/tmp".into();
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap_err().exit(), Exit::Refused);
    }

    #[test]
    fn what_it_makes_in_the_cache_is_removed_with_the_cache() {
        assert!(Cache::is_entry(&lock().entry_name()));
        assert!(Cache::is_entry(&lock().substitute_name()));
    }
}
