// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test on the PC gets.

use super::outcome::{Verdict, chain};
use crate::Bench;

pub(super) fn open() -> Result<Bench, String> {
    Bench::from_environment().map_err(|error| chain(&error))
}

/// Gives the bench back for the next test. One whose test was given up is dropped instead, which
/// switches the board off.
pub(super) fn close(bench: Bench) -> Verdict {
    // What the test has made of the driver, nobody knows.
    bench.release(true).map_err(|error| chain(&error))
}
