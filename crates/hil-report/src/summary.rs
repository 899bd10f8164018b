// SPDX-License-Identifier: MIT OR Apache-2.0

//! A run in numbers.

use serde::{Deserialize, Serialize};

use crate::{Report, TestRecord, TroubleKind, Verdict};

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All tests.
    pub total: Counts,
    /// The tests of each bench, in the order of the report; last those without a bench, if there
    /// are any.
    pub benches: Vec<BenchSummary>,
    /// How often something did not build.
    pub build_troubles: usize,
    /// How often a bench or the PC failed apart from a test.
    pub infrastructure_troubles: usize,
}

/// The tests of one bench in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchSummary {
    /// The bench's name, or nothing for the PC alone.
    pub bench: Option<String>,
    /// Its tests.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How many tests have which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// See [`Verdict::Passed`].
    pub passed: usize,
    /// See [`Verdict::Flaky`].
    pub flaky: usize,
    /// See [`Verdict::Failed`].
    pub failed: usize,
    /// See [`Verdict::Ignored`].
    pub ignored: usize,
    /// See [`Verdict::Infrastructure`].
    pub infrastructure: usize,
    /// The attempts after the first of all these tests.
    pub retries: usize,
}

impl Counts {
    /// The number of these tests.
    pub fn tests(&self) -> usize {
        Verdict::ALL.iter().map(|verdict| self.of(*verdict)).sum()
    }

    /// The number of tests with a verdict.
    pub fn of(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Passed => self.passed,
            Verdict::Flaky => self.flaky,
            Verdict::Failed => self.failed,
            Verdict::Ignored => self.ignored,
            Verdict::Infrastructure => self.infrastructure,
        }
    }

    fn add(&mut self, test: &TestRecord) {
        let count = match test.verdict() {
            Verdict::Passed => &mut self.passed,
            Verdict::Flaky => &mut self.flaky,
            Verdict::Failed => &mut self.failed,
            Verdict::Ignored => &mut self.ignored,
            Verdict::Infrastructure => &mut self.infrastructure,
        };
        *count += 1;
        self.retries += test.retries();
    }
}

impl<'a> FromIterator<&'a TestRecord> for Counts {
    fn from_iter<T: IntoIterator<Item = &'a TestRecord>>(tests: T) -> Self {
        let mut counts = Self::default();
        tests.into_iter().for_each(|test| counts.add(test));
        counts
    }
}

impl Summary {
    pub(crate) fn of(report: &Report) -> Self {
        let troubles = |kind| {
            let mut troubles = report.troubles.iter();
            troubles
                .by_ref()
                .filter(|trouble| trouble.kind == kind)
                .count()
        };
        let benches = report.columns().into_iter().map(|bench| BenchSummary {
            bench: bench.map(str::to_owned),
            counts: report.tests_of(bench).collect(),
        });
        Self {
            total: report.tests.iter().collect(),
            benches: benches.collect(),
            build_troubles: troubles(TroubleKind::Build),
            infrastructure_troubles: troubles(TroubleKind::Infrastructure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attempt, Outcome, Place, TestId, Trouble};
    use std::time::{Duration, UNIX_EPOCH};

    fn test(bench: Option<&str>, passes: &[bool]) -> TestRecord {
        let mut test = TestRecord::new(TestId {
            bench: bench.map(str::to_owned),
            suite: "suite".to_owned(),
            name: "test".to_owned(),
            place: Place::Bench,
        });
        for passes in passes {
            let reason = "it".to_owned();
            let outcome = match passes {
                true => Outcome::Passed,
                false => Outcome::Failed { reason },
            };
            let attempt = Attempt::new(UNIX_EPOCH, Duration::ZERO, outcome);
            test.attempts.push(attempt);
        }
        test
    }

    #[test]
    fn each_test_retry_and_trouble_is_counted_once_and_where_it_was() {
        let mut report = Report::new(UNIX_EPOCH);
        report.tests = vec![
            test(None, &[true]),
            test(Some("one"), &[false, false, true]),
            test(Some("two"), &[false, false]),
        ];
        for kind in [
            TroubleKind::Build,
            TroubleKind::Build,
            TroubleKind::Infrastructure,
        ] {
            report.troubles.push(Trouble {
                kind,
                what: "it".to_owned(),
                bench: None,
                detail: Vec::new(),
            });
        }
        let summary = report.summary();
        let Counts {
            passed,
            flaky,
            failed,
            retries,
            ..
        } = summary.total;
        assert_eq!((passed, flaky, failed, retries), (1, 1, 1, 3));
        assert_eq!(summary.total.tests(), 3);
        let of = summary.benches.iter();
        let of: Vec<_> = of
            .map(|one| (one.bench.as_deref(), one.counts.retries))
            .collect();
        assert_eq!(of, [(Some("one"), 2), (Some("two"), 1), (None, 0)]);
        assert_eq!(
            (summary.build_troubles, summary.infrastructure_troubles),
            (2, 1)
        );
    }
}
