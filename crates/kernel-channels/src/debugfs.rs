// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files in debugfs: what only developers may see and break.
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

use crate::{Error, Operation, Restore, text_file};

/// Where debugfs is mounted.
///
/// # Errors
///
/// [`Error::NotMounted`] when it is not, and [`Error::Path`] when `/proc/mounts` cannot be read.
pub fn mount_point() -> Result<PathBuf, Error> {
    let filesystem = "debugfs";
    let mounts = text_file::read(Path::new("/proc/mounts"))?;
    mounted_at(&mounts, filesystem).ok_or(Error::NotMounted { filesystem })
}

/// Finds the mount point of a file system type in the text of `/proc/mounts`.
fn mounted_at(mounts: &str, filesystem: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        (kind == filesystem).then(|| PathBuf::from(unescape(point)))
    })
}

/// Undoes the escapes of `/proc/mounts`: a backslash and three octal digits for a white space or
/// a backslash.
fn unescape(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let digits = after.get(..3).and_then(|d| u8::from_str_radix(d, 8).ok());
        match digits {
            Some(byte) => {
                text.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text + rest
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

    const MOUNTS: &str = "sysfs /sys sysfs rw,nosuid 0 0\n\
                          none /home/a\\040debugfs tmpfs rw 0 0\n\
                          debugfs /sys/kernel/debug debugfs rw,relatime 0 0\n";

    #[test]
    fn the_type_decides_and_not_the_name() {
        let found = mounted_at(MOUNTS, "debugfs");
        assert_eq!(found.as_deref(), Some(Path::new("/sys/kernel/debug")));
        let found = mounted_at(MOUNTS, "tmpfs");
        assert_eq!(found.as_deref(), Some(Path::new("/home/a debugfs")));
    }

    #[test]
    fn what_is_not_mounted_is_not_found() {
        assert_eq!(mounted_at(MOUNTS, "tracefs"), None);
        assert_eq!(mounted_at("", "debugfs"), None);
        assert_eq!(mounted_at("debugfs\n", "debugfs"), None);
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        assert_eq!(unescape("a\\040b\\134c"), "a b\\c");
        assert_eq!(unescape("end\\"), "end\\");
        assert_eq!(unescape("\\9zz\\u{e9}"), "\\9zz\\u{e9}");
    }

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
