// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board as data: reads and checks `boards/<board>/board.toml`.
//!
//! A board is a *type* of hardware, described once in its own folder; which one stands on whose
//! desk is a bench's business. Nothing here touches hardware, and no program knows a board by
//! name: whoever wants a board asks [`Boards`] for it.

mod board;
mod boards;
mod error;
mod stimulus;

pub use board::{
    Agent, Board, Console, Device, Kernel, Network, Peripheral, Qemu, SerialUse, Storage,
};
pub use boards::Boards;
pub use error::Error;
pub use stimulus::{Button, Drive, Line, Sensor, Stimulus, Write};
