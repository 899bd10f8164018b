// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tour on the board reports, and the document that `--json` prints.

use serde::{Deserialize, Serialize};

/// What the tour on the board prints.
#[derive(Debug, Deserialize)]
pub(super) struct Tour {
    /// Which engine moved the bytes.
    pub(super) engine: String,
    /// One for each mechanism.
    pub(super) rooms: Vec<Room>,
}

/// One mechanism.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Room {
    pub(super) name: String,
    pub(super) status: Status,
    /// What crossed the border, in order.
    pub(super) evidence: Vec<Fact>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// Something that both sides of the border agree on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fact {
    /// What it is about.
    pub(super) what: String,
    /// What user space sent, did or expected.
    pub(super) sent: String,
    /// What came back.
    pub(super) received: String,
    /// In which way the other side was asked.
    pub(super) verified: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Passed,
    Failed,
    Ignored,
}

/// The document of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub(super) board: &'a str,
    pub(super) kernel: &'a str,
    pub(super) engine: &'a str,
    pub(super) rooms: &'a [Room],
}

impl Tour {
    /// How many rooms ended like this.
    pub(super) fn count(&self, status: Status) -> usize {
        self.rooms
            .iter()
            .filter(|room| room.status == status)
            .count()
    }

    /// Whether there was something to see, and every room passed.
    pub(super) fn passed(&self) -> bool {
        !self.rooms.is_empty() && self.count(Status::Passed) == self.rooms.len()
    }
}
