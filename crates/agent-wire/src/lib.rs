// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the PC and the agent on the board say to each other.
//!
//! From the line up: [`frame`] makes text lines with a checksum, [`sieve`] finds them again between
//! the lines of a kernel that prints to the same console, [`link`] numbers, acknowledges and
//! repeats them, [`connection`] does so with threads and a real line, and [`message`] says what is
//! asked and answered. A [`Plan`] is what the agent finds in its initramfs. What goes wrong where
//! no frame can say so is a line on the console that begins with [`FATAL`].
//!
//! One of the programs that are run is the tour of the driver, whose output is a
//! [`report::Tour`].

pub mod connection;
mod content;
pub mod frame;
mod kernel_log;
pub mod link;
pub mod message;
mod plan;
pub mod report;
pub mod sieve;

pub use content::{Content, Damaged};
pub use kernel_log::Record;
pub use plan::{Module, PLAN_PATH, Plan, Port, PortKind};

/// What a line on the console begins with by which the agent gives up: no more frames will come.
pub const FATAL: &str = "bringup-agent: fatal:";
