// SPDX-License-Identifier: MIT OR Apache-2.0

//! uevents: the kernel's news about devices, to whoever listens.
//!
//! When a device comes, goes or changes, the kernel broadcasts a message with its path and a set
//! of variables over a netlink socket. This is what `udevd` acts on; any program may listen.
//!
//! # When to choose it
//!
//! To learn of devices that come and go, and of rare changes that more than one program should
//! know of. For one value of one device that changes more often take [`crate::sysfs`] and its
//! watch; for the completion of an operation [`crate::chardev`].
//!
//! # Contract
//!
//! Messages are numbered, system-wide. Only what the kernel sent is reported: anybody may send to
//! the socket. The kernel does not wait for slow listeners; what is lost is reported as
//! [`Error::UeventsLost`], after which the state has to be read anew from sysfs. The messages of
//! `udevd` go to another group and come after its rules have run: listen to those, by
//! `UdevMonitor`, which the feature `udev` has, if the names and permissions that rules give must
//! be there. That takes libudev, which is a shared library only: no static program has the feature.
//!
//! # Minimum kernel
//!
//! Any with `CONFIG_NET`.
//!
//! # References
//!
//! `netlink(7)`, `udev(7)`, `lib/kobject_uevent.c`
//!
//! # Example
//!
//! ```no_run
//! use kernel_channels::uevent::{Action, Monitor};
//!
//! let monitor = Monitor::open()?;
//! while let Some(event) = monitor.next(None)? {
//!     if event.action == Action::Add && event.subsystem.as_deref() == Some("block") {
//!         assert!(event.variables.contains_key("DEVNAME"));
//!     }
//! }
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod event;
#[cfg(feature = "udev")]
mod udev;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};

pub use self::event::{Action, Event, Malformed};
#[cfg(feature = "udev")]
pub use self::udev::UdevMonitor;
use crate::{Error, Interest, Operation, poll, text_file};

/// The multicast group of the kernel's own messages; `udevd` sends to group 2.
const KERNEL_GROUP: u32 = 1;

/// Longer than any message: the kernel composes the variables in 2 KiB, and the header before
/// them has one path.
const LONGEST_MESSAGE: usize = 16 << 10;

/// The number of the last event that the kernel sent to anybody.
///
/// # Errors
///
/// [`Error::Path`] when `/sys/kernel/uevent_seqnum` cannot be read, and [`Error::Value`] when it
/// is no number.
pub fn last_seqnum() -> Result<u64, Error> {
    text_file::number(Path::new("/sys/kernel/uevent_seqnum"))
}

/// A socket that receives the kernel's uevents from when it was opened on.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
}

impl Monitor {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// [`Error::UeventSocket`] when the kernel has no netlink or a sandbox forbids it.
    pub fn open() -> Result<Self, Error> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)
            .map_err(|errno| failed(Operation::Open, errno))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))
            .map_err(|errno| failed(Operation::Join, errno))?;
        Ok(Self { socket })
    }

    /// Waits for the next event; `None` when the time ran out.
    ///
    /// # Errors
    ///
    /// [`Error::UeventsLost`] when this program was too slow, after which it may go on;
    /// [`Error::Uevent`] for a message that cannot be read; [`Error::UeventSocket`] when the
    /// socket fails.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if poll(&self.socket, Interest::READABLE, left)?.is_none() {
                return Ok(None);
            }
            let mut message = [0; LONGEST_MESSAGE];
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut message) {
                Ok((length, Some(sender))) if sender.pid() == 0 => {
                    return Event::parse(&message[..length])
                        .map(Some)
                        .map_err(Error::Uevent);
                }
                // Not from the kernel; or gone before it was read.
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Err(Error::UeventsLost),
                Err(errno) => return Err(failed(Operation::Read, errno)),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn failed(operation: Operation, errno: Errno) -> Error {
    Error::UeventSocket {
        operation,
        source: errno.into(),
    }
}
