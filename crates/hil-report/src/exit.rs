// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a program that made a run ends with.

use crate::{Outcome, Report, TestRecord, TroubleKind, Verdict};

/// What a program that made a run ends with, of the exit codes of the kit.
///
/// Where several fit, the one counts that is named first here:
///
/// 1. [`Exit::Build`]: what did not build was not tested at all, and the rest may follow from it.
/// 2. [`Exit::Failed`]: a defect stays one, whatever else happened to the benches.
/// 3. [`Exit::TimedOut`]: a test that hangs is most likely a defect, too.
/// 4. [`Exit::Infrastructure`]: nothing speaks against what was tested. A farm may simply run
///    such a run again, so nothing that is worse may hide behind this code.
/// 5. [`Exit::Passed`]: also with tests that are flaky or ignored, and with no test at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// No test failed.
    Passed,
    /// A bench failed, or the run was cut off.
    Infrastructure,
    /// No test failed otherwise than by not ending in time.
    TimedOut,
    /// A test failed.
    Failed,
    /// Something did not build.
    Build,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Infrastructure => 4,
            Self::TimedOut => 5,
            Self::Build => 6,
        }
    }

    pub(crate) fn of(report: &Report) -> Self {
        let troubles = report.troubles.iter().map(|trouble| match trouble.kind {
            TroubleKind::Build => Self::Build,
            TroubleKind::Infrastructure => Self::Infrastructure,
        });
        let cut_off = report.cut_off.iter().map(|_| Self::Infrastructure);
        let tests = report.tests.iter().map(Self::of_test);
        let all = troubles.chain(cut_off).chain(tests);
        all.max().unwrap_or(Self::Passed)
    }

    fn of_test(test: &TestRecord) -> Self {
        // A test that hangs because the kernel fell over has found that.
        let only_late = test.decisive().is_some_and(|attempt| {
            matches!(attempt.outcome, Outcome::TimedOut { .. }) && attempt.complaints.is_empty()
        });
        match test.verdict() {
            Verdict::Failed if only_late => Self::TimedOut,
            Verdict::Failed => Self::Failed,
            Verdict::Infrastructure => Self::Infrastructure,
            Verdict::Passed | Verdict::Flaky | Verdict::Ignored => Self::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attempt, Place, TestId, Trouble};
    use std::time::{Duration, UNIX_EPOCH};

    const LATE: Outcome = Outcome::TimedOut {
        limit: Duration::from_secs(1),
    };

    fn with_test(mut report: Report, outcome: Outcome, complaints: &[&str]) -> Report {
        let mut test = TestRecord::new(TestId {
            bench: None,
            suite: "suite".to_owned(),
            name: report.tests.len().to_string(),
            place: Place::Pc,
        });
        let mut attempt = Attempt::new(UNIX_EPOCH, Duration::ZERO, outcome);
        attempt.complaints = complaints.iter().map(ToString::to_string).collect();
        test.attempts.push(attempt);
        report.tests.push(test);
        report
    }

    fn with_trouble(mut report: Report, kind: TroubleKind) -> Report {
        report.troubles.push(Trouble {
            kind,
            what: "it".to_owned(),
            bench: None,
            detail: Vec::new(),
        });
        report
    }

    fn exit(report: &Report) -> (Exit, u8) {
        (report.exit(), report.exit().code())
    }

    #[test]
    fn the_worst_counts_whatever_came_before_and_after() {
        let reason = String::new;
        let mut report = Report::new(UNIX_EPOCH);
        assert_eq!(exit(&report), (Exit::Passed, 0));
        report = with_test(report, Outcome::Passed, &[]);
        assert_eq!(exit(&report), (Exit::Passed, 0));
        report = with_test(report, Outcome::Infrastructure { reason: reason() }, &[]);
        assert_eq!(exit(&report), (Exit::Infrastructure, 4));
        report = with_test(report, LATE, &[]);
        assert_eq!(exit(&report), (Exit::TimedOut, 5));
        report = with_test(report, Outcome::Failed { reason: reason() }, &[]);
        assert_eq!(exit(&report), (Exit::Failed, 1));
        report = with_trouble(report, TroubleKind::Infrastructure);
        assert_eq!(exit(&report), (Exit::Failed, 1));
        report = with_trouble(report, TroubleKind::Build);
        report = with_test(report, Outcome::Passed, &[]);
        assert_eq!(exit(&report), (Exit::Build, 6));
        report.tests.reverse();
        assert_eq!(exit(&report), (Exit::Build, 6));
    }

    #[test]
    fn a_trouble_or_a_cut_alone_is_told() {
        let empty = || Report::new(UNIX_EPOCH);
        let bench = with_trouble(empty(), TroubleKind::Infrastructure);
        assert_eq!(bench.exit(), Exit::Infrastructure);
        assert_eq!(
            with_trouble(empty(), TroubleKind::Build).exit(),
            Exit::Build
        );
        let mut cut = with_test(empty(), Outcome::Passed, &[]);
        cut.cut_off = Some("power".to_owned());
        assert_eq!(cut.exit(), Exit::Infrastructure);
    }

    #[test]
    fn a_complaint_is_a_failure_even_of_a_test_that_is_late() {
        let empty = || Report::new(UNIX_EPOCH);
        assert_eq!(with_test(empty(), LATE, &["Oops"]).exit(), Exit::Failed);
        let passed = with_test(empty(), Outcome::Passed, &["Oops"]);
        assert_eq!(passed.exit(), Exit::Failed);
    }

    #[test]
    fn flaky_and_ignored_tests_fail_no_run() {
        let reason = "once".to_owned();
        let mut report = with_test(Report::new(UNIX_EPOCH), Outcome::Failed { reason }, &[]);
        let passed = Attempt::new(UNIX_EPOCH, Duration::ZERO, Outcome::Passed);
        report.tests[0].attempts.push(passed);
        let mut ignored = TestRecord::new(report.tests[0].id.clone());
        ignored.ignored = Some("no LED".to_owned());
        report.tests.push(ignored);
        assert_eq!(report.exit(), Exit::Passed);
    }
}
