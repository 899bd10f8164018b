// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files in debugfs: what only developers may see and break.
//!
//! A driver puts there what it likes, in whatever form: the state of its queues, the registers of
//! its hardware, switches that make it fail on purpose. Nobody has promised that any of it stays.
//!
//! # When to choose it
//!
//! For dumps of a driver's inside and for switches that inject faults, in tests and on the bench.
//! Never in a product: it is for root only, many systems do not mount it, and a file there may
//! change or go with any release. What users need belongs into [`crate::sysfs`].
//!
//! # Contract
//!
//! None, by the kernel's own rules. A switch (`debugfs_create_bool()`) reads `Y` or `N`.
//!
//! # Minimum kernel
//!
//! Any with `CONFIG_DEBUG_FS`; the command line must not say `debugfs=off`.
//!
//! # References
//!
//! `Documentation/filesystems/debugfs.rst`, `proc_pid_mounts(5)`
//!
//! # Example
//!
//! ```no_run
//! use kernel_channels::debugfs::Directory;
//!
//! let clocks = Directory::open("clk")?;
//! let summary = clocks.text("clk_summary")?;
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Operation, Restore, mounts, text_file};

/// Where debugfs is mounted.
///
/// # Errors
///
/// [`Error::NotMounted`] when it is not, and [`Error::Path`] when `/proc/mounts` cannot be read.
pub fn mount_point() -> Result<PathBuf, Error> {
    mounts::mount_point("debugfs")
}

/// A driver's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// A directory by its path below the mount point.
    ///
    /// # Errors
    ///
    /// As [`mount_point`], and [`Error::Path`] when there is no such directory or only root may
    /// see it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::at(mount_point()?.join(path))
    }

    /// A directory by its full path.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when there is no such directory.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        fs::read_dir(&path).map_err(|e| Error::path(Operation::Open, &path, e))?;
        Ok(Self { path })
    }

    /// Its full path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file's text, without the newline at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be read.
    pub fn text(&self, file: &str) -> Result<String, Error> {
        text_file::read(&self.path.join(file))
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be written or the driver does not accept the text.
    pub fn set(&self, file: &str, text: &str) -> Result<(), Error> {
        text_file::write(&self.path.join(file), text)
    }

    /// Whether a switch is on.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be read, and [`Error::Value`] when it is no switch.
    pub fn switch(&self, file: &str) -> Result<bool, Error> {
        match self.text(file)?.as_str() {
            "Y" => Ok(true),
            "N" => Ok(false),
            text => Err(Error::Value {
                path: self.path.join(file),
                text: text.to_owned(),
                expected: "Y or N",
            }),
        }
    }

    /// Turns a switch on or off.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be written.
    pub fn set_switch(&self, file: &str, on: bool) -> Result<(), Error> {
        self.set(file, if on { "Y" } else { "N" })
    }

    /// Remembers what a file holds and restores it when the returned guard is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be read.
    pub fn restore_later(&self, file: &str) -> Result<Restore, Error> {
        Restore::remember(&self.path.join(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_on_off_or_no_switch() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::at(temporary.path()).unwrap();
        for (text, expected) in [("Y\n", Some(true)), ("N\n", Some(false)), ("1\n", None)] {
            fs::write(temporary.path().join("stall"), text).unwrap();
            assert_eq!(directory.switch("stall").ok(), expected, "{text:?}");
        }
        directory.set_switch("stall", true).unwrap();
        assert!(
            fs::read_to_string(temporary.path().join("stall"))
                .unwrap()
                .starts_with('Y')
        );
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Directory::at("/no/such/directory").unwrap_err();
        assert_eq!(error.to_string(), "cannot open /no/such/directory");
    }
}
