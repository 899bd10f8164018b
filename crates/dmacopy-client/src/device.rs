// SPDX-License-Identifier: MIT OR Apache-2.0

//! Finding devices and opening sessions.

use std::path::{Path, PathBuf};

use dmacopy_uapi::names;
use kernel_channels::chardev::Flags;
use kernel_channels::sysfs;

use crate::error::Context;
use crate::{Attributes, Error, Operation, Session};

/// The attribute that every device with a node has.
const DEV: &str = "dev";
/// Where the nodes are.
const NODES: &str = "/dev";

/// One engine that copies memory: a node below `/dev` and a directory in sysfs.
#[derive(Clone, Debug)]
pub struct Device {
    name: String,
    node: PathBuf,
    attributes: Attributes,
}

impl Device {
    /// A device by its name, for example `dmacopy0`, or by the path of its node, for example
    /// `/dev/dmacopy0`. What has no slash is a name.
    ///
    /// # Errors
    ///
    /// [`Error::NotADevice`] when the path has not the name of such a node, and [`Error::Device`]
    /// when the kernel has no device of that name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.file_name().and_then(|name| name.to_str());
        let is_name = name.is_some_and(|name| path == Path::new(name));
        let node = if is_name {
            Path::new(NODES).join(path)
        } else {
            path.to_owned()
        };
        let Some(name) = name.filter(|name| number(name).is_some()) else {
            let path = path.to_owned();
            return Err(Error::NotADevice { path });
        };
        let directory =
            sysfs::Device::open(names::CLASS, name).on(name, Operation::FindAttributes)?;
        Ok(Self {
            name: name.to_owned(),
            node,
            attributes: Attributes::new(name.to_owned(), directory),
        })
    }

    /// All devices that the kernel has, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// [`Error::List`] when they cannot be listed.
    pub fn all() -> Result<Vec<Self>, Error> {
        let mut names = sysfs::devices(names::CLASS).map_err(Error::List)?;
        names.retain(|name| number(name).is_some());
        names.sort_by_key(|name| number(name));
        names.iter().map(Self::open).collect()
    }

    /// The device with the lowest number.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] when there is none; else as [`Device::all`].
    pub fn first() -> Result<Self, Error> {
        Self::all()?.into_iter().next().ok_or(Error::NoDevice)
    }

    /// Its name, for example `dmacopy0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of its node.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Its settings and counters.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Its major and minor number, of which sysfs is the authority.
    pub(crate) fn number(&self) -> Result<Option<(u32, u32)>, Error> {
        let text = self
            .attributes
            .directory()
            .text(DEV)
            .on(&self.name, Operation::ReadAttribute(DEV))?;
        Ok(device_number(&text))
    }

    /// Opens a session, whose calls wait.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with what `open(2)` returned, and [`Error::NotADevice`] when the node
    /// leads to another device.
    pub fn session(&self) -> Result<Session, Error> {
        Session::open(self, Flags::READ_WRITE)
    }

    /// Opens a session, whose calls fail with `EAGAIN` rather than wait.
    ///
    /// # Errors
    ///
    /// As [`Device::session`].
    pub fn nonblocking_session(&self) -> Result<Session, Error> {
        Session::open(self, Flags::READ_WRITE.nonblocking())
    }
}

/// The number in a device's name, if it is one.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(names::DRIVER)?;
    let canonical = !digits.starts_with('+') && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| canonical)
}

/// The major and minor number in the attribute `dev`.
fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A session of a device that every machine has, and that does nothing of what a session asks for.
#[cfg(test)]
pub(crate) fn null_session() -> Session {
    null().session().unwrap()
}

#[cfg(test)]
fn null() -> Device {
    let directory = sysfs::Device::open("mem", "null").unwrap();
    Device {
        name: "null".to_owned(),
        node: "/dev/null".into(),
        attributes: Attributes::new("null".to_owned(), directory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_by_their_names() {
        assert_eq!(number("dmacopy0"), Some(0));
        assert_eq!(number("dmacopy12"), Some(12));
        for other in [
            "dmacopy",
            "dmacopy01",
            "dmacopy+1",
            "dmacopy0p1",
            "kvm",
            "xdmacopy0",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn a_session_is_with_the_device_that_sysfs_knows() {
        assert_eq!(device_number("10:262"), Some((10, 262)));
        assert_eq!(device_number("10"), None);

        let mut device = null();
        device.session().unwrap();
        device.node = "/dev/zero".into();
        let error = device.session().unwrap_err();
        assert!(matches!(error, Error::NotADevice { .. }), "{error}");
    }

    #[test]
    fn another_node_is_no_device() {
        let error = Device::open("/dev/null").unwrap_err();
        assert!(matches!(error, Error::NotADevice { .. }));
        assert_eq!(error.to_string(), "/dev/null is no dmacopy device");
    }

    #[test]
    fn a_device_that_the_kernel_has_not_is_named() {
        for path in ["/dev/dmacopy4294967295", "dmacopy4294967295"] {
            let error = Device::open(path).unwrap_err();
            assert!(
                error.to_string().starts_with("dmacopy4294967295: "),
                "{error}"
            );
            assert!(error.raw_os_error().is_some());
        }
    }
}
