// SPDX-License-Identifier: MIT OR Apache-2.0

//! What happens in a run, as it happens.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Attempt, BenchRecord, Boot, Summary, TestId, Trouble, moment};

/// The version of the records that this crate writes and reads. New kinds of events and new fields
/// do not change it: readers pass over what they do not know.
pub const SCHEMA: u64 = 1;

/// Something that happens in a run. As JSON, its kind is in the field `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began.
    RunStarted {
        /// When.
        #[serde(with = "moment::instant")]
        started: SystemTime,
        /// What else is known about the run, as name and value.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<(String, String)>,
    },
    /// A bench can be used, or more is known of it than before.
    BenchReady(BenchRecord),
    /// A board was started.
    Boot {
        /// The name of its bench.
        bench: String,
        /// How that went.
        #[serde(flatten)]
        boot: Boot,
    },
    /// A test will not be run.
    TestIgnored {
        /// Which test.
        #[serde(flatten)]
        id: TestId,
        /// Why.
        reason: String,
    },
    /// An attempt of a test began.
    TestStarted {
        /// Which test.
        #[serde(flatten)]
        id: TestId,
        /// When.
        #[serde(with = "moment::instant")]
        started: SystemTime,
    },
    /// An attempt of a test ended.
    TestFinished {
        /// Which test.
        #[serde(flatten)]
        id: TestId,
        /// The attempt.
        attempt: Attempt,
    },
    /// Something went wrong apart from any test.
    Trouble(Trouble),
    /// The run ended.
    RunFinished {
        /// How long it took.
        #[serde(with = "moment::seconds")]
        duration: Duration,
        /// The run in numbers.
        summary: Summary,
    },
}

impl Event {
    /// The kinds of events.
    pub(crate) const KINDS: [&'static str; 8] = [
        "run-started",
        "bench-ready",
        "boot",
        "test-ignored",
        "test-started",
        "test-finished",
        "trouble",
        "run-finished",
    ];

    /// Its kind, as in the field `event`.
    pub fn kind(&self) -> &'static str {
        let [
            run_started,
            bench,
            boot,
            ignored,
            started,
            finished,
            trouble,
            run_finished,
        ] = Self::KINDS;
        match self {
            Self::RunStarted { .. } => run_started,
            Self::BenchReady(_) => bench,
            Self::Boot { .. } => boot,
            Self::TestIgnored { .. } => ignored,
            Self::TestStarted { .. } => started,
            Self::TestFinished { .. } => finished,
            Self::Trouble(_) => trouble,
            Self::RunFinished { .. } => run_finished,
        }
    }
}
