// SPDX-License-Identifier: MIT OR Apache-2.0

//! The files that tell what a system is.

use std::fs;
use std::path::{Path, PathBuf};

/// A system, below a folder that is its root.
#[derive(Clone, Debug)]
pub(super) struct System {
    root: PathBuf,
}

impl System {
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where an absolute path of the system is.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// A file's text, without the white space around it; none if it cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub(super) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.path(path)).ok()
    }

    /// The names in a folder, in order; none if there is no such folder.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let listed = fs::read_dir(self.path(folder)).into_iter().flatten();
        let names = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort_by_key(|name| number_last(name));
        names
    }

    /// The names in a folder that begin with `prefix` and a digit.
    pub(super) fn numbered(&self, folder: &str, prefix: &str) -> Vec<String> {
        let mut names = self.names(folder);
        names.retain(|name| {
            let rest = name.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        });
        names
    }

    /// The release of the running kernel.
    pub(super) fn release(&self) -> Option<String> {
        self.text("/proc/sys/kernel/osrelease")
    }
}

/// Orders `spidev10` behind `spidev9`.
fn number_last(name: &str) -> (String, u64) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = Path::new(name)
        .file_name()
        .and_then(|_| name[stem.len()..].parse().ok());
    (stem.to_owned(), number.unwrap_or_default())
}

/// A system of these files, for tests.
#[cfg(test)]
pub(super) fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
    let folder = tempfile::tempdir().unwrap();
    let system = System::new(folder.path());
    for (path, text) in files {
        let path = system.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (folder, system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let files = ["/dev/i2c-10", "/dev/i2c-9", "/dev/i2c-x", "/dev/tty"];
        let (_folder, system) = system(&files.map(|path| (path, "")));
        assert_eq!(system.numbered("/dev", "i2c-"), ["i2c-9", "i2c-10"]);
        assert_eq!(system.numbered("/nowhere", "i2c-"), [""; 0]);
        assert!(system.exists("/dev/tty"));
        assert!(!system.exists("/dev/tty0"));
        assert_eq!(system.text("/dev"), None);
    }
}
