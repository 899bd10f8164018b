// SPDX-License-Identifier: MIT OR Apache-2.0

//! One attempt of a test: how it ended, and the evidence.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::moment;

/// One attempt of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began, by the PC's clock.
    #[serde(with = "moment::instant")]
    pub started: SystemTime,
    /// How long it took, by a clock that does not jump.
    #[serde(with = "moment::seconds")]
    pub duration: Duration,
    /// How the test itself ended. Whether the attempt has passed is a question for
    /// [`Attempt::passed`].
    pub outcome: Outcome,
    /// What the test wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// What the console said meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub console: Vec<Line>,
    /// What the kernel logged meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_log: Vec<Line>,
    /// Why the kernel was not well afterwards: its warnings, a taint. Leave out what the test is
    /// meant to provoke.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<String>,
    /// What else the test wants to be known, as name and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<(String, String)>,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It found nothing wrong.
    Passed,
    /// It found something wrong.
    Failed {
        /// What.
        reason: String,
    },
    /// It had not ended when its time was over.
    TimedOut {
        /// The time that it had.
        #[serde(with = "moment::seconds")]
        limit: Duration,
    },
    /// It was ended by a signal, or took the kernel with it.
    Crashed {
        /// The signal's number, if there was one.
        signal: Option<i32>,
        /// What is known about it.
        reason: String,
    },
    /// The bench failed, so nothing is known about what was to be tested.
    Infrastructure {
        /// How.
        reason: String,
    },
}

/// A line of a console or of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When the PC received it, by the PC's clock.
    #[serde(with = "moment::instant")]
    pub host: SystemTime,
    /// When the board's kernel said it, counted from the kernel's start, if the line tells.
    #[serde(
        default,
        with = "moment::maybe_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub target: Option<Duration>,
    /// What it says, without the end of line and without the time that [`Line::target`] holds.
    pub text: String,
}

impl Attempt {
    /// An attempt without evidence.
    pub fn new(started: SystemTime, duration: Duration, outcome: Outcome) -> Self {
        Self {
            started,
            duration,
            outcome,
            output: String::new(),
            console: Vec::new(),
            kernel_log: Vec::new(),
            complaints: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether all was well: a test that passes while the kernel complains has not passed.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed && self.complaints.is_empty()
    }

    /// Whether this says that something is wrong with what was tested.
    pub fn failed(&self) -> bool {
        !self.passed() && !matches!(self.outcome, Outcome::Infrastructure { .. })
    }

    /// Why it has not passed, or nothing if it has.
    pub fn reason(&self) -> Option<String> {
        match (&self.outcome, self.complaints.first()) {
            (Outcome::Passed, None) => None,
            (Outcome::Passed, Some(first)) => Some(format!("the kernel complained: {first}")),
            (outcome, _) => Some(outcome.to_string()),
        }
    }

    /// When it ended.
    pub fn ended(&self) -> SystemTime {
        moment::end(self.started, self.duration)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => formatter.write_str("passed"),
            Self::Failed { reason } | Self::Infrastructure { reason } => {
                formatter.write_str(reason)
            }
            Self::TimedOut { limit } => {
                write!(formatter, "did not end within {}", moment::span(*limit))
            }
            Self::Crashed { signal, reason } => match signal {
                Some(signal) => write!(formatter, "ended by signal {signal}: {reason}"),
                None => write!(formatter, "crashed: {reason}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(outcome: Outcome) -> Attempt {
        Attempt::new(SystemTime::UNIX_EPOCH, Duration::ZERO, outcome)
    }

    #[test]
    fn a_complaint_of_the_kernel_is_a_failure() {
        let mut attempt = attempt(Outcome::Passed);
        assert!(attempt.passed() && !attempt.failed() && attempt.reason().is_none());
        attempt.complaints.push("WARNING: at mm".to_owned());
        assert!(!attempt.passed() && attempt.failed());
        let reason = attempt.reason().unwrap();
        assert_eq!(reason, "the kernel complained: WARNING: at mm");
    }

    #[test]
    fn a_failure_of_the_bench_is_none_of_the_test() {
        let reason = "no console".to_owned();
        let mut attempt = attempt(Outcome::Infrastructure { reason });
        attempt.complaints.push("Oops".to_owned());
        assert!(!attempt.passed() && !attempt.failed());
        assert_eq!(attempt.reason().as_deref(), Some("no console"));
    }

    #[test]
    fn each_outcome_says_why() {
        let reason = || "of it".to_owned();
        for (outcome, text) in [
            (Outcome::Failed { reason: reason() }, "of it"),
            (
                Outcome::TimedOut {
                    limit: Duration::from_secs(90),
                },
                "did not end within 1 min 30 s",
            ),
            (
                Outcome::Crashed {
                    signal: Some(11),
                    reason: reason(),
                },
                "ended by signal 11: of it",
            ),
            (
                Outcome::Crashed {
                    signal: None,
                    reason: reason(),
                },
                "crashed: of it",
            ),
        ] {
            assert!(attempt(outcome.clone()).failed());
            assert_eq!(attempt(outcome).reason().as_deref(), Some(text));
        }
    }
}
