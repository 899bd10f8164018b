// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether something was made from exactly these inputs.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::failure::{OrFail, Result};

/// A digest over names and contents, in hexadecimal.
#[derive(Debug, Default)]
pub(crate) struct Stamp(Sha256);

impl Stamp {
    /// Adds a text; the length keeps neighbours apart.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// Adds every source file below `folder`, with its path.
    pub(crate) fn tree(mut self, folder: &Path) -> Result<Self> {
        for path in files(folder)? {
            let bytes = std::fs::read(&path)
                .or_environment(|| format!("cannot read {}", path.display()))?;
            let name = path
                .strip_prefix(folder)
                .unwrap_or(&path)
                .display()
                .to_string();
            self = self.text(&name);
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(&bytes);
        }
        Ok(self)
    }

    /// The digest.
    pub(crate) fn hex(self) -> String {
        hex(&self.0.finalize())
    }

    /// The first digits of the digest, enough to name an entry of the cache.
    pub(crate) fn key(self) -> String {
        let mut hex = self.hex();
        hex.truncate(12);
        hex
    }
}

/// SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let unreadable = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).or_environment(unreadable)?;
    let mut digest = Sha256::new();
    std::io::copy(&mut file, &mut digest).or_environment(unreadable)?;
    Ok(hex(&digest.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Whether a build reads this file: an editor's lock or a manual page changes nothing.
fn is_source(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    !name.starts_with('.')
        && (matches!(name, "Kbuild" | "Makefile") || matches!(ending, Some("rs" | "c" | "h")))
}

/// All source files below `folder`, sorted. Links are not followed.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot list {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).or_environment(unreadable)? {
        let entry = entry.or_environment(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().or_environment(unreadable)?);
        if kind.is_dir() {
            found.extend(files(&path)?);
        } else if kind.is_file() && is_source(&entry.file_name().to_string_lossy()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_name_and_place_all_count() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = || Stamp::default().tree(folder.path()).unwrap().hex();
        let file = folder.path().join("a.rs");
        std::fs::write(&file, "one").unwrap();
        let first = stamp();
        assert_eq!(stamp(), first);
        std::fs::write(&file, "two").unwrap();
        let changed = stamp();
        assert_ne!(changed, first);
        std::fs::rename(&file, folder.path().join("b.rs")).unwrap();
        assert_ne!(stamp(), changed);
    }

    #[test]
    fn what_no_build_reads_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = || Stamp::default().tree(folder.path()).unwrap().hex();
        std::fs::write(folder.path().join("Kbuild"), "obj-m := x.o").unwrap();
        let first = stamp();
        for name in [".a.rs.swp", "a.rs~", "page.txt", "kernel.lock"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        // As an editor marks a file that it has open.
        std::os::unix::fs::symlink("user@host.1", folder.path().join(".#a.rs")).unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("loop")).unwrap();
        assert_eq!(stamp(), first);
    }

    #[test]
    fn a_known_digest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        std::fs::write(&file, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(&file).unwrap(), expected);
    }
}
