// SPDX-License-Identifier: MIT OR Apache-2.0

//! Generic netlink: requests to a family of the kernel, lists, and news to whoever listens.
//!
//! A driver offers a *family*, which is found by its name. A request carries typed attributes and
//! is answered by messages with such; a *dump* asks for all that there is of something; a
//! *multicast group* is joined for messages that nobody has asked for.
//!
//! # When to choose it
//!
//! For questions about many things at once, for answers that grow by attributes over the years,
//! and for news that more than one program should get with its data. For one value take
//! [`crate::sysfs`]; for what belongs to an open file [`crate::ioctl`]; for devices that udev
//! should know of [`crate::uevent`].
//!
//! # Contract
//!
//! A request that does not fit the driver's policy is refused with `EINVAL`, one that the family
//! does not know with `EOPNOTSUPP`; the kernel's own words, if it has any, are in
//! [`Failure::Refused`]. The kernel does not wait for slow listeners: what is lost is reported as
//! [`Failure::Lost`], after which the state has to be asked for anew. When the driver's module is
//! unloaded, its family goes, and who has listened hears nothing any more.
//!
//! # Minimum kernel
//!
//! 4.20, for the refusal's reason; the families of most drivers want later ones.
//!
//! # References
//!
//! `netlink(7)`, `Documentation/userspace-api/netlink/intro.rst`, `include/uapi/linux/genetlink.h`
//!
//! # Example
//!
//! The family that every kernel has, which knows the others:
//!
//! ```
//! use kernel_channels::netlink::{Attribute, Connection};
//!
//! const GET_FAMILY: u8 = 3;
//! const FAMILY_NAME: u16 = 2;
//! let mut connection = Connection::open("nlctrl")?;
//! let name = Attribute::text(FAMILY_NAME, "nlctrl");
//! let answers = connection.request(GET_FAMILY, &[name])?;
//! assert_eq!(answers[0].text(FAMILY_NAME)?, "nlctrl");
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod connection;
mod failure;
mod family;
mod listener;
mod message;
#[expect(unsafe_code, reason = "neli hands out a socket as a bare number only")]
mod socket;

pub use self::connection::Connection;
pub use self::failure::Failure;
pub use self::family::Family;
pub use self::listener::Listener;
pub use self::message::{Attribute, Message};
