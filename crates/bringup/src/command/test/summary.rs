// SPDX-License-Identifier: MIT OR Apache-2.0

//! Counts tests from the summary lines that Rust's test harness prints.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::exit::Exit;
use crate::failure::{OrFail, Result};

/// How the harness's summary line begins.
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

    /// Reads a summary line of the harness.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix(RESULT)?.split_once(". ")?;
        let count = |name: &str| {
            let part = counts
                .split(';')
                .map(str::trim)
                .find_map(|part| part.strip_suffix(name));
            part?.trim().parse().ok()
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            ignored: count("ignored")?,
        })
    }
}

/// Counts of each part.
#[derive(Debug, Default)]
pub(super) struct Summary {
    parts: Vec<(String, Counts)>,
}

impl Summary {
    pub(super) fn add(&mut self, part: &str, counts: Counts) {
        self.parts.push((part.to_owned(), counts));
    }

    pub(super) fn total(&self) -> Counts {
        self.parts
            .iter()
            .fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts))
    }

    /// What the program's exit code must tell.
    pub(super) fn exit(&self) -> Exit {
        match self.total() {
            Counts { failed: 0, .. } => Exit::Ok,
            _ => Exit::TestFailed,
        }
    }

    /// Prints a line per part and one for all.
    pub(super) fn print(&self) {
        anstream::println!();
        for (part, counts) in &self.parts {
            anstream::println!(
                "{part}: {} passed, {} failed, {} ignored",
                counts.passed,
                counts.failed,
                counts.ignored
            );
        }
        anstream::println!("\n{}", self.total().line());
    }
}

/// Runs a harness, shows what it prints, and counts its tests. One that failed without a summary
/// line, because it did not build, counts as one failed test.
pub(super) fn run_and_count(command: &mut Command) -> Result<Counts> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .or_environment(|| "cannot start cargo, which builds the tests for this PC")
        .map_err(|failure| failure.help("run this as `cargo bringup test`"))?;
    let mut counts = Counts::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.or_environment(|| "cannot read what cargo prints")?;
            let line = String::from_utf8_lossy(&line).into_owned();
            anstream::println!("{line}");
            counts = counts.plus(Counts::parse(&line).unwrap_or_default());
        }
    }
    let status = child.wait().or_environment(|| "cannot wait for cargo")?;
    if !status.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_summary_line_is_read_and_written() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; \
                    3 filtered out; finished in 0.02s";
        let counts = Counts::parse(line).unwrap();
        assert_eq!((counts.passed, counts.failed, counts.ignored), (5, 2, 1));
        assert_eq!(Counts::parse(&counts.line()), Some(counts));
        assert_eq!(Counts::parse("running 3 tests"), None);
    }

    #[test]
    fn one_failed_test_of_any_part_is_told_by_the_exit_code() {
        let mut summary = Summary::default();
        summary.add("first", Counts::one(true));
        assert_eq!(summary.exit(), Exit::Ok);
        summary.add("second", Counts::one(false));
        summary.add("third", Counts::one(true));
        assert_eq!(summary.exit(), Exit::TestFailed);
    }

    #[test]
    fn a_harness_that_ends_badly_without_a_summary_is_a_failed_test() {
        let counts = run_and_count(Command::new("sh").args(["-c", "exit 101"])).unwrap();
        assert_eq!(counts, Counts::one(false));
        let counts = run_and_count(Command::new("sh").args(["-c", "exit 0"])).unwrap();
        assert_eq!(counts, Counts::default());
    }
}
