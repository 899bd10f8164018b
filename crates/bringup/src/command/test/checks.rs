// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the source must be besides correct. Everything runs in the toolbox, so a check's verdict
//! is the same on every PC, and the workspace is proven to build with its minimum compiler.

use std::path::Path;
use std::time::{Instant, SystemTime};

use hil_report::{Attempt, Event, Outcome, Place, TestId};

use super::recorder::Recorder;
use super::summary::Counts;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::module;
use crate::progress::Progress;
use crate::setup::Setup;
use crate::target_programs::{self, LARGEST};

/// A check, under the name that tells what is so when it passes.
type Check<'a> = (String, Box<dyn Fn() -> Result<()> + 'a>);

/// What the checks are called in the reports.
const SUITE: &str = "source";

/// All checks; those of an older kernel are of the same source.
fn all<'a>(setup: &'a Setup, program: Option<&'a Path>, progress: &'a Progress) -> Vec<Check<'a>> {
    let mut checks: Vec<Check<'a>> = vec![
        (
            "kmod is formatted as the kernel wants it".to_owned(),
            Box::new(|| module::lint::formatting(setup, progress)),
        ),
        (
            "kmod builds without a warning of clippy".to_owned(),
            Box::new(|| module::lint::clippy(setup, &setup.kernel, progress)),
        ),
    ];
    for kernel in &setup.older {
        checks.push((
            format!("kmod builds without a warning for {}", kernel.release()),
            Box::new(|| module::lint::clippy(setup, kernel, progress)),
        ));
    }
    checks.push((
        "the workspace is formatted".to_owned(),
        Box::new(|| target_programs::formatting(&setup.tools, progress)),
    ));
    checks.push((
        "the workspace has no warning of clippy".to_owned(),
        Box::new(|| target_programs::clippy(&setup.tools, progress)),
    ));
    if let Some(program) = program {
        checks.push((
            format!("the board's program has at most {LARGEST} bytes"),
            Box::new(|| target_programs::require_small(program)),
        ));
    }
    checks
}

/// Runs all checks, that of the board's program only if it was built; one that finds something does
/// not keep the next from running. In the reports a check that found something is source that does
/// not build.
pub(super) fn run(
    setup: &Setup,
    program: Option<&Path>,
    recorder: &Recorder,
    progress: &Progress,
) -> Result<Counts> {
    let checks = all(setup, program, progress);
    anstream::println!("\nrunning {} checks of the source", checks.len());
    let mut counts = Counts::default();
    let mut failures: Vec<Failure> = Vec::new();
    for (name, check) in checks {
        let (started, begun) = (SystemTime::now(), Instant::now());
        let passed = match check() {
            Ok(()) => {
                let id = TestId {
                    bench: None,
                    suite: SUITE.to_owned(),
                    name: name.clone(),
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
