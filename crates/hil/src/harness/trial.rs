// SPDX-License-Identifier: MIT OR Apache-2.0

//! A test, run: in a thread of its own, so that it can be given up when its time is up.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::TargetDescription;
use super::attempt::{Attempted, Failure, attempt};
use super::case::{Body, Case, Test};
use super::outcome::Verdict;
use crate::Target;

/// How long it may take until there is something to test on. A bench has narrower bounds of its
/// own; this one is for what they do not cover.
const PREPARATION: Duration = Duration::from_secs(600);

/// How far a test has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Preparation,
    Setup,
    Body,
    Teardown,
    Cleanup,
}

/// Stands before what is said of a part.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preparation => "preparation: ",
            Self::Setup => "setup: ",
            Self::Body => "",
            Self::Teardown => "teardown: ",
            Self::Cleanup => "cleanup: ",
        })
    }
}

/// What the thread of a test tells.
enum Event {
    Begun(Part),
    Failed(String),
    Ended,
}

/// Runs a test, and says everything that failed.
pub(super) fn run(test: &'static Test, target: Option<Arc<TargetDescription>>) -> Verdict {
    match &test.body {
        Body::Anywhere(case) => perform(test, case, || Ok(()), |()| Ok(())),
        Body::Target(case) => {
            let target = target.ok_or("nobody says what the target is")?;
            perform(test, case, || Ok(Target::new(target)), Target::close)
        }
        #[cfg(feature = "bench")]
        Body::Bench(case) => perform(test, case, super::on_bench::open, super::on_bench::close),
    }
}

fn perform<S>(
    test: &'static Test,
    case: &'static Case<S>,
    open: impl FnOnce() -> Result<S, String> + Send + 'static,
    close: fn(S) -> Verdict,
) -> Verdict {
    let (sender, events) = channel();
    let report = Report {
        test: test.name(),
        sender,
    };
    let thread = thread::Builder::new().name(test.name()).spawn(move || {
        // Without a listener there is nobody to go on for.
        let _ = parts(test, case, open, close, &report);
    });
    match thread {
        Ok(_) => await_end(test, case.teardown.is_some(), &events),
        Err(error) => Err(format!("cannot start the test's thread: {error}")),
    }
}

/// Says what failed at once, as well as at the end: the next thing may bring the board down.
fn say(test: &str, failure: &str) {
    let line = format!("{test} failed: {failure}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The thread has been given up.
struct Abandoned;

/// What the thread of a test tells, and whom.
struct Report {
    test: String,
    sender: Sender<Event>,
}

impl Report {
    fn tell(&self, event: Event) -> Result<(), Abandoned> {
        self.sender.send(event).map_err(|_| Abandoned)
    }

    /// Does a part of the test, and says whether it failed.
    fn part(&self, part: Part, work: impl FnOnce() -> Verdict) -> Result<bool, Abandoned> {
        self.judged(part, || {
            attempt(Attempted::Success, work).map_err(|failure| failure.to_string())
        })
    }

    fn judged(&self, part: Part, work: impl FnOnce() -> Verdict) -> Result<bool, Abandoned> {
        self.tell(Event::Begun(part))?;
        let Err(failure) = work() else {
            return Ok(false);
        };
        let failure = format!("{part}{failure}");
        self.tell(Event::Failed(failure.clone()))?;
        say(&self.test, &failure);
        Ok(true)
    }
}

/// Does all parts of a test, in its thread.
fn parts<S>(
    test: &Test,
    case: &Case<S>,
    open: impl FnOnce() -> Result<S, String>,
    close: fn(S) -> Verdict,
    report: &Report,
) -> Result<(), Abandoned> {
    let mut subject = None;
    report.part(Part::Preparation, || {
        open().map(|made| subject = Some(made))
    })?;
    if let Some(mut subject) = subject {
        let setup = |part: fn(&mut S) -> Verdict| report.part(Part::Setup, || part(&mut subject));
        let failed = case.setup.map(setup).transpose()?;
        if failed != Some(true) {
            report.judged(Part::Body, || {
                let attempted = match test.should_panic {
                    Some(_) => Attempted::Panic,
                    None => Attempted::Success,
                };
                judge(
                    test.should_panic,
                    attempt(attempted, || (case.body)(&mut subject)),
                )
            })?;
        }
        // A setup that failed may have done half of its work, too.
        if let Some(teardown) = case.teardown {
            report.part(Part::Teardown, || teardown(&mut subject))?;
        }
        report.part(Part::Cleanup, || close(subject))?;
    }
    report.tell(Event::Ended)
}

/// What the outcome means for a test that may have to panic.
fn judge(should_panic: Option<&str>, outcome: Result<(), Failure>) -> Verdict {
    match (should_panic, outcome) {
        (None, outcome) => outcome.map_err(|failure| failure.to_string()),
        (Some(_), Ok(())) => Err("did not panic, but should".to_owned()),
        (Some(text), Err(Failure::Panicked(panic))) if panic.message.contains(text) => Ok(()),
        (Some(text), Err(failure)) => Err(format!("{failure}\nbut should panic with `{text}`")),
    }
}

/// Follows the thread of a test until it ends or its time is up.
fn await_end(test: &Test, has_teardown: bool, events: &Receiver<Event>) -> Verdict {
    let mut failures = Vec::new();
    let mut part = Part::Preparation;
    let mut bound = PREPARATION;
    let mut start = Instant::now();
    loop {
        let event = events.recv_timeout(bound.saturating_sub(start.elapsed()));
        let ended = match event {
            Ok(Event::Begun(next)) => {
                if part == Part::Preparation && next != part {
                    (bound, start) = (test.timeout(), Instant::now());
                }
                part = next;
                continue;
            }
            Ok(Event::Failed(failure)) => {
                failures.push(failure);
                continue;
            }
            Ok(Event::Ended) => break,
            Err(RecvTimeoutError::Timeout) => timed_out(part, bound, has_teardown),
            Err(RecvTimeoutError::Disconnected) => format!("{part}the test ended its thread"),
        };
        say(&test.name(), &ended);
        failures.push(ended);
        break;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}

fn timed_out(part: Part, bound: Duration, has_teardown: bool) -> String {
    let undone = if has_teardown && matches!(part, Part::Setup | Part::Body) {
        ", and its teardown was not run"
    } else {
        ""
    };
    format!("{part}timed out after {}{undone}", spoken(bound))
}

/// A bound of time as one writes it.
fn spoken(limit: Duration) -> String {
    if limit.subsec_millis() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}
