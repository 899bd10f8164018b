// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is recorded of a bench.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::moment;

/// A bench that took part in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchRecord {
    /// Its name, which no other bench of the run has.
    pub name: String,
    /// The board on it.
    pub board: String,
    /// The board's name for people.
    pub title: String,
    /// How the board is reached: `qemu`, `serial`, `ssh`, `labgrid`.
    pub kind: String,
    /// The release of the kernel that ran last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Each time that the board was started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<Boot>,
}

/// A start of a board, from power-on or reset until it was ready or given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// When it began, by the PC's clock.
    #[serde(with = "moment::instant")]
    pub started: SystemTime,
    /// How long it took.
    #[serde(with = "moment::seconds")]
    pub duration: Duration,
    /// Why the board was started: `the run began`, `the kernel panicked`.
    pub why: String,
}

impl BenchRecord {
    /// A bench of which no more is known than its name.
    pub(crate) fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            board: name.to_owned(),
            title: name.to_owned(),
            kind: "unknown".to_owned(),
            kernel: None,
            boots: Vec::new(),
        }
    }
}

impl Boot {
    /// When it ended.
    pub fn ended(&self) -> SystemTime {
        moment::end(self.started, self.duration)
    }
}
