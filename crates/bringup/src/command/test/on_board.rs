// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests that run on a board, each in a process of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use agent_wire::message::Program;
use hil::suite::{self, Evidence, Setting};
use hil::{Error, Listed, Lost, Place};
use hil_report::{Attempt, BenchRecord, Boot, Event, Outcome, TestId};

use super::recorder::Recorder;
use super::summary::Counts;
use super::tested::Tested;
use super::{guards, on_bench};
use crate::benches::Chosen;
use crate::emulation::{self, Content};
use crate::failure::Result;
use crate::module::Built;
use crate::progress::{Progress, Step};
use crate::repository::Repository;
use crate::setup::Setup;
use crate::target_environment;
use crate::target_programs::{Programs, TestBinary};
use crate::warm;

/// Memory errors in the driver are found where they happen: every slab object is checked, and
/// KFENCE guards as many allocations as it can.
pub(super) const KERNEL_ARGUMENTS: [&str; 2] = ["slab_debug=FZPU", "kfence.sample_interval=1"];

/// How many lines of a failed test's output are shown; the reports hold all.
const SHOWN: usize = 60;

/// What the boards have in common.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) setup: &'a Setup,
    pub(super) built: &'a Built,
    pub(super) programs: &'a Programs,
    pub(super) recorder: &'a Recorder,
    /// How often a test that failed is tried again.
    pub(super) retries: u32,
    /// Only tests whose names contain one of these are run, unless there is none.
    pub(super) filters: &'a [String],
}

impl Run<'_> {
    /// Runs all tests on a bench. The reports are told of what ended that early.
    pub(super) fn on(&self, chosen: &Chosen, progress: &Progress) -> Result<Counts> {
        let tested = match chosen.description {
            None => self.on_emulated(chosen, progress),
            Some(_) => self.on_described(chosen, progress),
        };
        tested.inspect_err(|failure| self.recorder.blame(failure, Some(&chosen.name)))
    }

    fn on_emulated(&self, chosen: &Chosen, progress: &Progress) -> Result<Counts> {
        let told = environment(&self.setup.tools.repository, chosen, Place::Target)?;
        let board = &chosen.board;
        let content = Content {
            board,
            module: &self.built.stripped,
            agent: &self.programs.agent,
            programs: self.programs.tests.iter().map(|t| t.path.clone()).collect(),
            kernel_arguments: KERNEL_ARGUMENTS.map(str::to_owned).to_vec(),
            folder: format!("test/{}", board.name),
            login: None,
        };
        let step = progress.step(&format!("test-{}", chosen.name), &chosen.title())?;
        let mut fixture = emulation::emulated(self.setup, &content, &step)?;
        let tested = self.tests(chosen, &mut fixture, told, &step);
        let counts = tested.map_err(|error| {
            let failure = emulation::failure(&mut fixture, error);
            let log = step.log().display();
            failure.help(format!("all the board printed is in {log}"))
        });
        let counts = counts?;
        let repository = &self.setup.tools.repository;
        let folder = repository.output().join(&content.folder);
        let told = environment(repository, chosen, Place::Bench)?;
        // Whatever comes of them, the board is off afterwards.
        let counts = counts.plus(on_bench::run(self, fixture, told, &folder, &step)?);
        step.done(&format!("{} tested, powered off", chosen.name));
        Ok(counts)
    }

    fn on_described(&self, chosen: &Chosen, progress: &Progress) -> Result<Counts> {
        let told = environment(&self.setup.tools.repository, chosen, Place::Target)?;
        let mut bench = warm::take(self.setup, self.built, chosen, Vec::new(), progress)?;
        warm::make_ready(&mut bench, self.built, chosen, progress)?;
        let step = progress.step(&format!("test-{}", chosen.name), &chosen.title())?;
        let tested = self.tests(chosen, &mut bench, told, &step);
        let counts = tested.map_err(|error| {
            let error = bench.explain(error);
            warm::trouble(chosen, error)
        })?;
        let repository = &self.setup.tools.repository;
        let told = environment(repository, chosen, Place::Bench)?;
        let path = warm::socket_of(repository, chosen);
        let name = &chosen.name;
        let counts = counts.plus(on_bench::run_lent(
            self, name, &mut bench, &path, told, &step,
        )?);
        bench
            .release(counts.failed > 0)
            .map_err(|error| warm::trouble(chosen, error))?;
        step.done(&format!("{} tested, and free for the next", chosen.name));
        Ok(counts)
    }

    fn tests(
        &self,
        chosen: &Chosen,
        tested: &mut dyn Tested,
        environment: BTreeMap<String, String>,
        step: &Step,
    ) -> std::result::Result<Counts, Error> {
        let boots = tested.boots()?.len();
        let mut session = Session {
            run: self,
            chosen,
            tested,
            step,
            environment,
            evidence: None,
            // A board that is ready has booted for somebody else: the last boot is told all the same.
            boots: boots.saturating_sub(1),
        };
        session.tests()
    }
}

/// What the tests are told about the board.
fn environment(
    repository: &Repository,
    chosen: &Chosen,
    place: Place,
) -> Result<BTreeMap<String, String>> {
    let mut environment = target_environment::of(repository, chosen, place)?;
    environment.insert("RUST_BACKTRACE".to_owned(), "0".to_owned());
    Ok(environment)
}

/// One board's tests under way.
struct Session<'a> {
    run: &'a Run<'a>,
    chosen: &'a Chosen,
    tested: &'a mut dyn Tested,
    step: &'a Step,
    environment: BTreeMap<String, String>,
    evidence: Option<Evidence>,
    /// How many boots have been recorded.
    boots: usize,
}

impl Session<'_> {
    fn tests(&mut self) -> std::result::Result<Counts, Error> {
        let mut counts = Counts::default();
        for binary in &self.run.programs.tests {
            counts = counts.plus(self.suite(binary)?);
        }
        // A kernel that is not ours to start has not been told to check its memory.
        let is_ours = self.chosen.description.is_none();
        let anything = counts != Counts::default();
        if is_ours && (anything || is_wanted_name(guards::NAME, self.run.filters)) {
            counts = counts.plus(self.guards()?);
        }
        Ok(counts)
    }

    /// Whether the checks of memory that the board was booted with are on and have found nothing.
    fn guards(&mut self) -> std::result::Result<Counts, Error> {
        let agent = self.agent("the board was lost in the last test")?;
        let (started, begun) = (SystemTime::now(), Instant::now());
        let faults = guards::faults(&agent);
        let outcome = match faults.first() {
            None => Outcome::Passed,
            Some(first) => Outcome::Failed {
                reason: first.clone(),
            },
        };
        let mut attempt = Attempt::new(started, begun.elapsed(), outcome);
        attempt.output = faults.join("\n");
        let id = TestId {
            bench: Some(self.chosen.name.clone()),
            suite: guards::SUITE.to_owned(),
            name: guards::NAME.to_owned(),
            place: hil_report::Place::Target,
        };
        let passed = attempt.passed();
        let verdict = if passed { "ok" } else { "FAILED" };
        let text = if passed {
            String::new()
        } else {
            failure_text(&id.name, &attempt)
        };
        self.run.recorder.add(Event::TestFinished { id, attempt });
        let counts = Counts::one(passed);
        anstream::println!(
            "\n     Looking at the kernel of {}\ntest {} ... {verdict}\n{text}\n{}",
            self.chosen.name,
            guards::NAME,
            counts.line()
        );
        Ok(counts)
    }

    /// The agent of a board that is ready; each boot is recorded.
    fn agent(&mut self, why: &str) -> std::result::Result<hil::Agent, Error> {
        let agent = self.tested.agent();
        let boots = self.tested.boots()?.split_off(self.boots);
        if boots.is_empty() {
            return agent;
        }
        self.boots += boots.len();
        self.evidence = None;
        let about = agent.as_ref().ok().map(|agent| agent.about());
        self.run.recorder.add(Event::BenchReady(BenchRecord {
            name: self.chosen.name.clone(),
            board: self.chosen.board.name.clone(),
            title: self.chosen.board.title.clone(),
            kind: self.chosen.kind().to_owned(),
            kernel: about.map(|about| about.kernel.clone()),
            boots: Vec::new(),
        }));
        for boot in boots {
            let boot = Boot {
                started: boot.started,
                duration: boot.duration.unwrap_or_default(),
                why: why.to_owned(),
            };
            let bench = self.chosen.name.clone();
            self.run.recorder.add(Event::Boot { bench, boot });
        }
        agent?;
        self.tested.bring_up_to_date(self.run.built)?;
        self.tested.agent()
    }

    fn suite(&mut self, binary: &TestBinary) -> std::result::Result<Counts, Error> {
        let agent = self.agent("the run began")?;
        let path = self.step.install(&agent, &binary.path)?;
        let listed = suite::list(
            &mut |arguments, variables| {
                let words = std::iter::once(path.as_str()).chain(arguments.iter().copied());
                let mut environment = self.environment.clone();
                let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
                environment.extend(variables.iter().map(pair));
                let program = Program {
                    command: words.map(str::to_owned).collect(),
                    environment,
                    ..Program::default()
                };
                let output = agent.start(program)?.output()?;
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            },
            Place::Target,
        )?;
        let mut shown = format!("\n     Running {} on {}\n", binary.name, self.chosen.name);
        let (mut counts, mut failures) = (Counts::default(), String::new());
        let filters = self.run.filters;
        for test in listed.iter().filter(|test| is_wanted(test, filters)) {
            let id = TestId {
                bench: Some(self.chosen.name.clone()),
                suite: binary.name.clone(),
                name: test.name.clone(),
                place: hil_report::Place::Target,
            };
            self.step.line(&format!("{} {}", binary.name, test.name));
            let (verdict, one) = self.test(&id, test, &path, &mut failures)?;
            // Writing to a string cannot fail.
            let _ = writeln!(shown, "test {} ... {verdict}", test.name);
            counts = counts.plus(one);
        }
        let _ = write!(shown, "{failures}\n{}", counts.line());
        anstream::println!("{shown}");
        Ok(counts)
    }

    /// Runs one test, more than once if it fails and that is wanted.
    fn test(
        &mut self,
        id: &TestId,
        test: &Listed,
        path: &str,
        failures: &mut String,
    ) -> std::result::Result<(String, Counts), Error> {
        let ignored = |reason: &str| {
            let (id, reason) = (id.clone(), reason.to_owned());
            let verdict = format!("ignored, {reason}");
            self.run.recorder.add(Event::TestIgnored { id, reason });
            Ok((
                verdict,
                Counts {
                    ignored: 1,
                    ..Counts::default()
                },
            ))
        };
        if let Some(reason) = &test.ignored {
            return ignored(reason);
        }
        for attempt in 0..=self.run.retries {
            let started = SystemTime::now();
            let id = id.clone();
            let event = Event::TestStarted {
                id: id.clone(),
                started,
            };
            self.run.recorder.add(event);
            let attempted = match self.attempt(test, path)? {
                Ok(attempted) => attempted,
                Err(reason) => return ignored(&reason),
            };
            let (passed, text) = (attempted.passed(), failure_text(&id.name, &attempted));
            let event = Event::TestFinished {
                id,
                attempt: attempted,
            };
            self.run.recorder.add(event);
            if passed && attempt > 0 {
                return Ok((
                    format!("ok, flaky: attempt {}", attempt + 1),
                    Counts::one(true),
                ));
            }
            if passed {
                return Ok(("ok".to_owned(), Counts::one(true)));
            }
            failures.push_str(&text);
        }
        Ok(("FAILED".to_owned(), Counts::one(false)))
    }

    /// One attempt. A board that is lost is an attempt that has failed, and the next one begins with
    /// a boot.
    fn attempt(
        &mut self,
        test: &Listed,
        path: &str,
    ) -> std::result::Result<std::result::Result<Attempt, String>, Error> {
        let agent = self.agent("the board was lost in the test before")?;
        let mut evidence = match self.evidence {
            Some(evidence) => evidence,
            None => Evidence::begin(&agent)?,
        };
        let mark = self.tested.transcript().mark();
        let (started, begun) = (SystemTime::now(), Instant::now());
        let setting = Setting {
            agent: &agent,
            console: self.tested.transcript(),
            program: path,
            environment: &self.environment,
        };
        match suite::attempt(&setting, test, &mut evidence) {
            Ok(attempt) => {
                self.evidence = Some(evidence);
                Ok(attempt)
            }
            Err(error) => {
                let error = self.tested.explain(error);
                let mut attempt = Attempt::new(started, begun.elapsed(), outcome_of(&error));
                attempt.console = suite::console_lines(self.tested.transcript(), mark);
                Ok(Ok(attempt))
            }
        }
    }
}

pub(super) fn is_wanted(test: &Listed, filters: &[String]) -> bool {
    is_wanted_name(&test.name, filters)
}

/// Whether a test of this name is to be run.
pub(super) fn is_wanted_name(name: &str, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter))
}

/// What the loss of the board means for the test that ran.
fn outcome_of(error: &Error) -> Outcome {
    let reason = error.to_string();
    match error {
        Error::Lost {
            lost: Lost::Panic { .. },
            ..
        } => Outcome::Crashed {
            signal: None,
            reason,
        },
        // A bench that another process serves says the same in its own words.
        Error::Trouble(trouble) if trouble.kind == hil::server::TroubleKind::Target => {
            Outcome::Crashed {
                signal: None,
                reason,
            }
        }
        Error::Unanswered { limit } => Outcome::TimedOut { limit: *limit },
        _ => Outcome::Infrastructure { reason },
    }
}

/// What is shown of an attempt that failed.
pub(super) fn failure_text(name: &str, attempt: &Attempt) -> String {
    let mut text = format!("\n---- {name} ----\n");
    let reason = attempt.reason().unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{reason}");
    let lines: Vec<_> = attempt.output.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(SHOWN)) {
        let _ = writeln!(text, "    {line}");
    }
    for line in attempt
        .kernel_log
        .iter()
        .map(|line| (line.target, &line.text))
    {
        let time = line.0.unwrap_or(Duration::ZERO).as_secs_f64();
        let _ = writeln!(text, "    [{time:12.6}] {}", line.1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_tests_doing_and_a_lost_line_the_benchs() {
        let lost = |lost| Error::Lost {
            lost,
            console: Vec::new(),
        };
        let panic = lost(Lost::Panic { line: "x".into() });
        assert!(matches!(outcome_of(&panic), Outcome::Crashed { .. }));
        let closed = lost(Lost::Closed { reason: None });
        assert!(matches!(
            outcome_of(&closed),
            Outcome::Infrastructure { .. }
        ));
        let limit = Duration::from_secs(3);
        let late = Error::Unanswered { limit };
        assert_eq!(outcome_of(&late), Outcome::TimedOut { limit });
    }

    #[test]
    fn a_failure_shows_its_reason_its_last_lines_and_the_kernels() {
        let reason = "assertion failed".to_owned();
        let failed = Outcome::Failed { reason };
        let mut attempt = Attempt::new(SystemTime::now(), Duration::ZERO, failed);
        attempt.output = (0..100).fold(String::new(), |text, n| text + &format!("line {n}\n"));
        attempt.kernel_log.push(hil_report::Line {
            host: SystemTime::now(),
            target: Some(Duration::from_millis(1500)),
            text: "oops".into(),
        });
        let text = failure_text("x", &attempt);
        assert!(text.contains("---- x ----\n") && text.contains("assertion failed"));
        assert!(!text.contains("line 39\n") && text.contains("line 40\n"));
        assert!(text.ends_with("    [    1.500000] oops\n"), "{text}");
    }
}
