// SPDX-License-Identifier: MIT OR Apache-2.0

//! The report as one HTML page.

mod details;
mod evidence;
mod lane;
mod markup;
mod matrix;
mod overview;
mod timeline;

use self::markup::Markup;
use crate::{Exit, Report, Summary, TestRecord, moment};

/// The page around the parts. Its first line, as that of the others, is for the source only.
const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The hash of the script, so that a browser runs no other, wherever one may come from.
const SCRIPT_HASH: &str = "sha256-B69gcjWJ5cRc0jc+LUOIMcStmMVWqgpvYGkFXe8fBp8=";

impl Report {
    /// The report as one HTML page. It needs no other file, no network and no script to be read;
    /// with its script it can be filtered and zoomed.
    ///
    /// `?filter=words&show=failed,flaky` behind the page's address sets filter and verdicts, and
    /// `#t7` opens the eighth test of the report. Long evidence is cut as [`crate::Limits`] say.
    pub fn to_html(&self) -> String {
        let summary = self.summary();
        let page = Markup::fill(without_first_line(PAGE), |part| match part {
            "title" => title(self, &summary),
            "style" => without_first_line(STYLE).into(),
            "script" => without_first_line(SCRIPT).into(),
            "script-hash" => SCRIPT_HASH.into(),
            "header" => overview::header(self, &summary),
            "tools" => overview::tools(&summary),
            "troubles" => overview::troubles(self),
            "attention" => overview::attention(self),
            "benches" => overview::benches(self, &summary),
            "matrix" => matrix::matrix(self),
            "timeline" => timeline::timeline(self),
            "tests" => details::tests(self),
            _ => Markup::default(),
        });
        page.into_string()
    }
}

/// The run's result in a few words.
fn headline(report: &Report, summary: &Summary) -> String {
    let counts = summary.total;
    let tests = |count: usize| match count {
        1 => "1 test".to_owned(),
        _ => format!("{count} tests"),
    };
    match report.exit() {
        Exit::Build => "The source does not build".to_owned(),
        Exit::Failed => format!("{} failed", tests(counts.failed)),
        Exit::TimedOut => format!("{} did not end in time", tests(counts.failed)),
        Exit::Infrastructure if counts.infrastructure > 0 => {
            format!("The bench failed {}", tests(counts.infrastructure))
        }
        Exit::Infrastructure if report.troubles.iter().any(|one| one.bench.is_some()) => {
            "A bench failed".to_owned()
        }
        Exit::Infrastructure if summary.infrastructure_troubles > 0 => {
            "The run could not go on".to_owned()
        }
        Exit::Infrastructure => "The run was cut off".to_owned(),
        Exit::Passed if counts.tests() == 0 => "No tests were run".to_owned(),
        Exit::Passed if counts.flaky > 0 => {
            format!("All tests passed, {} of them flaky", counts.flaky)
        }
        Exit::Passed if counts.passed == 0 => "All tests were ignored".to_owned(),
        Exit::Passed => "All tests passed".to_owned(),
    }
}

fn title(report: &Report, summary: &Summary) -> Markup {
    let mut title = Markup::default();
    title.text(headline(report, summary)).tag(" · ");
    title
        .text(moment::day_and_minute(report.started))
        .tag(" UTC");
    title
}

/// The tests by suite, then by name, then by bench as the matrix has them; each with its place in
/// the report, which is its anchor.
fn ordered(report: &Report) -> Vec<(usize, &TestRecord)> {
    let columns = report.columns();
    let column = |test: &TestRecord| {
        let mut columns = columns.iter();
        columns.position(|bench| *bench == test.id.bench.as_deref())
    };
    let mut tests: Vec<_> = report.tests.iter().enumerate().collect();
    tests.sort_by_cached_key(|(index, test)| (&test.id.suite, &test.id.name, column(test), *index));
    tests
}

/// How documents call a bench, or the PC alone.
fn bench_name(bench: Option<&str>) -> &str {
    bench.unwrap_or("this PC")
}

fn without_first_line(template: &'static str) -> &'static str {
    template.split_once('\n').map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_policy_lets_this_script_run_and_no_other() {
        let page = Report::new(std::time::UNIX_EPOCH).to_html();
        let (_, rest) = page.split_once("<script>").unwrap();
        let (script, _) = rest.split_once("</script>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(script));
        assert_eq!(SCRIPT_HASH, format!("sha256-{hash}"));
        assert!(page.contains(&format!("script-src '{SCRIPT_HASH}'")));
    }
}
