// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is recorded of a test.

use serde::{Deserialize, Serialize};

use crate::{Attempt, Verdict};

/// Which test, and on which bench. No two tests of a report have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TestId {
    /// The bench that it ran on, or nothing if it ran on the PC alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench: Option<String>,
    /// The test binary.
    pub suite: String,
    /// Its name within the binary.
    pub name: String,
    /// Where its code runs.
    pub place: Place,
}

/// Where the code of a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On the board.
    Target,
    /// On the PC, with a bench in its hands.
    Bench,
    /// On the PC, without a bench.
    Pc,
}

/// A test and all of its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestRecord {
    /// Which test.
    #[serde(flatten)]
    pub id: TestId,
    /// Why it was not to be run, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
    /// Its attempts, in the order of time. Each one after the first is a retry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

impl Place {
    /// Its name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Bench => "bench",
            Self::Pc => "pc",
        }
    }
}

impl TestRecord {
    /// A test that has not been run yet.
    pub fn new(id: TestId) -> Self {
        Self {
            id,
            ignored: None,
            attempts: Vec::new(),
        }
    }

    /// What its attempts amount to. The last attempt decides, except that a bench that fails while
    /// a failed test is tried again does not excuse the test. A test that was neither run nor
    /// ignored is the bench's fault.
    pub fn verdict(&self) -> Verdict {
        match self.decisive() {
            None if self.ignored.is_some() => Verdict::Ignored,
            None => Verdict::Infrastructure,
            Some(attempt) if attempt.failed() => Verdict::Failed,
            Some(attempt) if !attempt.passed() => Verdict::Infrastructure,
            Some(_) if self.attempts.iter().all(Attempt::passed) => Verdict::Passed,
            Some(_) => Verdict::Flaky,
        }
    }

    /// The attempt that the verdict rests on: the last, or the last one that failed if the bench
    /// has failed since.
    pub fn decisive(&self) -> Option<&Attempt> {
        let last = self.attempts.last()?;
        if last.passed() {
            return Some(last);
        }
        // What passed in between is forgiven by nothing that came after it.
        let tries = self.attempts.iter().rev();
        let mut since_success = tries.take_while(|attempt| !attempt.passed());
        Some(
            since_success
                .find(|attempt| attempt.failed())
                .unwrap_or(last),
        )
    }

    /// Why it has not passed, or why it was ignored.
    pub fn reason(&self) -> Option<String> {
        match self.decisive() {
            Some(attempt) => attempt.reason(),
            None if self.ignored.is_some() => self.ignored.clone(),
            None => Some("was never run".to_owned()),
        }
    }

    /// How often it was tried again.
    pub fn retries(&self) -> usize {
        self.attempts.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use std::time::{Duration, UNIX_EPOCH};

    fn record(outcomes: &str) -> TestRecord {
        let mut record = TestRecord::new(TestId {
            bench: None,
            suite: "suite".to_owned(),
            name: "test".to_owned(),
            place: Place::Target,
        });
        for letter in outcomes.chars() {
            let reason = letter.to_string();
            let outcome = match letter {
                'f' => Outcome::Failed { reason },
                't' => Outcome::TimedOut {
                    limit: Duration::from_secs(1),
                },
                'i' => Outcome::Infrastructure { reason },
                _ => Outcome::Passed,
            };
            let mut attempt = Attempt::new(UNIX_EPOCH, Duration::ZERO, outcome);
            if letter == 'c' {
                attempt.complaints.push("Oops".to_owned());
            }
            record.attempts.push(attempt);
        }
        record
    }

    #[test]
    fn attempts_amount_to_a_verdict() {
        for (outcomes, verdict) in [
            ("p", Verdict::Passed),
            ("pp", Verdict::Passed),
            ("fp", Verdict::Flaky),
            ("ip", Verdict::Flaky),
            ("cp", Verdict::Flaky),
            ("f", Verdict::Failed),
            ("c", Verdict::Failed),
            ("t", Verdict::Failed),
            ("pf", Verdict::Failed),
            ("if", Verdict::Failed),
            ("fi", Verdict::Failed),
            ("fii", Verdict::Failed),
            ("i", Verdict::Infrastructure),
            ("ii", Verdict::Infrastructure),
            ("fpi", Verdict::Infrastructure),
            ("", Verdict::Infrastructure),
        ] {
            assert_eq!(record(outcomes).verdict(), verdict, "{outcomes}");
        }
    }

    #[test]
    fn the_reason_is_that_of_the_attempt_that_counts() {
        assert_eq!(record("fi").reason().as_deref(), Some("f"));
        assert_eq!(record("if").reason().as_deref(), Some("f"));
        assert_eq!(record("ii").reason().as_deref(), Some("i"));
        assert_eq!(record("fp").reason(), None);
        assert_eq!(record("").reason().as_deref(), Some("was never run"));
        assert_eq!((record("").retries(), record("fip").retries()), (0, 2));
    }

    #[test]
    fn ignored_has_its_reason_and_an_attempt_overrules_it() {
        let mut test = record("");
        test.ignored = Some("no GPIO loop".to_owned());
        assert_eq!(test.verdict(), Verdict::Ignored);
        assert_eq!(test.reason().as_deref(), Some("no GPIO loop"));
        let mut run = record("f");
        run.ignored = test.ignored;
        assert_eq!(run.verdict(), Verdict::Failed);
    }
}
