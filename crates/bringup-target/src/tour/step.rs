// SPDX-License-Identifier: MIT OR Apache-2.0

//! One thing that a room does, and what crossed the border by it.

use agent_wire::report::{Direction, Fact};
use serde::Serialize;

/// Something that was done, by what it crossed the border, what came of it, and what was checked
/// after that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// What was done or has happened.
    pub(super) what: String,
    /// Who told whom.
    pub(super) direction: Direction,
    /// The system call, and on which file.
    pub(super) through: String,
    /// What the other side has answered, or what has arrived.
    pub(super) answer: String,
    /// How that was verified.
    pub(super) verified: Vec<Fact>,
}
