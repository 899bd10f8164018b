// SPDX-License-Identifier: MIT OR Apache-2.0

//! The lock file: which packages of Debian and which wheels of the Python Package Index, to the byte.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{Package, is_word};
use crate::failure::Result;
use crate::lock_file;
use crate::stamp::Stamp;

/// What stands at the top of the file.
const HEADER: &str = "\
# SPDX-License-Identifier: MIT OR Apache-2.0
# labgrid, for a lab of this PC's own, and what it needs.
# Written by `cargo bringup bench update`.

";

/// How a lock file comes about that is missing or wrong.
const HELP: &str = "`cargo bringup bench update` writes a new one";

/// Grows when the same packages are put together differently.
const RECIPE: &str = "1";

/// All that a lab is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    /// The suite of Debian's archive that carries the packages.
    pub(crate) suite: String,
    /// Debian's packages.
    #[serde(rename = "package")]
    pub(crate) packages: Vec<Package>,
    /// What is installed by pip.
    #[serde(rename = "wheel")]
    pub(crate) wheels: Vec<Wheel>,
}

/// One file of the Python Package Index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wheel {
    /// The distribution's name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// SHA-256 of the file, hexadecimal.
    pub(crate) sha256: String,
}

impl Wheel {
    /// As pip wants to hear it: no other file will do.
    fn requirement(&self) -> String {
        let (name, version, hash) = (&self.name, &self.version, &self.sha256);
        format!("{name}=={version} --hash=sha256:{hash}\n")
    }

    /// What is wrong with it, if anything is: it becomes a line of a file that can hold options.
    fn fault(&self) -> Option<String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+!".contains(c);
        let is_plain = |text: &str| {
            text.chars().all(allowed) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        if let Some(word) = [&self.name, &self.version].iter().find(|w| !is_plain(w)) {
            return Some(format!("{word:?} is no name or version"));
        }
        let is_digit = |c| matches!(c, '0'..='9' | 'a'..='f');
        let is_hash = self.sha256.len() == 64 && self.sha256.chars().all(is_digit);
        (!is_hash).then(|| format!("{:?} is no sha256 in hexadecimal", self.sha256))
    }
}

impl Lock {
    /// Reads a lock file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        lock_file::read(path, HELP, Self::fault)
    }

    fn fault(&self) -> Option<String> {
        if !is_word(&self.suite) {
            return Some(format!("{:?} is no name of a suite", self.suite));
        }
        let packages = self.packages.iter().find_map(Package::fault);
        packages.or_else(|| self.wheels.iter().find_map(Wheel::fault))
    }

    /// Writes the lock file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        lock_file::write(path, HEADER, self)
    }

    /// The version of a distribution, if it is one of them.
    pub(super) fn version(&self, name: &str) -> String {
        let wheel = self.wheels.iter().find(|wheel| wheel.name == name);
        wheel.map_or_else(String::new, |wheel| wheel.version.clone())
    }

    /// The file that tells pip what to install.
    pub(super) fn requirements(&self) -> String {
        self.wheels.iter().map(Wheel::requirement).collect()
    }

    /// The name of the entry in the cache that holds all of it.
    pub(super) fn entry_name(&self) -> String {
        let packages = self.packages.iter().map(|package| package.sha256.as_str());
        let wheels = self.wheels.iter().map(|wheel| wheel.sha256.as_str());
        let stamp = Stamp::default().text(RECIPE);
        let stamp = packages.chain(wheels).fold(stamp, Stamp::text);
        format!("labgrid-{}", stamp.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;
    use crate::exit::Exit;

    fn lock() -> Lock {
        Lock {
            suite: "trixie".into(),
            packages: Vec::new(),
            wheels: vec![Wheel {
                name: "typing_extensions".into(),
                version: "4.16.0.post1".into(),
                sha256: "ab".repeat(32),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labgrid.lock");
        lock().write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), lock());
        assert!(Cache::is_entry(&lock().entry_name()));
    }

    #[test]
    fn a_name_that_could_be_an_option_of_pip_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labgrid.lock");
        for bad in ["--index-url=x", "a b", "a\nb", "../a", ""] {
            let mut lock = lock();
            lock.wheels[0].name = bad.into();
            lock.write(&path).unwrap();
            assert_eq!(Lock::read(&path).unwrap_err().exit(), Exit::Refused);
        }
        let mut lock = lock();
        lock.wheels[0].sha256 = "AB".repeat(32);
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap_err().exit(), Exit::Refused);
    }
}
