// SPDX-License-Identifier: MIT OR Apache-2.0

//! The record of a run.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{BenchRecord, Exit, Summary, TestRecord, Trouble, moment};

/// The record of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When it began, by the PC's clock.
    #[serde(with = "moment::instant")]
    pub started: SystemTime,
    /// How long it took, by a clock that does not jump.
    #[serde(with = "moment::seconds")]
    pub duration: Duration,
    /// Why the record ends before the run did, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<String>,
    /// What else is known about the run, as name and value: the command, the revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<(String, String)>,
    /// The benches that took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub benches: Vec<BenchRecord>,
    /// The tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestRecord>,
    /// What went wrong apart from any test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<Trouble>,
}

impl Report {
    /// A run of which nothing is recorded yet.
    pub fn new(started: SystemTime) -> Self {
        Self {
            started,
            duration: Duration::ZERO,
            cut_off: None,
            notes: Vec::new(),
            benches: Vec::new(),
            tests: Vec::new(),
            troubles: Vec::new(),
        }
    }

    /// The run in numbers.
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }

    /// What a program that made this run ends with.
    pub fn exit(&self) -> Exit {
        Exit::of(self)
    }

    /// A bench of the run.
    pub fn bench(&self, name: &str) -> Option<&BenchRecord> {
        self.benches.iter().find(|bench| bench.name == name)
    }

    /// The benches as documents list them: those of the report, those that only a test names, and
    /// last the PC alone if it has tests.
    pub(crate) fn columns(&self) -> Vec<Option<&str>> {
        let mut columns: Vec<_> = self.benches.iter().map(|one| Some(&*one.name)).collect();
        let mut pc = None;
        for test in &self.tests {
            let bench = test.id.bench.as_deref();
            if bench.is_none() {
                pc = Some(None);
            } else if !columns.contains(&bench) {
                columns.push(bench);
            }
        }
        columns.extend(pc);
        columns
    }

    /// The tests of a bench, or those of the PC alone.
    pub(crate) fn tests_of(&self, bench: Option<&str>) -> impl Iterator<Item = &TestRecord> {
        let tests = self.tests.iter();
        tests.filter(move |test| test.id.bench.as_deref() == bench)
    }
}
