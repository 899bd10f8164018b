// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs a test program for cargo, each of its tests in a process of its own.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hil::{Error, Listed, Place, suite};
use hil_report::{Attempt, Event, Outcome, TestId};

use super::{EVENTS, SUITES, Suites};
use crate::command::test::on_board::failure_text;
use crate::command::test::process;
use crate::command::test::summary::Counts;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// How long a test may take whose program has no limit of its own. Cargo sets none: this one only
/// keeps a run from hanging for ever.
const LIMIT: Duration = Duration::from_secs(600);

/// The tests of a program under way.
struct Session<'a> {
    program: &'a Path,
    suite: String,
    tests: Vec<Listed>,
    /// The next one that nobody has begun.
    next: AtomicUsize,
    told: Mutex<Told>,
}

/// What is known so far.
struct Told {
    events: File,
    counts: Counts,
    failures: String,
    /// The first that could not be written down.
    unwritten: Option<std::io::Error>,
}

/// Runs the tests of a program which cargo has started this one for.
pub(crate) fn run(folder: &Path, program: &Path) -> Result<Exit> {
    let unusable = || format!("cannot use the folder {}", folder.display());
    let suites = std::fs::read(folder.join(SUITES)).or_environment(unusable)?;
    let suites: Suites = serde_json::from_slice(&suites).or_environment(unusable)?;
    let suite = suites.get(program).cloned().ok_or_else(|| {
        let what = format!("{} is none of the test programs", program.display());
        Failure::new(Exit::Refused, what)
    })?;
    let events = OpenOptions::new().append(true).open(folder.join(EVENTS));
    let session = Session {
        program,
        suite,
        tests: list(program)?,
        next: AtomicUsize::new(0),
        told: Mutex::new(Told {
            events: events.or_environment(unusable)?,
            counts: Counts::default(),
            failures: String::new(),
            unwritten: None,
        }),
    };
    session.run()
}

/// The tests that need no board. Those that need one are run with one.
fn list(program: &Path) -> Result<Vec<Listed>> {
    let mut ask = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output();
        let output = output.and_then(|output| match output.status {
            status if status.success() => Ok(output.stdout),
            status => Err(std::io::Error::other(status.to_string())),
        });
        let path = program.to_owned();
        let output = output.map_err(|source| Error::File { path, source })?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    };
    let listed = suite::list(&mut ask, Place::Anywhere);
    let mut listed = listed.or_fail(Exit::Infrastructure, || {
        format!("cannot list the tests of {}", program.display())
    })?;
    listed.retain(|test| test.place == Place::Anywhere);
    Ok(listed)
}

impl Session<'_> {
    fn run(self) -> Result<Exit> {
        let begun = Instant::now();
        let tests = self.tests.len();
        let s = if tests == 1 { "" } else { "s" };
        anstream::println!("\nrunning {tests} test{s}");
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work());
            }
        });
        let told = self.told.into_inner();
        let told = told.unwrap_or_else(PoisonError::into_inner);
        let took = begun.elapsed().as_secs_f64();
        let line = told.counts.line();
        anstream::println!("{}\n{line}; finished in {took:.2}s\n", told.failures);
        if let Some(error) = told.unwritten {
            return Err(error).or_environment(|| "cannot write down what the tests came to");
        }
        Ok(match told.counts.failed {
            0 => Exit::Ok,
            _ => Exit::TestFailed,
        })
    }

    /// Runs one test after the other as long as there are any.
    fn work(&self) {
        while let Some(test) = self.tests.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.test(test);
        }
    }

    fn test(&self, test: &Listed) {
        let id = TestId {
            bench: None,
            suite: self.suite.clone(),
            name: test.name.clone(),
            place: hil_report::Place::Pc,
        };
        let started = SystemTime::now();
        let attempted = match &test.ignored {
            Some(reason) => Err(reason.clone()),
            None => self.attempt(test, started),
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = match attempted {
            Err(reason) => {
                let verdict = format!("ignored, {reason}");
                told.counts.ignored += 1;
                told.write(&Event::TestIgnored { id, reason });
                verdict
            }
            Ok(attempt) => {
                let passed = attempt.passed();
                told.counts = told.counts.plus(Counts::one(passed));
                if !passed {
                    told.failures += &failure_text(&test.name, &attempt);
                }
                told.write(&Event::TestStarted {
                    id: id.clone(),
                    started,
                });
                told.write(&Event::TestFinished { id, attempt });
                if passed { "ok" } else { "FAILED" }.to_owned()
            }
        };
        anstream::println!("test {} ... {verdict}", test.name);
    }

    /// One attempt; `Err` says why the test was not run.
    fn attempt(&self, test: &Listed, started: SystemTime) -> std::result::Result<Attempt, String> {
        let begun = Instant::now();
        let limit = test.timeout().max(LIMIT);
        let ran = process::run_test(Command::new(self.program), &test.name, limit);
        let (outcome, output) = match ran {
            Ok((ended, output)) => (suite::outcome(&ended, &output, limit)?, output),
            Err(error) => {
                let reason = format!("cannot run {}: {error}", self.program.display());
                (Outcome::Infrastructure { reason }, String::new())
            }
        };
        Ok(Attempt {
            notes: suite::notes(&output),
            output,
            ..Attempt::new(started, begun.elapsed(), outcome)
        })
    }
}

impl Told {
    fn write(&mut self, event: &Event) {
        // The tests go on; that it failed is told in the end.
        let line = serde_json::to_string(event).unwrap_or_default() + "\n";
        if let Err(error) = self.events.write_all(line.as_bytes()) {
            self.unwritten.get_or_insert(error);
        }
    }
}
