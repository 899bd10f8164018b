// SPDX-License-Identifier: MIT OR Apache-2.0

//! One attempt of one test.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use agent_wire::message::{Ended, Program};
use hil_report::{Attempt, Outcome};

use super::Transcript;
use super::evidence::{Evidence, console_lines};
use crate::health::Judged;
use crate::{Agent, Error, Listed};

/// How much longer than its own limit a program may run before it is killed: the harness in it
/// tells more of what it was doing.
const GRACE: Duration = Duration::from_secs(10);

/// How the harness's summary line begins.
const RESULT: &str = "test result: ";

/// What a note of a test begins with.
const NOTE: &str = "note: ";

/// Where a test runs.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The board's agent.
    pub agent: &'a Agent,
    /// What the board's console says.
    pub console: &'a dyn Transcript,
    /// The program's path on the board.
    pub program: &'a str,
    /// Variables for it.
    pub environment: &'a BTreeMap<String, String>,
}

/// Runs a test once. None if it turned out that it is to be ignored, with the reason in `Err`.
///
/// # Errors
///
/// When the board is lost meanwhile. That the test fails is none.
pub fn attempt(
    setting: &Setting<'_>,
    test: &Listed,
    evidence: &mut Evidence,
) -> Result<Result<Attempt, String>, Error> {
    let agent = setting.agent;
    let mark = setting.console.mark();
    let (started, begun) = (SystemTime::now(), Instant::now());
    let limit = Duration::from_millis(test.timeout_ms);
    let program = Program {
        command: [setting.program, "--exact", &test.name, "--nocapture"]
            .into_iter()
            .chain(["--test-threads=1"])
            .map(str::to_owned)
            .collect(),
        environment: setting.environment.clone(),
        limit_ms: u64::try_from((limit + GRACE).as_millis()).ok(),
        ..Program::default()
    };
    let mut output = Vec::new();
    let ended = agent.run(program, |_, bytes| output.extend(bytes))?;
    let duration = begun.elapsed();
    let said = evidence.take(agent)?;
    let output = String::from_utf8_lossy(&output).into_owned();
    let outcome = match outcome(&ended, &output, limit) {
        Ok(outcome) => outcome,
        Err(reason) => return Ok(Err(reason)),
    };
    let texts = said.texts();
    let judged = Judged::of(&texts, said.taint, &test.provokes);
    let mut notes = notes(&output);
    notes.extend(judged.notes());
    Ok(Ok(Attempt {
        notes,
        output,
        console: console_lines(setting.console, mark),
        kernel_log: said.lines,
        complaints: judged.complaints,
        ..Attempt::new(started, duration, outcome)
    }))
}

/// How a test ended, from the end of its process and what that wrote.
///
/// # Errors
///
/// When it was not run, with the reason why it is to be ignored.
pub fn outcome(ended: &Ended, output: &str, limit: Duration) -> Result<Outcome, String> {
    if ended.timed_out {
        return Ok(Outcome::TimedOut { limit });
    }
    if let Some(signal) = ended.signal {
        let reason = last_words(output);
        return Ok(Outcome::Crashed {
            signal: Some(signal),
            reason,
        });
    }
    // The last one is the harness's: the test may have printed others.
    let mut lines = output.lines().rev();
    let result = lines.find_map(|line| line.strip_prefix(RESULT));
    Ok(match (ended.code, result) {
        (Some(0), Some(result)) if result.contains(" 1 passed;") => Outcome::Passed,
        (Some(0), Some(result)) if result.contains(" 1 ignored;") => {
            return Err(ignored_because(output));
        }
        (_, Some(result)) if result.contains(" 1 failed;") => failed(output, limit),
        (code, _) => Outcome::Failed {
            reason: format!(
                "the program ended with exit code {} and no result of this test",
                code.unwrap_or(-1)
            ),
        },
    })
}

fn failed(output: &str, limit: Duration) -> Outcome {
    let reason = last_words(output);
    if reason.starts_with("timed out after") {
        return Outcome::TimedOut { limit };
    }
    Outcome::Failed { reason }
}

/// What the harness, or a panic, says of the failure, on a line.
fn last_words(output: &str) -> String {
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        // The message is on the next line.
        if line.starts_with("thread '") && line.contains(" panicked at ") {
            let message = lines.next().unwrap_or_default();
            return message.to_owned();
        }
    }
    // What ours prints below the heading of a failure.
    let failures = output.split("\nfailures:\n").nth(1).unwrap_or_default();
    let mut told = failures.lines().filter(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("----") && line != "failures:"
    });
    told.next().unwrap_or("it said nothing").trim().to_owned()
}

fn ignored_because(output: &str) -> String {
    let mut lines = output.lines();
    let reason = lines.find_map(|line| line.split_once(" ... ignored").map(|(_, reason)| reason));
    let reason = reason.unwrap_or_default();
    // Rust's own harness, and libtest-mimic.
    let told = reason.strip_prefix(", ");
    let told = told.or_else(|| reason.strip_prefix(" (")?.strip_suffix(')'));
    told.unwrap_or("it does not say why").to_owned()
}

/// The notes among what a test wrote, as name and value.
pub fn notes(output: &str) -> Vec<(String, String)> {
    let notes = output.lines().filter_map(|line| line.strip_prefix(NOTE));
    notes
        .filter_map(|note| note.split_once(" = "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn ended(code: Option<i32>, signal: Option<i32>) -> Ended {
        Ended {
            code,
            signal,
            ..Ended::default()
        }
    }

    fn result(passed: u32, failed: u32, ignored: u32) -> String {
        let word = if failed == 0 { "ok" } else { "FAILED" };
        format!(
            "\n{RESULT}{word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
             3 filtered out; finished in 0.00s\n"
        )
    }

    #[test]
    fn one_that_passed_has_said_so() {
        let good = outcome(&ended(Some(0), None), &result(1, 0, 0), LIMIT);
        assert_eq!(good, Ok(Outcome::Passed));
        for (code, output) in [
            (0, String::new()),
            (0, result(0, 0, 0)),
            (3, result(1, 0, 0)),
        ] {
            let bad = outcome(&ended(Some(code), None), &output, LIMIT).unwrap();
            assert!(matches!(bad, Outcome::Failed { .. }), "{bad:?}");
        }
    }

    #[test]
    fn what_a_test_prints_of_another_run_is_not_its_own_result() {
        let of = |code, before: String, after: String| {
            outcome(&ended(Some(code), None), &(before + &after), LIMIT).unwrap()
        };
        let (good, bad) = (result(1, 0, 0), result(0, 1, 0));
        assert_eq!(of(0, bad.clone(), good.clone()), Outcome::Passed);
        assert!(
            matches!(of(101, good, bad), Outcome::Failed { reason } if !reason.contains("exit code"))
        );
    }

    #[test]
    fn one_that_failed_says_why() {
        let panic = "\nthread 'x' (7) panicked at tests/a.rs:9:5:\nassertion failed: a == b\n";
        let output = format!("{panic}{}", result(0, 1, 0));
        let reason = "assertion failed: a == b".to_owned();
        let failed = outcome(&ended(Some(101), None), &output, LIMIT);
        assert_eq!(failed, Ok(Outcome::Failed { reason }));
        let ours = "\nfailures:\n\n---- x ----\nthe file is gone\n\n\nfailures:\n    x\n";
        let output = format!("{ours}{}", result(0, 1, 0));
        let reason = "the file is gone".to_owned();
        let failed = outcome(&ended(Some(101), None), &output, LIMIT);
        assert_eq!(failed, Ok(Outcome::Failed { reason }));
    }

    #[test]
    fn a_crash_and_a_passed_limit_are_told_apart() {
        let crash = outcome(&ended(None, Some(11)), "", LIMIT).unwrap();
        assert!(matches!(
            crash,
            Outcome::Crashed {
                signal: Some(11),
                ..
            }
        ));
        let late = Ended {
            timed_out: true,
            ..ended(None, Some(9))
        };
        let timed_out = Outcome::TimedOut { limit: LIMIT };
        assert_eq!(outcome(&late, "", LIMIT), Ok(timed_out.clone()));
        let ours = format!(
            "\nfailures:\n\n---- x ----\ntimed out after 60 s\n\n{}",
            result(0, 1, 0)
        );
        assert_eq!(
            outcome(&ended(Some(101), None), &ours, LIMIT),
            Ok(timed_out)
        );
    }

    #[test]
    fn one_that_is_ignored_when_it_runs_says_why() {
        let output = format!("test x ... ignored, no pci here\n{}", result(0, 0, 1));
        let ignored = outcome(&ended(Some(0), None), &output, LIMIT);
        assert_eq!(ignored, Err("no pci here".to_owned()));
        let output = output.replace(", no pci here", " (no browser)");
        let ignored = outcome(&ended(Some(0), None), &output, LIMIT);
        assert_eq!(ignored, Err("no browser".to_owned()));
    }

    #[test]
    fn notes_are_taken_from_the_output() {
        let found = notes("x\nnote: bytes = 42\nnote: nonsense\n");
        assert_eq!(found, [("bytes".to_owned(), "42".to_owned())]);
    }
}
