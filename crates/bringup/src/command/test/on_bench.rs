// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests that drive a bench from this PC, each in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use agent_wire::message::Ended;
use hil::server::{self, socket};
use hil::{Bench, Error, Fixture, Listed, Place, bench, suite};
use hil_report::{Attempt, Event, Outcome, TestId};

use super::on_board::{Run, failure_text, is_wanted};
use super::summary::Counts;
use crate::exit::Exit;
use crate::external;
use crate::failure::{OrFail, Result};
use crate::progress::Step;
use crate::setup::Setup;
use crate::target_programs::{TestBinary, test_binary};

/// The package whose tests these are.
const PACKAGE: &str = "on-bench";

/// How long the bench stays without a user: between two tests there is none for a moment.
const IDLE: Duration = Duration::from_secs(60);

/// How much longer than its own limit a test may run before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// How often it is looked whether a test has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Runs the tests on a bench that is served to them, and switches it off.
pub(super) fn run(
    run: &Run<'_>,
    fixture: Fixture,
    mut environment: BTreeMap<String, String>,
    folder: &Path,
    step: &Step,
) -> Result<Counts> {
    let name = fixture.board().name.clone();
    let path = folder.join("bench.socket");
    environment.insert(Bench::VARIABLE.to_owned(), path.display().to_string());
    let suites = suites(run, &environment, step)?;
    if suites.iter().all(|(_, tests)| tests.is_empty()) {
        return Ok(Counts::default());
    }
    let unserved = || format!("cannot serve the bench {name} at {}", path.display());
    // What a run that was killed has left; nobody else serves there, for the folder is locked.
    socket::remove_if_dead(&path).or_environment(unserved)?;
    let listener = socket::listen(&path).or_environment(unserved)?;
    let settings = server::Settings {
        name: name.clone(),
        key: String::new(),
        idle: IDLE,
    };
    let server = thread::spawn(move || server::serve(fixture, &listener, settings));
    let mut counts = Counts::default();
    for (binary, tests) in &suites {
        let on_bench = OnBench {
            run,
            name: &name,
            environment: &environment,
            step,
        };
        counts = counts.plus(on_bench.suite(binary, tests));
    }
    // One that has ended already was told by the tests that did not find it.
    let _ = bench::stop(&path);
    let served = server.join();
    let _ = fs::remove_file(&path);
    if let Ok(served) = served {
        served.or_environment(unserved)?;
    }
    Ok(counts)
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
    environment: &'a BTreeMap<String, String>,
    step: &'a Step,
}

impl OnBench<'_> {
    fn suite(&self, binary: &TestBinary, tests: &[Listed]) -> Counts {
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
        &self,
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
        &self,
        test: &Listed,
        program: &Path,
        started: SystemTime,
    ) -> std::result::Result<Attempt, String> {
        let begun = Instant::now();
        let (outcome, output) = match self.process(test, program) {
            Ok((ended, output)) => (suite::outcome(&ended, &output, test.timeout())?, output),
            Err(error) => {
                let reason = format!("cannot run {}: {error}", program.display());
                (Outcome::Infrastructure { reason }, String::new())
            }
        };
        Ok(Attempt {
            notes: suite::notes(&output),
            output,
            ..Attempt::new(started, begun.elapsed(), outcome)
        })
    }

    fn process(&self, test: &Listed, program: &Path) -> std::io::Result<(Ended, String)> {
        // A file takes whatever the test writes, read or not.
        let mut written = tempfile::tempfile()?;
        let mut child = Command::new(program)
            .args([
                test.name.as_str(),
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(written.try_clone()?)
            .stderr(written.try_clone()?)
            .spawn()?;
        let deadline = Instant::now() + test.timeout() + GRACE;
        let mut ended = Ended::default();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                ended.timed_out = true;
                child.kill()?;
                break child.wait()?;
            }
            thread::sleep(LOOK);
        };
        (ended.code, ended.signal) = (status.code(), status.signal());
        let mut output = Vec::new();
        written.rewind()?;
        written.read_to_end(&mut output)?;
        Ok((ended, String::from_utf8_lossy(&output).into_owned()))
    }
}
