// SPDX-License-Identifier: MIT OR Apache-2.0

//! A test that runs on the PC.

use hil::Bench;

#[hil::test]
fn on_bench(_bench: &mut Bench) {}
