// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target` on the board, as people and scripts use it.

mod channel;
mod copy_and_fill;
mod doctor;
mod stats;
mod visit;
mod watch;

hil::main!();
