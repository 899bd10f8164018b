// SPDX-License-Identifier: MIT OR Apache-2.0

//! The lock file: which kernel, to the byte.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{Package, is_word};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::lock_file;
use crate::stamp::Stamp;

/// What stands at the top of the file.
const HEADER: &str = "\
# SPDX-License-Identifier: MIT OR Apache-2.0
# The kernel that kmod is built for and boards boot. Written by `cargo bringup kernel update`.

";

/// How a lock file comes about that is missing or wrong.
const HELP: &str = "`cargo bringup kernel update` writes a new one";

/// A kernel and the packages that make it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    /// The suite of the archive that carries it.
    pub(crate) suite: String,
    /// The upstream series, for example `7.3`.
    pub(crate) series: String,
    /// `uname -r`.
    pub(crate) release: String,
    /// What `rustc --version` must print: symbols of Rust code depend on it.
    pub(crate) rustc: String,
    /// Source, headers, image, modules and device trees.
    #[serde(rename = "package")]
    pub(crate) packages: Vec<Package>,
}

impl Lock {
    /// Reads the lock file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        lock_file::read(path, HELP, Self::fault)
    }

    /// Names become paths and arguments: they must look like what they are.
    fn fault(&self) -> Option<String> {
        let mut words = [&self.suite, &self.series, &self.release].into_iter();
        let word = words.find(|word| !is_word(word));
        let fault = word.map(|word| format!("{word:?} is no name or version"));
        fault.or_else(|| self.packages.iter().find_map(Package::fault))
    }

    /// Writes the lock file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        lock_file::write(path, HEADER, self)
    }

    /// What distinguishes this kernel from all others.
    pub(crate) fn stamp(&self) -> Stamp {
        let hashes = self.packages.iter().map(|package| package.sha256.as_str());
        hashes.fold(Stamp::default().text(&self.release), Stamp::text)
    }

    /// The package whose name begins like this.
    pub(crate) fn package(&self, prefix: &str) -> Result<&Package> {
        let found = self
            .packages
            .iter()
            .find(|package| package.name.starts_with(prefix));
        found.ok_or_else(|| {
            Failure::new(
                Exit::Refused,
                format!("the lock file names no package {prefix}*"),
            )
            .help(HELP)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        Lock {
            suite: "trixie-backports".into(),
            series: "7.3".into(),
            release: "7.3.4+deb13-arm64".into(),
            rustc: "rustc 1.85.1".into(),
            packages: vec![Package {
                name: "linux-source-7.3".into(),
                architecture: "all".into(),
                version: "7.3.4-1~bpo13+1".into(),
                size: 1,
                sha256: "ab".repeat(32),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.lock");
        lock().write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), lock());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_that_could_be_a_path_or_an_option_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.lock");
        for bad in ["../../etc", "-o", "", "a b"] {
            let mut lock = lock();
            lock.packages[0].version = bad.into();
            lock.write(&path).unwrap();
            assert_eq!(
                Lock::read(&path).unwrap_err().exit(),
                Exit::Refused,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_hash_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.lock");
        for bad in [
            "",
            "ab",
            &"AB".repeat(32),
            &"xy".repeat(32),
            &"ab".repeat(33),
        ] {
            let mut lock = lock();
            lock.packages[0].sha256 = bad.into();
            lock.write(&path).unwrap();
            let failure = Lock::read(&path).unwrap_err();
            assert_eq!(failure.exit(), Exit::Refused, "{bad:?}");
            assert!(failure.summary().contains("sha256"), "{failure}");
        }
    }

    #[test]
    fn a_lock_file_that_is_missing_or_has_an_unknown_field_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.lock");
        let refused = || {
            let failure = Lock::read(&path).unwrap_err();
            assert_eq!(failure.exit(), Exit::Refused);
            assert!(failure.help_lines()[0].contains("kernel update"));
        };
        refused();
        lock().write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("suite =", "suit =")).unwrap();
        refused();
    }

    #[test]
    fn another_hash_is_another_kernel() {
        let mut other = lock();
        other.packages[0].sha256 = "cd".repeat(32);
        assert_ne!(other.stamp().key(), lock().stamp().key());
        let mut other = lock();
        other.release = "7.3.5+deb13-arm64".into();
        assert_ne!(other.stamp().key(), lock().stamp().key());
    }
}
