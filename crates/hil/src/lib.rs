// SPDX-License-Identifier: MIT OR Apache-2.0

//! Benches: how a PC powers a board, reads its console and hears its agent.
//!
//! Today there is one kind of bench, QEMU, which needs no cables: [`qemu::Machine`] is a board
//! that has been switched on, and [`Session`] follows its boot and the agent's work to the end,
//! within bounds of time, whatever the board does.

mod console;
mod error;
pub mod qemu;
mod session;

pub use console::Console;
pub use error::Error;
pub use session::{Limits, Observer, Outcome, Session};
