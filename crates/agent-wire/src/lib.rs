// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the PC and the agent on the board say to each other.
//!
//! The agent speaks in [`Frame`]s: one text line each, with a sequence number and a checksum, so
//! that a reader finds them between the lines of a kernel that prints to the same console, and
//! notices when one was damaged or lost. A [`Plan`] is what the agent finds in its initramfs: the
//! modules to load and the programs to run. What goes wrong where no frame can say so is a line on
//! the console that begins with [`FATAL`].
//!
//! One of the programs is the tour of the driver, whose output is a [`report::Tour`].
//!
//! Both sides are built from the same commit, so the messages carry no version of their own.

mod frame;
mod message;
mod plan;
pub mod report;

pub use frame::{Damage, Frame, MARK, Reader, Received};
pub use message::{Message, Stream};
pub use plan::{PLAN_PATH, Plan, Program};

/// What a line on the console begins with by which the agent gives up: no more frames will come.
pub const FATAL: &str = "bringup-agent: fatal:";
