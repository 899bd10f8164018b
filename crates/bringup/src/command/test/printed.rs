// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests that another program runs, which prints of each what it came to, as the harness of Rust's
//! own tests does.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use hil_report::{Attempt, Event, Outcome, TestId};

use super::recorder::Recorder;
use super::summary::Counts;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// What the tests are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printed<'a> {
    /// In the reports.
    pub(super) suite: &'a str,
    /// The bench that they are about.
    pub(super) bench: Option<&'a str>,
    /// In an error.
    pub(super) what: &'a str,
}

/// Runs them, shows what is said, and tells the reports.
pub(super) fn run(
    command: &mut Command,
    tests: &Printed<'_>,
    recorder: &Recorder,
) -> Result<Counts> {
    let cannot = || format!("cannot start cargo, which runs {}", tests.what);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .or_environment(cannot)?;
    let mut said = Said::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.or_environment(|| "cannot read what cargo prints")?;
            let line = String::from_utf8_lossy(&line).into_owned();
            anstream::println!("{line}");
            said.take(&line);
        }
    }
    let status = child.wait().or_environment(|| "cannot wait for cargo")?;
    let (events, counts) = said.finish(tests);
    events.into_iter().for_each(|event| recorder.add(event));
    if !status.success() && counts.failed == 0 {
        let what = format!("{} do not build", tests.what);
        return Err(Failure::new(Exit::Build, what).help("cargo says above why"));
    }
    Ok(counts)
}

/// What has been said so far.
#[derive(Debug, Default)]
struct Said {
    found: Vec<One>,
    /// Which of them is being explained.
    explained: Option<usize>,
}

#[derive(Debug)]
struct One {
    name: String,
    told: SystemTime,
    verdict: Verdict,
    output: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Ignored(String),
}

impl Said {
    /// Takes a line, as the harness prints it: `test NAME ... ok`, and below `failures:` a line
    /// `---- NAME stdout ----` before what one wrote.
    fn take(&mut self, line: &str) {
        if let Some((name, verdict)) = verdict(line) {
            self.explained = None;
            self.found.push(One {
                name: name.to_owned(),
                told: SystemTime::now(),
                verdict,
                output: String::new(),
            });
            return;
        }
        let name = line.strip_prefix("---- ");
        if let Some(name) = name.and_then(|name| name.strip_suffix(" stdout ----")) {
            self.explained = self.found.iter().rposition(|one| one.name == name);
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.explained = None;
        } else if let Some(index) = self.explained {
            self.found[index].output += &format!("{line}\n");
        }
    }

    fn finish(self, tests: &Printed<'_>) -> (Vec<Event>, Counts) {
        let mut counts = Counts::default();
        let mut events = Vec::new();
        for one in self.found {
            let id = TestId {
                bench: tests.bench.map(str::to_owned),
                suite: tests.suite.to_owned(),
                name: one.name,
                place: match tests.bench {
                    Some(_) => hil_report::Place::Bench,
                    None => hil_report::Place::Pc,
                },
            };
            let outcome = match one.verdict {
                Verdict::Ignored(reason) => {
                    counts.ignored += 1;
                    events.push(Event::TestIgnored { id, reason });
                    continue;
                }
                Verdict::Passed => Outcome::Passed,
                Verdict::Failed => Outcome::Failed {
                    reason: reason(&one.output),
                },
            };
            counts = counts.plus(Counts::one(outcome == Outcome::Passed));
            let mut attempt = Attempt::new(one.told, Duration::ZERO, outcome);
            attempt.output = one.output;
            let unknown = "unknown: the harness does not tell it".to_owned();
            attempt.notes.push(("time".to_owned(), unknown));
            events.push(Event::TestFinished { id, attempt });
        }
        (events, counts)
    }
}

/// The name and the result of a test, if that is what a line tells.
fn verdict(line: &str) -> Option<(&str, Verdict)> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    // libtest-mimic aligns what comes after it.
    let name = name.trim_end();
    let verdict = match verdict {
        "ok" => Verdict::Passed,
        "FAILED" => Verdict::Failed,
        ignored => {
            let reason = ignored.strip_prefix("ignored")?;
            let reason = reason.strip_prefix(", ").unwrap_or(reason);
            let none = "it has the attribute `ignore`";
            Verdict::Ignored(if reason.is_empty() { none } else { reason }.to_owned())
        }
    };
    Some((name, verdict))
}

/// The most telling line.
fn reason(output: &str) -> String {
    let mut lines = output.lines();
    let error = lines.find(|line| line.starts_with("error") || line.contains("panicked at"));
    let first = || output.lines().find(|line| !line.is_empty());
    error.or_else(first).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTATION: Printed<'_> = Printed {
        suite: "documentation",
        bench: None,
        what: "the examples",
    };

    #[test]
    fn each_test_is_told_with_what_it_wrote() {
        let mut told = Said::default();
        let said = "
running 4 tests
test src/a.rs - a (line 3)              ... ok
test src/a.rs - b (line 9) - compile fail ... ok
test src/a.rs - c (line 20) ... FAILED
test src/a.rs - d (line 30) ... ignored

failures:

---- src/a.rs - c (line 20) stdout ----
error[E0308]: mismatched types
 --> src/a.rs:21:5

failures:
    src/a.rs - c (line 20)

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1s
";
        said.lines().for_each(|line| told.take(line));
        let (events, counts) = told.finish(&DOCUMENTATION);
        assert_eq!((counts.passed, counts.failed, counts.ignored), (2, 1, 1));
        assert_eq!(events.len(), 4);
        assert!(
            matches!(&events[0], Event::TestFinished { id, .. } if id.name == "src/a.rs - a (line 3)")
        );
        let Event::TestFinished { id, attempt } = &events[2] else {
            panic!("{:?}", events[2]);
        };
        assert_eq!(id.name, "src/a.rs - c (line 20)");
        let reason = "error[E0308]: mismatched types".to_owned();
        assert_eq!(attempt.outcome, Outcome::Failed { reason });
        assert!(
            attempt.output.ends_with(" --> src/a.rs:21:5\n\n"),
            "{attempt:?}"
        );
        let Event::TestIgnored { reason, .. } = &events[3] else {
            panic!("{:?}", events[3]);
        };
        assert_eq!(reason, "it has the attribute `ignore`");
    }
}
