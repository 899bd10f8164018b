// SPDX-License-Identifier: MIT OR Apache-2.0

//! Counts tests, and sums up what came of each part of a run.

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// How the summary line of Rust's test harness begins.
const RESULT: &str = "test result: ";

/// How many tests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// A single test.
    pub(crate) fn one(passed: bool) -> Self {
        let (passed, failed) = if passed { (1, 0) } else { (0, 1) };
        Self {
            passed,
            failed,
            ignored: 0,
        }
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }

    /// As the harness prints it.
    pub(crate) fn line(self) -> String {
        let word = if self.failed == 0 { "ok" } else { "FAILED" };
        format!(
            "{RESULT}{word}. {} passed; {} failed; {} ignored; 0 measured; 0 filtered out",
            self.passed, self.failed, self.ignored
        )
    }
}

/// What came of each part.
#[derive(Debug, Default)]
pub(super) struct Summary {
    parts: Vec<(String, std::result::Result<Counts, Exit>)>,
    failures: Vec<Failure>,
}

impl Summary {
    /// Takes what came of a part: its counts, or why it ended before there were any.
    pub(super) fn add(&mut self, part: &str, tested: Result<Counts>) {
        let counts = tested.map_err(|failure| {
            let exit = failure.exit();
            self.failures.push(failure);
            exit
        });
        self.parts.push((part.to_owned(), counts));
    }

    /// Whether there was no test at all, and nothing that ended early.
    pub(super) fn is_empty(&self) -> bool {
        self.failures.is_empty() && self.total() == Counts::default()
    }

    fn total(&self) -> Counts {
        let counted = self.parts.iter().filter_map(|(_, counts)| counts.ok());
        counted.fold(Counts::default(), Counts::plus)
    }

    /// Prints why parts ended early, a line per part, and one for all.
    pub(super) fn print(&self) {
        anstream::println!();
        for (part, counts) in &self.parts {
            match counts {
                Ok(counts) => anstream::println!(
                    "{part}: {} passed, {} failed, {} ignored",
                    counts.passed,
                    counts.failed,
                    counts.ignored
                ),
                Err(Exit::Build) => anstream::println!("{part}: the source does not build"),
                Err(_) => anstream::println!("{part}: ended early"),
            }
        }
        let line = self.total().line();
        if self.failures.is_empty() {
            anstream::println!("\n{line}");
        } else {
            anstream::println!("\n{}", line.replacen("ok.", "FAILED.", 1));
        }
        for failure in &self.failures {
            failure.print();
        }
    }

    /// The worst of what ended a part early.
    pub(super) fn exit(&self) -> Exit {
        let exits = self.failures.iter().map(Failure::exit);
        exits.fold(Exit::Ok, Exit::worse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_ended_early_is_no_success_and_its_worst_end_counts() {
        let mut summary = Summary::default();
        summary.add("first", Ok(Counts::one(true)));
        assert_eq!(summary.exit(), Exit::Ok);
        let failure = |exit| Err(Failure::new(exit, "it"));
        summary.add("second", failure(Exit::Infrastructure));
        summary.add("third", Ok(Counts::one(false)));
        assert_eq!(summary.exit(), Exit::Infrastructure);
        summary.add("fourth", failure(Exit::Build));
        summary.add("fifth", failure(Exit::Environment));
        assert_eq!(summary.exit(), Exit::Build);
        let total = summary.total();
        assert_eq!((total.passed, total.failed), (1, 1));
    }

    #[test]
    fn the_line_is_as_the_harness_prints_it() {
        let line = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Counts::one(true).line(), line);
        assert!(
            Counts::one(false)
                .line()
                .starts_with("test result: FAILED. 0 passed; 1 failed;")
        );
    }
}
