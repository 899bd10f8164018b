// SPDX-License-Identifier: MIT OR Apache-2.0

//! One thing that a room does, and what crossed the border by it.

use std::fmt::{self, Display};

use agent_wire::report::Fact;
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

/// Who tells whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    /// The program tells the kernel.
    ToKernel,
    /// The kernel tells the program.
    ToUser,
    /// The program asks, and the kernel answers.
    Both,
}

impl Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ToKernel => "to the kernel",
            Self::ToUser => "to user space",
            Self::Both => "both ways",
        })
    }
}
