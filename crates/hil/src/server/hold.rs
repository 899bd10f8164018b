// SPDX-License-Identifier: MIT OR Apache-2.0

//! What lets a connection use the board.

use serde::{Deserialize, Serialize};

/// What lets a connection use the board: a hold of its own, or a loan within somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// The holder's token.
    pub(crate) token: u64,
    /// The borrower's, if it is somebody else's hold.
    pub(crate) borrowed: Option<u64>,
}
