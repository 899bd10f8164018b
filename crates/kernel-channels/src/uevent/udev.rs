// SPDX-License-Identifier: MIT OR Apache-2.0

//! The events of `udevd`, by libudev.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use udev::{MonitorBuilder, MonitorSocket};

use super::{Event, Malformed};
use crate::{Error, Interest, Operation, poll};

/// Receives the events that `udevd` sends on when its rules have run: with the variables that these
/// have added, after the nodes and links that they make are there.
///
/// Without `udevd` there are none. What is lost is not told: libudev hides it.
pub struct UdevMonitor {
    socket: MonitorSocket,
}

impl UdevMonitor {
    /// Begins to listen to the devices of a subsystem, or to all.
    ///
    /// # Errors
    ///
    /// [`Error::UeventSocket`] when the kernel has no netlink or a sandbox forbids it.
    pub fn open(subsystem: Option<&str>) -> Result<Self, Error> {
        let open = || {
            let builder = MonitorBuilder::new()?;
            match subsystem {
                Some(subsystem) => builder.match_subsystem(subsystem)?.listen(),
                None => builder.listen(),
            }
        };
        let socket = open().map_err(|source: io::Error| Error::UeventSocket {
            operation: Operation::Open,
            source,
        })?;
        Ok(Self { socket })
    }

    /// Waits for the next event; `None` when the time ran out. What libudev refuses, such as a
    /// message that another user has sent, is passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Uevent`] for an event that cannot be read.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if poll(&self.socket, Interest::READABLE, left)?.is_none() {
                return Ok(None);
            }
            if let Some(event) = self.socket.iter().next() {
                return read(&event).map(Some).map_err(Error::Uevent);
            }
        }
    }
}

/// The same as of the kernel's message: what libudev has taken apart is put together again.
fn read(event: &udev::Event) -> Result<Event, Malformed> {
    let text = |part: &std::ffi::OsStr| part.to_str().map(str::to_owned).ok_or(Malformed::NotText);
    let variables = event.properties().map(|property| {
        let (key, value) = (text(property.name())?, text(property.value())?);
        Ok((key, value))
    });
    Event::of(variables.collect::<Result<BTreeMap<_, _>, Malformed>>()?)
}

impl AsFd for UdevMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for UdevMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptor = self.as_fd();
        f.debug_struct("UdevMonitor")
            .field("socket", &descriptor)
            .finish()
    }
}
