// SPDX-License-Identifier: MIT OR Apache-2.0

//! The matrix of tests and benches.

use super::markup::Markup;
use super::overview::{first_line, why};
use super::{bench_name, ordered};
use crate::{Counts, Report, TestRecord, Verdict, moment};

/// With more benches than this, the matrix scrolls in a window of its own.
const BENCHES_THAT_FIT: usize = 6;

/// The tests of one name on each bench.
struct Row<'a> {
    suite: &'a str,
    name: &'a str,
    tests: Vec<(usize, &'a TestRecord)>,
}

pub(super) fn matrix(report: &Report) -> Markup {
    let columns = report.columns();
    let rows = rows(report);
    let mut page = Markup::from("<section id=\"matrix\">\n<h2>Matrix</h2>\n");
    if rows.is_empty() {
        page.tag("<p class=\"nothing\">No test was to be run.</p>\n</section>");
        return page;
    }
    page.tag(if columns.len() > BENCHES_THAT_FIT {
        "<div class=\"grid boxed\">"
    } else {
        "<div class=\"grid\">"
    });
    page.tag("<table class=\"matrix\">\n<thead><tr><th scope=\"col\">test");
    for bench in &columns {
        let known = bench.and_then(|name| report.bench(name));
        page.tag("<th scope=\"col\">")
            .text(bench_name(*bench))
            .tag("<small>");
        page.text(known.map_or("", |bench| &bench.title))
            .tag("</small>");
    }
    page.tag("</thead>\n");
    for suite in rows.chunk_by(|one, next| one.suite == next.suite) {
        group(&mut page, suite, &columns);
    }
    page.tag("</table></div>\n</section>");
    page
}

/// A suite: a row with its name and one for each of its tests.
fn group(page: &mut Markup, rows: &[Row<'_>], columns: &[Option<&str>]) {
    let name = rows.first().map_or("", |row| row.suite);
    page.tag("<tbody>\n<tr class=\"suite\"><th scope=\"rowgroup\">")
        .text(name);
    page.tag(" <small>").number(rows.len()).tag("</small>");
    for bench in columns {
        let tests = rows.iter().flat_map(|row| &row.tests);
        let tests = tests.filter(|(_, test)| test.id.bench.as_deref() == *bench);
        let counts: Counts = tests.map(|(_, test)| *test).collect();
        page.tag("<td>");
        if counts.tests() > 0 {
            page.number(counts.passed + counts.flaky).tag("<span>/");
            page.number(counts.tests()).tag("</span>");
        }
    }
    page.tag("\n");
    for row in rows {
        page.tag("<tr class=\"row\"><th scope=\"row\">")
            .name(row.name);
        for bench in columns {
            let mut tests = row.tests.iter();
            match tests.find(|(_, test)| test.id.bench.as_deref() == *bench) {
                Some((index, test)) => cell(page, *index, test),
                None => {
                    page.tag("<td class=\"none\" title=\"not on this bench\">·");
                }
            }
        }
        page.tag("\n");
    }
    page.tag("</tbody>\n");
}

fn cell(page: &mut Markup, index: usize, test: &TestRecord) {
    let verdict = test.verdict();
    page.tag("<td class=\"")
        .tag(verdict.word())
        .tag("\"><a href=\"#t")
        .number(index);
    let why = why(test);
    if !why.is_empty() {
        page.tag("\" title=\"").text(first_line(&why));
    }
    page.tag("\"><b aria-hidden=\"true\">")
        .tag(verdict.sign())
        .tag("</b> ");
    match verdict {
        // The word is left to the sign here, so that what is not passed stands out.
        Verdict::Passed => page.tag("<span class=\"unseen\">passed</span> "),
        _ => page.tag(verdict.word()).tag(" "),
    };
    if let Some(attempt) = test.attempts.last() {
        page.tag("<small>").text(moment::span(attempt.duration));
        if test.retries() > 0 {
            page.tag(" ×").number(test.attempts.len());
        }
        page.tag("</small>");
    }
    page.tag("</a>");
}

fn rows(report: &Report) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (index, test) in ordered(report) {
        match rows.last_mut() {
            Some(row) if row.suite == test.id.suite && row.name == test.id.name => {
                row.tests.push((index, test));
            }
            _ => rows.push(Row {
                suite: &test.id.suite,
                name: &test.id.name,
                tests: vec![(index, test)],
            }),
        }
    }
    rows
}
