// SPDX-License-Identifier: MIT OR Apache-2.0

//! The document that `--json` prints.

use agent_wire::report::{Room, Status, Tour};
use serde::Serialize;

/// What a board's tour found.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub(super) board: &'a str,
    pub(super) kernel: &'a str,
    pub(super) engine: &'a str,
    pub(super) rooms: &'a [Room],
}

/// Whether every room passed: the stock kernel lacks nothing that a room would need.
pub(super) fn passed(tour: &Tour) -> bool {
    !tour.rooms.is_empty() && tour.count(Status::Passed) == tour.rooms.len()
}
