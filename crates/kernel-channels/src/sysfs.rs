// SPDX-License-Identifier: MIT OR Apache-2.0

//! Attributes in sysfs: one value per file, in a directory per device.
//!
//! The directory below `/sys/class` is there as long as the device is. To read a file is to call
//! the driver, which answers with the value of this moment; to write it is to have the driver do
//! something, or refuse.
//!
//! # When to choose it
//!
//! For settings, states and counters that scripts and people want too, each on its own, and for
//! being told that one changed. For several values that must fit together take [`crate::ioctl`].
//!
//! # Contract
//!
//! An attribute is read whole and written by one `write(2)`, as text with an optional newline. A
//! value that the driver does not accept fails with the driver's error, by convention `EINVAL`.
//! Attributes that the driver announces changes of wake a [`Watch`].
//!
//! # Minimum kernel
//!
//! Any; sysfs has to be mounted at `/sys`.
//!
//! # References
//!
//! `sysfs(5)`, `Documentation/filesystems/sysfs.rst`, `Documentation/admin-guide/sysfs-rules.rst`
//!
//! # Example
//!
//! ```
//! use kernel_channels::sysfs::Device;
//!
//! let null = Device::open("mem", "null")?;
//! assert_eq!(null.text("dev")?, "1:3");
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Interest, Operation, Restore, poll, text_file};

/// The names of all devices of a class, sorted; none when the kernel does not know the class.
///
/// # Errors
///
/// [`Error::Path`] when the directory of the class cannot be read.
pub fn devices(class: &str) -> Result<Vec<String>, Error> {
    match names_in(&Path::new("/sys/class").join(class), |_| true) {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
        names => names,
    }
}

/// The directory of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    directory: PathBuf,
}

impl Device {
    /// A device by its class and its name there.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when there is none.
    pub fn open(class: &str, name: &str) -> Result<Self, Error> {
        Self::at(Path::new("/sys/class").join(class).join(name))
    }

    /// A device by its directory.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when there is none.
    pub fn at(directory: impl Into<PathBuf>) -> Result<Self, Error> {
        let directory = directory.into();
        fs::read_dir(&directory).map_err(|e| Error::path(Operation::Open, &directory, e))?;
        Ok(Self { directory })
    }

    /// A group of its attributes that has a directory of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when there is none.
    #[doc(alias = "attribute_group")]
    pub fn group(&self, name: &str) -> Result<Self, Error> {
        Self::at(self.directory.join(name))
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// The names of its attributes, sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the directory cannot be read.
    pub fn attributes(&self) -> Result<Vec<String>, Error> {
        names_in(&self.directory, |entry| {
            entry.file_type().is_ok_and(|kind| kind.is_file())
        })
    }

    /// An attribute's text, without the newline at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be read.
    pub fn text(&self, attribute: &str) -> Result<String, Error> {
        text_file::read(&self.directory.join(attribute))
    }

    /// An attribute that holds a decimal number.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be read, and [`Error::Value`] when it holds something else.
    pub fn number(&self, attribute: &str) -> Result<u64, Error> {
        text_file::number(&self.directory.join(attribute))
    }

    /// Sets an attribute.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be written or the driver does not accept the value.
    pub fn set(&self, attribute: &str, value: impl Display) -> Result<(), Error> {
        text_file::write(&self.directory.join(attribute), &value.to_string())
    }

    /// Remembers an attribute's value and restores it when the returned guard is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be read.
    pub fn restore_later(&self, attribute: &str) -> Result<Restore, Error> {
        Restore::remember(&self.directory.join(attribute))
    }

    /// Watches an attribute for changes that the driver announces.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be read.
    pub fn watch(&self, attribute: &str) -> Result<Watch, Error> {
        let path = self.directory.join(attribute);
        let file = File::open(&path).map_err(|e| Error::path(Operation::Open, &path, e))?;
        let mut watch = Watch { file, path };
        // A change is one since the last read, so there has to be a first.
        watch.read()?;
        Ok(watch)
    }
}

/// An attribute that is watched.
#[derive(Debug)]
pub struct Watch {
    file: File,
    path: PathBuf,
}

impl Watch {
    /// Waits for the next change, and returns the attribute's text then; `None` when the time ran
    /// out.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the attribute cannot be read, for example because the device has gone.
    #[doc(alias = "sysfs_notify")]
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Option<String>, Error> {
        // An announced change shows as POLLERR too.
        if !poll(&self.file, Interest::PRIORITY, timeout)?.priority {
            return Ok(None);
        }
        self.read().map(Some)
    }

    fn read(&mut self) -> Result<String, Error> {
        let failed = |e| Error::path(Operation::Read, &self.path, e);
        let mut text = String::new();
        self.file.rewind().map_err(failed)?;
        self.file.read_to_string(&mut text).map_err(failed)?;
        Ok(text.trim().to_owned())
    }
}

fn names_in(directory: &Path, keep: impl Fn(&fs::DirEntry) -> bool) -> Result<Vec<String>, Error> {
    let failed = |e| Error::path(Operation::List, directory, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if keep(&entry) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(attributes: &[(&str, &str)]) -> (tempfile::TempDir, Device) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in attributes {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let device = Device::at(directory.path()).unwrap();
        (directory, device)
    }

    #[test]
    fn the_newline_is_not_part_of_the_value() {
        let (_directory, device) = device(&[("engine", "software\n"), ("bytes", "4096\n")]);
        assert_eq!(device.text("engine").unwrap(), "software");
        assert_eq!(device.number("bytes").unwrap(), 4096);
    }

    #[test]
    fn a_number_is_nothing_but_a_number() {
        for text in ["", "-1", "0x10", "12 kB", "18446744073709551616"] {
            let (_directory, device) = device(&[("bytes", text)]);
            let error = device.number("bytes").unwrap_err();
            assert!(
                matches!(error, Error::Value { .. }),
                "{text:?} is no number"
            );
            assert!(error.to_string().contains("bytes"), "{error}");
        }
    }

    #[test]
    fn a_value_is_written_as_its_text() {
        let (directory, device) = device(&[("timeout_ms", "1\n")]);
        device.set("timeout_ms", 2000).unwrap();
        let text = fs::read_to_string(directory.path().join("timeout_ms")).unwrap();
        assert!(text.starts_with("2000"));
    }

    #[test]
    fn a_missing_attribute_is_named_and_not_created() {
        let (_directory, device) = device(&[]);
        let error = device.set("timeout_ms", 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert!(error.to_string().ends_with("timeout_ms"), "{error}");
        assert_eq!(device.attributes().unwrap(), [""; 0]);
    }

    #[test]
    fn attributes_are_files_only_and_sorted() {
        let (directory, device) = device(&[("state", ""), ("engine", "")]);
        fs::create_dir(directory.path().join("power")).unwrap();
        assert_eq!(device.attributes().unwrap(), ["engine", "state"]);
    }

    #[test]
    fn a_group_has_attributes_of_its_own() {
        let (directory, device) = device(&[("bytes", "1\n")]);
        fs::create_dir(directory.path().join("limits")).unwrap();
        fs::write(directory.path().join("limits/bytes"), "2\n").unwrap();
        let limits = device.group("limits").unwrap();
        assert_eq!(limits.number("bytes").unwrap(), 2);
        assert!(device.group("bytes").is_err());
    }

    #[test]
    fn a_missing_device_is_an_error_and_a_missing_class_is_empty() {
        let error = Device::open("misc", "no-such-device").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert_eq!(devices("no-such-class").unwrap(), [""; 0]);
        let error = devices("mem/null/dev").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTDIR));
    }
}
