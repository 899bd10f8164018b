// SPDX-License-Identifier: MIT OR Apache-2.0

//! Hardware in the loop: tests on boards as ordinary functions, and the benches that they run on.
//!
//! A test is a function with the attribute [`test`]. With a [`Target`] as its argument it runs on
//! the board; with a `Bench` it runs on the PC and drives the board from there. [`main!`] is the
//! whole `main` of a test program, which cargo, nextest and editors run like any other. That much
//! is there without the feature `bench`, and small.
//!
//! With it, which is the default, there is how a PC powers a board, reads its console and talks to
//! its agent. A `Fixture` is a board and what connects this PC with it, its `wiring`. It is brought
//! to a `State` from wherever it is; when its agent answers, an `Agent` runs programs on it, moves
//! files, loads modules and reads the kernel's log. Whatever the board does, everything ends
//! within bounds of time, and says why.

#[cfg(feature = "bench")]
pub mod agent;
mod attribute;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "bench")]
mod boots;
#[cfg(feature = "bench")]
pub mod console;
#[cfg(feature = "bench")]
mod described;
#[cfg(feature = "bench")]
pub mod description;
#[cfg(feature = "bench")]
mod error;
#[cfg(feature = "bench")]
mod fate;
#[cfg(feature = "bench")]
mod fixture;
mod harness;
#[cfg(feature = "bench")]
pub mod health;
#[cfg(feature = "bench")]
mod peripheral;
#[cfg(feature = "bench")]
pub mod qemu;
#[cfg(feature = "bench")]
pub mod server;
#[cfg(feature = "bench")]
pub mod ssh;
#[cfg(feature = "bench")]
pub mod stimulus;
#[cfg(feature = "bench")]
pub mod suite;
mod target;
#[cfg(feature = "bench")]
pub mod wiring;

#[cfg(feature = "bench")]
pub use agent::Agent;
pub use attribute::test;
#[cfg(feature = "bench")]
pub use bench::Bench;
#[cfg(feature = "bench")]
pub use boots::{Boots, State};
#[cfg(feature = "bench")]
pub use console::Console;
#[cfg(feature = "bench")]
pub use described::Described;
#[cfg(feature = "bench")]
pub use error::{CommandFailure, Error};
#[cfg(feature = "bench")]
pub use fate::{Fate, Lost};
#[cfg(feature = "bench")]
pub use fixture::{Fixture, Keyboard};
pub use harness::{Listed, Outcome, Place, TargetDescription, UnknownCapability, expansion};
#[cfg(feature = "bench")]
pub use peripheral::Peripheral;
#[cfg(feature = "bench")]
pub use stimulus::Level;
pub use target::{InVain, Target};

/// A message of the kernel, as [`Target::kernel_log`] returns it.
pub use agent_wire::Record;

/// What a test returns where an error fails it.
///
/// ```
/// fn port(text: &str) -> hil::Result<u16> {
///     let (_, port) = text.split_once(':').ok_or("no port")?;
///     Ok(port.parse()?)
/// }
/// # assert!(port("a").is_err());
/// ```
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
