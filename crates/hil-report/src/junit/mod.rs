// SPDX-License-Identifier: MIT OR Apache-2.0

//! The report as JUnit XML.

mod case;
mod evidence;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset};
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use self::case::case;
use self::evidence::{joined, line, text};
use crate::excerpt::{self, Budget, Limits};
use crate::{Attempt, Error, Report, TestRecord, TroubleKind, moment};

/// The suite of what went wrong apart from any test.
const TROUBLES: &str = "troubles";

impl Report {
    /// The report as JUnit XML: one `testsuite` for each bench and test binary, and one named
    /// `troubles` if anything went wrong apart from the tests.
    ///
    /// A test that failed has a `failure`. Its `type` is `failed`, `timed-out`, `crashed` or
    /// `kernel-complaint`. What is not the test's fault is an `error` with the type
    /// `infrastructure` or `build`. Retries are `flakyFailure` or `flakyError` if the last attempt
    /// passed, otherwise `rerunFailure` or `rerunError`. Long evidence is cut as [`Limits`] say.
    pub fn to_junit(&self) -> Result<String, Error> {
        let mut budget = Budget::default();
        let mut document = quick_junit::Report::new("bringup");
        document.set_timestamp(timestamp(self.started));
        document.set_time(self.duration);
        for bench in self.columns() {
            let mut suites: BTreeMap<&str, Vec<&TestRecord>> = BTreeMap::new();
            for test in self.tests_of(bench) {
                suites.entry(&test.id.suite).or_default().push(test);
            }
            for (name, tests) in suites {
                let suite = self.suite(bench, name, &tests, &mut budget);
                document.add_test_suite(suite);
            }
        }
        let troubles = self.troubles_suite();
        if !troubles.test_cases.is_empty() {
            document.add_test_suite(troubles);
        }
        document.to_string().map_err(Error::Junit)
    }

    fn suite(
        &self,
        bench: Option<&str>,
        name: &str,
        tests: &[&TestRecord],
        budget: &mut Budget,
    ) -> TestSuite {
        let full = text(&format!("{}/{name}", bench.unwrap_or("pc")));
        let mut suite = TestSuite::new(&full);
        for (name, value) in self.properties(bench) {
            suite.add_property(Property::new(text(&name), text(&value)));
        }
        let attempts = || tests.iter().flat_map(|test| &test.attempts);
        if let Some(first) = attempts().map(|attempt| attempt.started).min() {
            suite.set_timestamp(timestamp(first));
        }
        suite.set_time(sum(attempts()));
        for test in tests {
            let mut case = case(test, budget);
            case.set_classname(&full);
            suite.add_test_case(case);
        }
        suite
    }

    fn properties(&self, bench: Option<&str>) -> Vec<(String, String)> {
        let mut properties = vec![("bench".to_owned(), bench.unwrap_or("pc").to_owned())];
        if let Some(bench) = bench.and_then(|bench| self.bench(bench)) {
            let mut add = |name: &str, value: &str| {
                properties.push((name.to_owned(), value.to_owned()));
            };
            add("board", &bench.board);
            add("bench-kind", &bench.kind);
            if let Some(kernel) = &bench.kernel {
                add("kernel", kernel);
            }
        }
        properties.extend(self.notes.iter().cloned());
        properties
    }

    fn troubles_suite(&self) -> TestSuite {
        let mut suite = TestSuite::new(TROUBLES);
        let mut add = |kind: TroubleKind, what: &str, bench: Option<&str>, detail: &str| {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type(kind.word());
            status.set_message(line(what));
            let detail = excerpt::of_text(detail, Limits::NOT_PASSED.bytes);
            status.set_description(joined(&detail, text));
            let mut case = TestCase::new(line(what), status);
            case.set_classname(text(bench.unwrap_or(TROUBLES)));
            suite.add_test_case(case);
        };
        for trouble in &self.troubles {
            let detail = trouble.detail.join("\n");
            add(
                trouble.kind,
                &trouble.what,
                trouble.bench.as_deref(),
                &detail,
            );
        }
        if let Some(why) = &self.cut_off {
            add(TroubleKind::Infrastructure, why, None, "");
        }
        suite
    }
}

fn timestamp(moment: SystemTime) -> DateTime<FixedOffset> {
    moment::calendar(moment).fixed_offset()
}

fn sum<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Duration {
    let durations = attempts.into_iter().map(|attempt| attempt.duration);
    durations.fold(Duration::ZERO, Duration::saturating_add)
}
