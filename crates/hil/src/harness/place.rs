// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where a test runs.

use serde::{Deserialize, Serialize};

/// Where a test runs, which the type of its argument says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On the board: it takes `&mut Target`.
    Target,
    /// On the PC that the board is connected to: it takes `&mut Bench`.
    Bench,
    /// Wherever its program runs: it takes nothing.
    Anywhere,
}
