// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver on the older kernels that it is for: the tour, on an emulated board.

use std::mem::swap;
use std::path::Path;
use std::time::{Instant, SystemTime};

use hil_report::{Attempt, Event, Outcome, Place, TestId};

use super::recorder::Recorder;
use super::summary::Counts;
use crate::command::demo;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::module;
use crate::progress::Progress;
use crate::setup::Setup;

/// What the test is called in the reports.
pub(super) const NAME: &str = "every room of the tour passes";

/// Tours the default board once for each older kernel. What came of it is said by the kernel's name.
pub(super) fn run(
    setup: &mut Setup,
    agent: &Path,
    recorder: &Recorder,
    progress: &Progress,
) -> Vec<(String, Result<Counts>)> {
    let mut results = Vec::new();
    for index in 0..setup.older.len() {
        // For so long it is the kernel that is built for and booted.
        swap(&mut setup.kernel, &mut setup.older[index]);
        let release = setup.kernel.release().to_owned();
        let toured = on(setup, agent, recorder, progress);
        let toured = toured.inspect_err(|failure| recorder.blame(failure, None));
        swap(&mut setup.kernel, &mut setup.older[index]);
        results.push((format!("on kernel {release}"), toured));
    }
    results
}

fn on(setup: &Setup, agent: &Path, recorder: &Recorder, progress: &Progress) -> Result<Counts> {
    let release = setup.kernel.release();
    anstream::println!("\n     Running the tour on kernel {release}");
    let board = setup.tools.repository.board_or_default(None)?;
    let built = module::build_for(setup, &setup.kernel, &format!("module-{release}"), progress)?;
    let (started, begun) = (SystemTime::now(), Instant::now());
    let folder = format!("test/older/{release}");
    let (outcome, failure) = match demo::verdict(setup, &built, &board, agent, folder, progress) {
        Ok(()) => (Outcome::Passed, None),
        Err(failure) if failure.exit() == Exit::TestFailed => {
            let reason = failure.summary();
            (Outcome::Failed { reason }, Some(failure))
        }
        Err(failure) => return Err(failure),
    };
    let id = TestId {
        bench: None,
        suite: format!("kernel {release}"),
        name: NAME.to_owned(),
        place: Place::Pc,
    };
    let mut attempt = Attempt::new(started, begun.elapsed(), outcome);
    let evidence = failure.as_ref().map(Failure::evidence_lines);
    attempt.output = evidence.unwrap_or_default().join("\n");
    recorder.add(Event::TestFinished { id, attempt });
    let passed = failure.is_none();
    anstream::println!("test {NAME} ... {}", if passed { "ok" } else { "FAILED" });
    if let Some(failure) = failure {
        failure.print();
    }
    let counts = Counts::one(passed);
    anstream::println!("\n{}", counts.line());
    Ok(counts)
}
