// SPDX-License-Identifier: MIT OR Apache-2.0

//! A test as a `testcase`.

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestRerun};

use super::evidence::{evidence, joined, line, text};
use super::{sum, timestamp};
use crate::excerpt::{self, Budget, Limits};
use crate::{Attempt, Outcome, TestRecord, Verdict};

pub(super) fn case(test: &TestRecord, budget: &mut Budget) -> TestCase {
    let status = status(test, budget);
    let mut case = TestCase::new(text(&test.id.name), status);
    case.set_time(sum(&test.attempts));
    case.add_property(Property::new("place", test.id.place.word()));
    if let Some(first) = test.attempts.first() {
        case.set_timestamp(timestamp(first.started));
    }
    if let Some(shown) = shown(test) {
        let limits = budget.limits(shown);
        case.set_system_out(evidence(shown, limits));
        for (name, value) in &shown.notes {
            case.add_property(Property::new(text(name), line(value)));
        }
    }
    case
}

/// The attempt that stands for a test: the one that passed, or as Maven's Surefire has it the
/// first one that says why the test has its verdict.
fn shown(test: &TestRecord) -> Option<&Attempt> {
    let verdict = test.verdict();
    let mut attempts = test.attempts.iter();
    match verdict {
        Verdict::Passed | Verdict::Flaky => attempts.next_back(),
        Verdict::Failed => attempts.find(|attempt| attempt.failed()),
        Verdict::Infrastructure => attempts.find(|attempt| !attempt.passed()),
        Verdict::Ignored => None,
    }
}

fn status(test: &TestRecord, budget: &mut Budget) -> TestCaseStatus {
    let shown = shown(test);
    let kind = match test.verdict() {
        Verdict::Ignored => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(line(&test.reason().unwrap_or_default()));
            return status;
        }
        Verdict::Passed | Verdict::Flaky => None,
        Verdict::Failed => Some(NonSuccessKind::Failure),
        Verdict::Infrastructure => Some(NonSuccessKind::Error),
    };
    let mut status = match kind {
        None => TestCaseStatus::success(),
        Some(kind) => {
            let mut status = TestCaseStatus::non_success(kind);
            let reason = shown.map_or_else(|| test.reason(), Attempt::reason);
            status.set_type(shown.map_or("infrastructure", fault));
            status.set_message(line(&reason.unwrap_or_default()));
            if let Some(shown) = shown {
                status.set_description(description(shown));
            }
            status
        }
    };
    for attempt in &test.attempts {
        let is_shown = shown.is_some_and(|shown| std::ptr::eq(shown, attempt));
        if !attempt.passed() && !is_shown {
            status.add_rerun(rerun(attempt, budget));
        }
    }
    status
}

fn rerun(attempt: &Attempt, budget: &mut Budget) -> TestRerun {
    let mut rerun = TestRerun::new(if attempt.failed() {
        NonSuccessKind::Failure
    } else {
        NonSuccessKind::Error
    });
    rerun.set_timestamp(timestamp(attempt.started));
    rerun.set_time(attempt.duration);
    rerun.set_type(fault(attempt));
    rerun.set_message(line(&attempt.reason().unwrap_or_default()));
    rerun.set_description(description(attempt));
    let limits = budget.limits(attempt);
    rerun.set_system_out(evidence(attempt, limits));
    rerun
}

/// What kind of fault an attempt that did not pass has found.
fn fault(attempt: &Attempt) -> &'static str {
    match attempt.outcome {
        Outcome::Passed => "kernel-complaint",
        Outcome::Failed { .. } => "failed",
        Outcome::TimedOut { .. } => "timed-out",
        Outcome::Crashed { .. } => "crashed",
        Outcome::Infrastructure { .. } => "infrastructure",
    }
}

/// The whole reason, and what the kernel complained about.
fn description(attempt: &Attempt) -> String {
    let mut all = attempt.reason().unwrap_or_default();
    for complaint in &attempt.complaints {
        all.push('\n');
        all.push_str(complaint);
    }
    let excerpt = excerpt::of_text(&all, Limits::NOT_PASSED.bytes);
    joined(&excerpt, text)
}
