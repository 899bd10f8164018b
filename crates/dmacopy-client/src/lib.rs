// SPDX-License-Identifier: MIT OR Apache-2.0

//! Safe access to the dmacopy driver.
//!
//! A [`Device`] is one engine that copies memory. One open file of it is a [`Session`] with a
//! [`Buffer`] of its own, which the program fills, lets the engine copy within, and reads:
//!
//! ```no_run
//! use dmacopy_client::Device;
//!
//! let device = Device::first()?;
//! let session = device.session()?;
//! let mut buffer = session.buffer()?;
//! buffer.write(0, b"across the border")?;
//! let completion = session.copy(0, 4096, 17)?;
//! assert_eq!(buffer.copy_to_vec(4096, 17)?, b"across the border");
//! # let _ = completion.duration;
//! # Ok::<(), dmacopy_client::Error>(())
//! ```
//!
//! A session can have more buffers, which are named by a [`BufferNumber`]: cached ones, and dma-bufs
//! of other drivers or of a program's own memory.
//!
//! Many small transfers are cheaper by [`Rings`]: a batch of descriptors takes one system call, and
//! a completion none.
//!
//! A session copies a stream too: what is written to it comes out of [`Session::read`], moved by
//! the engine. [`Attributes`] are a device's settings and counters, [`Query`] tells of all devices
//! at once and [`Events`] of what happens to them, [`Upcall`] is a program that
//! is started when the engine stalls, and [`DebugFiles`] is what developers need to
//! look inside and to make it fail.

mod attributes;
mod buffer;
mod debug;
mod device;
mod error;
mod netlink;
mod notify;
mod numbered;
#[expect(
    unsafe_code,
    reason = "what the driver does with an argument is promised here"
)]
mod request;
mod rings;
mod session;
mod upcall;

pub use attributes::{Attributes, Counters, State};
pub use buffer::Buffer;
pub use debug::{DebugFiles, Fault, Stall};
pub use device::Device;
pub use dmacopy_uapi::ioctl::Info;
pub use error::{Error, Operation};
pub use netlink::{Event, Events, Query, Status};
pub use notify::Coalescing;
pub use numbered::{BufferNumber, Direction, Place};
pub use rings::{Descriptor, RingCompletion, Rings};
pub use session::{Completion, Session};
pub use upcall::{Enabled, JOURNAL, Told, Upcall, UpcallCounters};
