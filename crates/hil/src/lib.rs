// SPDX-License-Identifier: MIT OR Apache-2.0

//! Benches: how a PC powers a board, reads its console and talks to its agent.
//!
//! A [`Fixture`] is a board and what connects this PC with it, its [`wiring`]. It is brought to a
//! [`State`] from wherever it is; when its agent answers, an [`Agent`] runs programs on it, moves
//! files, loads modules and reads the kernel's log. Whatever the board does, everything ends
//! within bounds of time, and says why.

pub mod agent;
pub mod bench;
pub mod console;
mod error;
mod fate;
mod fixture;
pub mod health;
pub mod qemu;
pub mod server;
pub mod wiring;

pub use agent::Agent;
pub use bench::Bench;
pub use console::Console;
pub use error::Error;
pub use fate::{Fate, Lost};
pub use fixture::{Fixture, Keyboard, State};
