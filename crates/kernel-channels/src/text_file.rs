// SPDX-License-Identifier: MIT OR Apache-2.0

//! Small text files that a kernel file system makes up as they are read.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, Operation};

/// Reads a file whole, without the white space around its text.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let text = fs::read_to_string(path).map_err(|e| Error::path(Operation::Read, path, e))?;
    Ok(text.trim().to_owned())
}

/// Reads a file that holds a decimal number.
pub(crate) fn number(path: &Path) -> Result<u64, Error> {
    let text = read(path)?;
    text.parse().map_err(|_| Error::Value {
        path: path.to_owned(),
        text,
        expected: "a decimal number",
    })
}

/// Writes a file with a single `write(2)`, as such files ask for, and never creates one.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(|e| Error::path(Operation::Open, path, e))?;
    file.write_all(text.as_bytes())
        .map_err(|e| Error::path(Operation::Write, path, e))
}

/// Writes the value back that a file had, when dropped.
///
/// For tests and demonstrations, which must leave a machine as they found it, whatever happens
/// in between.
#[derive(Debug)]
#[must_use = "the value is restored at once when this is dropped"]
pub struct Restore {
    path: PathBuf,
    text: String,
}

impl Restore {
    /// Remembers what the file holds now.
    pub(crate) fn remember(path: &Path) -> Result<Self, Error> {
        let text = read(path)?;
        let path = path.to_owned();
        Ok(Self { path, text })
    }

    /// What the file held.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = write(&self.path, &self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_restored_on_drop() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "1000\n").unwrap();
        let restore = Restore::remember(file.path()).unwrap();
        write(file.path(), "50\n\n").unwrap();
        assert_eq!(restore.text(), "1000");
        drop(restore);
        assert!(fs::read_to_string(file.path()).unwrap().starts_with("1000"));
    }

    #[test]
    fn writing_does_not_create_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("absent");
        let error = write(&path, "1").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert!(!path.exists());
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
