// SPDX-License-Identifier: MIT OR Apache-2.0

//! The examples in the documentation, which are tests too. rustdoc runs them, and says of each what
//! it came to.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use hil_report::{Attempt, Event, Outcome, TestId};

use super::{CARGO, cargo};
use crate::command::test::recorder::Recorder;
use crate::command::test::summary::Counts;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::repository::Repository;

/// What the examples are called in the reports.
const SUITE: &str = "documentation";

/// Runs the examples of all packages, shows what is said, and tells the reports.
pub(super) fn run(repository: &Repository, recorder: &Recorder) -> Result<Counts> {
    let mut command = cargo(repository);
    let mut child = command
        .args(["--doc", "--no-fail-fast"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .or_environment(|| CARGO)?;
    let mut examples = Examples::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.or_environment(|| "cannot read what cargo prints")?;
            let line = String::from_utf8_lossy(&line).into_owned();
            anstream::println!("{line}");
            examples.take(&line);
        }
    }
    let status = child.wait().or_environment(|| "cannot wait for cargo")?;
    let (events, counts) = examples.finish();
    events.into_iter().for_each(|event| recorder.add(event));
    if !status.success() && counts.failed == 0 {
        let what = "the examples in the documentation do not build";
        return Err(Failure::new(Exit::Build, what).help("cargo says above why"));
    }
    Ok(counts)
}

/// What rustdoc has said so far.
#[derive(Debug, Default)]
struct Examples {
    found: Vec<Example>,
    /// Which of them is being explained.
    explained: Option<usize>,
}

#[derive(Debug)]
struct Example {
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

impl Examples {
    /// Takes a line, as the harness prints it: `test NAME ... ok`, and below `failures:` a line
    /// `---- NAME stdout ----` before what one wrote.
    fn take(&mut self, line: &str) {
        if let Some((name, verdict)) = verdict(line) {
            self.explained = None;
            self.found.push(Example {
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

    fn finish(self) -> (Vec<Event>, Counts) {
        let mut counts = Counts::default();
        let mut events = Vec::new();
        for example in self.found {
            let id = TestId {
                bench: None,
                suite: SUITE.to_owned(),
                name: example.name,
                place: hil_report::Place::Pc,
            };
            let outcome = match example.verdict {
                Verdict::Ignored(reason) => {
                    counts.ignored += 1;
                    events.push(Event::TestIgnored { id, reason });
                    continue;
                }
                Verdict::Passed => Outcome::Passed,
                Verdict::Failed => Outcome::Failed {
                    reason: reason(&example.output),
                },
            };
            counts = counts.plus(Counts::one(outcome == Outcome::Passed));
            let mut attempt = Attempt::new(example.told, Duration::ZERO, outcome);
            attempt.output = example.output;
            let unknown = "unknown: rustdoc does not tell it".to_owned();
            attempt.notes.push(("time".to_owned(), unknown));
            events.push(Event::TestFinished { id, attempt });
        }
        (events, counts)
    }
}

/// The name and the result of a test, if that is what a line tells.
fn verdict(line: &str) -> Option<(&str, Verdict)> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
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

    #[test]
    fn each_example_is_told_with_what_it_wrote() {
        let mut examples = Examples::default();
        let said = "
running 4 tests
test src/a.rs - a (line 3) ... ok
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
        said.lines().for_each(|line| examples.take(line));
        let (events, counts) = examples.finish();
        assert_eq!((counts.passed, counts.failed, counts.ignored), (2, 1, 1));
        assert_eq!(events.len(), 4);
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
