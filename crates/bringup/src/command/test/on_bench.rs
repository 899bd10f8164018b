// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests that drive a bench from this PC, each in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hil::server::{self, socket};
use hil::suite::Witness;
use hil::{Bench, Error, Fixture, Listed, Place, bench, suite};
use hil_report::{Attempt, Boot, Event, Outcome, TestId};

use super::on_board::{Run, failure_text, is_wanted};
use super::process;
use super::summary::Counts;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Step;
use crate::setup::Setup;
use crate::target_programs::{TestBinary, test_binary};

/// The package whose tests these are.
const PACKAGE: &str = "on-bench";

/// How long the bench stays without a user: until this run holds it.
const IDLE: Duration = Duration::from_secs(60);

/// Runs the tests on a bench that is served to them, and switches it off.
pub(super) fn run(
    run: &Run<'_>,
    fixture: Fixture,
    environment: BTreeMap<String, String>,
    folder: &Path,
    step: &Step,
) -> Result<Counts> {
    let name = fixture.board().name.clone();
    let path = folder.join("bench.socket");
    let unserved = || format!("cannot serve the bench {name} at {}", path.display());
    // What a run that was killed has left; nobody else serves there, for the folder is locked.
    socket::remove_if_dead(&path).or_environment(unserved)?;
    let listener = socket::listen(&path).or_environment(unserved)?;
    let settings = server::Settings {
        name: name.clone(),
        key: String::new(),
        idle: IDLE,
    };
    let server = thread::spawn(move || server::serve(fixture, &listener, settings, Arc::default()));
    let who = format!("pid {}, which tests it", std::process::id());
    let held = Bench::hold(&path, &who, &mut |_| {});
    let tested = held
        .or_fail(Exit::Infrastructure, unserved)
        .and_then(|mut bench| run_lent(run, &name, &mut bench, &path, environment, step));
    // It may have ended by itself.
    let _ = bench::stop(&path);
    let served = server.join();
    let _ = fs::remove_file(&path);
    // What ended the server counts more than what its tests came to, which it may have caused.
    how_it_ended(served, &name)?.or_environment(unserved)?;
    tested
}

/// What the thread of a server returned. One that panicked is no failure of the tests.
fn how_it_ended<T>(served: thread::Result<T>, name: &str) -> Result<T> {
    served.map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = format!(
            "the server of the bench {name} panicked: {}",
            said.unwrap_or("it did not say why")
        );
        Failure::new(Exit::Infrastructure, what)
            .help("this is a mistake of bringup's own; please report it with what is printed above")
    })
}

/// Runs the tests on a bench that is held, and lent to one after the other.
pub(super) fn run_lent(
    run: &Run<'_>,
    name: &str,
    bench: &mut Bench,
    path: &Path,
    mut environment: BTreeMap<String, String>,
    step: &Step,
) -> Result<Counts> {
    let loan = bench.loan().to_string();
    environment.insert(Bench::VARIABLE.to_owned(), path.display().to_string());
    environment.insert(Bench::LOAN.to_owned(), loan);
    let suites = suites(run, &environment, step)?;
    let mut on_bench = OnBench {
        run,
        name,
        bench,
        environment: &environment,
        step,
    };
    let wanted = suites.iter().filter(|(_, tests)| !tests.is_empty());
    Ok(wanted.fold(Counts::default(), |counts, (binary, tests)| {
        counts.plus(on_bench.suite(binary, tests))
    }))
}

/// The programs and those of their tests that are wanted.
fn suites(
    run: &Run<'_>,
    environment: &BTreeMap<String, String>,
    step: &Step,
) -> Result<Vec<(TestBinary, Vec<Listed>)>> {
    let mut suites = Vec::new();
    for binary in build(run.setup, step)? {
        let mut ask = |arguments: &[&str], variables: &[(&str, &str)]| {
            let output = Command::new(&binary.path)
                .args(arguments)
                .envs(environment)
                .envs(variables.iter().copied())
                .output();
            let output = output.map_err(|source| Error::File {
                path: binary.path.clone(),
                source,
            })?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let listed = suite::list(&mut ask, Place::Bench);
        let mut listed = listed.or_environment(|| format!("cannot list tests of {PACKAGE}"))?;
        listed.retain(|test| is_wanted(test, run.filters));
        suites.push((binary, listed));
    }
    Ok(suites)
}

/// Builds the tests with this PC's own compiler.
fn build(setup: &Setup, step: &Step) -> Result<Vec<TestBinary>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["test", "--no-run", "--locked", "--package", PACKAGE])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(setup.tools.repository.root());
    let mut binaries = Vec::new();
    external::run_each_line(&mut command, step, Exit::Build, &mut |line| {
        binaries.extend(test_binary(line));
    })?;
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(binaries)
}

/// Tests under way.
struct OnBench<'a> {
    run: &'a Run<'a>,
    name: &'a str,
    bench: &'a mut Bench,
    environment: &'a BTreeMap<String, String>,
    step: &'a Step,
}

impl OnBench<'_> {
    fn suite(&mut self, binary: &TestBinary, tests: &[Listed]) -> Counts {
        let mut shown = format!(
            "\n     Running {} on this PC with {}\n",
            binary.name, self.name
        );
        let (mut counts, mut failures) = (Counts::default(), String::new());
        for test in tests {
            self.step.line(&format!("{} {}", binary.name, test.name));
            let id = TestId {
                bench: Some(self.name.to_owned()),
                suite: binary.name.clone(),
                name: test.name.clone(),
                place: hil_report::Place::Bench,
            };
            let (verdict, one) = self.test(&id, test, &binary.path, &mut failures);
            shown.push_str(&format!("test {} ... {verdict}\n", test.name));
            counts = counts.plus(one);
        }
        anstream::println!("{shown}{failures}\n{}", counts.line());
        counts
    }

    /// Runs one test, more than once if it fails and that is wanted.
    fn test(
        &mut self,
        id: &TestId,
        test: &Listed,
        program: &Path,
        failures: &mut String,
    ) -> (String, Counts) {
        let ignored = |reason: &str| {
            let (id, reason) = (id.clone(), reason.to_owned());
            let verdict = format!("ignored, {reason}");
            self.run.recorder.add(Event::TestIgnored { id, reason });
            let counts = Counts {
                ignored: 1,
                ..Counts::default()
            };
            (verdict, counts)
        };
        if let Some(reason) = &test.ignored {
            return ignored(reason);
        }
        for number in 0..=self.run.retries {
            let (id, started) = (id.clone(), SystemTime::now());
            self.run.recorder.add(Event::TestStarted {
                id: id.clone(),
                started,
            });
            let attempt = match self.attempt(test, program, started) {
                Ok(attempt) => attempt,
                Err(reason) => return ignored(&reason),
            };
            let (passed, text) = (attempt.passed(), failure_text(&id.name, &attempt));
            self.run.recorder.add(Event::TestFinished { id, attempt });
            if passed {
                let flaky = format!("ok, flaky: attempt {}", number + 1);
                let verdict = if number > 0 { flaky } else { "ok".to_owned() };
                return (verdict, Counts::one(true));
            }
            failures.push_str(&text);
        }
        ("FAILED".to_owned(), Counts::one(false))
    }

    /// One attempt; `Err` says why the test was not run.
    fn attempt(
        &mut self,
        test: &Listed,
        program: &Path,
        started: SystemTime,
    ) -> std::result::Result<Attempt, String> {
        let begun = Instant::now();
        let failed = |reason| {
            let outcome = Outcome::Infrastructure { reason };
            Ok(Attempt::new(started, begun.elapsed(), outcome))
        };
        let witness = match Witness::begin(self.bench) {
            Ok(witness) => witness,
            Err(error) => return failed(format!("the bench has gone before the test: {error}")),
        };
        let mut command = Command::new(program);
        command.envs(self.environment);
        let bound = test.timeout() + process::GRACE;
        let (ended, output) = match process::run_test(command, &test.name, bound) {
            Ok(ran) => ran,
            Err(error) => return failed(format!("cannot run {}: {error}", program.display())),
        };
        let outcome = suite::outcome(&ended, &output, test.timeout())?;
        let mut attempt = Attempt {
            notes: suite::notes(&output),
            output,
            ..Attempt::new(started, begun.elapsed(), outcome)
        };
        match witness.end(self.bench) {
            Ok(seen) => {
                self.record(&seen.boots, &test.name);
                seen.add_to(&mut attempt, &test.provokes);
            }
            Err(error) if attempt.outcome == Outcome::Passed => {
                let reason = format!("the bench has gone after the test: {error}");
                attempt.outcome = Outcome::Infrastructure { reason };
            }
            // What the test itself came to counts more.
            Err(_) => {}
        }
        Ok(attempt)
    }

    /// Tells the reports of the boots during a test.
    fn record(&self, boots: &[server::Boot], test: &str) {
        for boot in boots {
            let boot = Boot {
                started: boot.started,
                duration: boot.duration.unwrap_or_default(),
                why: format!("the test {test}"),
            };
            let bench = self.name.to_owned();
            self.run.recorder.add(Event::Boot { bench, boot });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_panics_is_a_failure_of_the_bench_that_says_why() {
        let number = 7;
        for (server, said) in [
            (thread::spawn(|| panic!("no board")), "no board"),
            (
                thread::spawn(move || panic!("no board {number}")),
                "no board 7",
            ),
        ] {
            let failure = how_it_ended::<()>(server.join(), "desk").unwrap_err();
            assert_eq!(failure.exit(), Exit::Infrastructure);
            let expected = format!("the server of the bench desk panicked: {said}");
            assert!(failure.to_string().contains(&expected), "{failure}");
        }
        assert_eq!(how_it_ended(Ok(7), "desk").unwrap(), 7);
    }
}
