// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the source must be besides correct. Everything runs in the toolbox, so a check's verdict
//! is the same on every PC, and the workspace is proven to build with its minimum compiler.

use std::time::{Instant, SystemTime};

use hil_report::{Attempt, Event, Outcome, Place, TestId};

use super::recorder::Recorder;
use super::summary::Counts;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::module;
use crate::progress::Progress;
use crate::setup::Setup;
use crate::target_programs;

type Check = fn(&Setup, &Progress) -> Result<()>;

const CHECKS: [(&str, Check); 4] = [
    (
        "kmod is formatted as the kernel wants it",
        module::lint::formatting,
    ),
    (
        "kmod builds without a warning of clippy",
        module::lint::clippy,
    ),
    ("the workspace is formatted", |setup, progress| {
        target_programs::formatting(&setup.tools, progress)
    }),
    (
        "the workspace has no warning of clippy",
        |setup, progress| target_programs::clippy(&setup.tools, progress),
    ),
];

/// What the checks are called in the reports.
const SUITE: &str = "source";

/// Runs all checks; one that finds something does not keep the next from running. In the reports a
/// check that found something is source that does not build.
pub(super) fn run(setup: &Setup, recorder: &Recorder, progress: &Progress) -> Result<Counts> {
    anstream::println!("\nrunning {} checks of the source", CHECKS.len());
    let mut counts = Counts::default();
    let mut failures: Vec<Failure> = Vec::new();
    for (name, check) in CHECKS {
        let (started, begun) = (SystemTime::now(), Instant::now());
        let passed = match check(setup, progress) {
            Ok(()) => {
                let id = TestId {
                    bench: None,
                    suite: SUITE.to_owned(),
                    name: name.to_owned(),
                    place: Place::Pc,
                };
                let attempt = Attempt::new(started, begun.elapsed(), Outcome::Passed);
                recorder.add(Event::TestFinished { id, attempt });
                true
            }
            Err(failure) if failure.exit() == Exit::Build => {
                let failure = failure.within(&format!("not so: {name}"));
                recorder.blame(&failure, None);
                failures.push(failure);
                false
            }
            Err(failure) => return Err(failure),
        };
        anstream::println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        counts = counts.plus(Counts::one(passed));
    }
    for failure in failures {
        failure.print();
    }
    anstream::println!("\n{}", counts.line());
    Ok(counts)
}
