// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs the tests of a program one by one, each with its own evidence.
//!
//! Each test is a process of its own: one that crashes takes no other along, what the kernel and the
//! console said belongs to it alone, and a retry is another process. The program may be one of
//! [`main!`](crate::main) or of Rust's own test harness.

mod attempt;
mod evidence;
mod list;
mod transcript;
mod witness;

pub use attempt::{Setting, attempt, notes, outcome};
pub use evidence::{Evidence, console_lines};
pub use list::list;
pub use transcript::Transcript;
pub use witness::{Seen, Witness};
