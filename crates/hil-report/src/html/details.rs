// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything about each test.

use super::evidence::evidence;
use super::markup::Markup;
use super::overview::{first_line, why};
use super::{bench_name, ordered};
use crate::excerpt::{self, Budget, Limits};
use crate::{Attempt, Report, TestRecord, Verdict, moment};

pub(super) fn tests(report: &Report) -> Markup {
    let mut page = Markup::from("<section id=\"tests\">\n<h2>Tests</h2>\n");
    let tests = ordered(report);
    if tests.is_empty() {
        page.tag("<p class=\"nothing\">There are none.</p>\n");
    } else {
        page.tag(
            "<p class=\"all\"><button type=\"button\" data-open=\"yes\">open all shown</button>",
        );
        page.tag("<button type=\"button\" data-open=\"no\">close all</button></p>\n");
    }
    let mut budget = Budget::default();
    for suite in tests.chunk_by(|(_, one), (_, next)| one.id.suite == next.id.suite) {
        let name = suite.first().map_or("", |(_, test)| &*test.id.suite);
        page.tag("<div class=\"suite\">\n<h3>")
            .text(name)
            .tag("</h3>\n");
        for (index, test) in suite {
            details(&mut page, report, *index, test, &mut budget);
        }
        page.tag("</div>\n");
    }
    page.tag("</section>");
    page
}

fn details(
    page: &mut Markup,
    report: &Report,
    index: usize,
    test: &TestRecord,
    budget: &mut Budget,
) {
    let verdict = test.verdict();
    page.tag("<details class=\"test ")
        .tag(verdict.word())
        .tag("\" data-test=\"")
        .number(index);
    page.tag("\" data-verdict=\"")
        .tag(verdict.word())
        .tag("\" data-name=\"");
    page.text(format!("{} {}", test.id.suite, test.id.name))
        .tag("\"><summary>");
    page.tag("<b class=\"kind\"><span aria-hidden=\"true\">")
        .tag(verdict.sign())
        .tag("</span> ");
    page.tag(verdict.word())
        .tag("</b> <span class=\"name\">")
        .text(&test.id.name);
    page.tag("</span> <span class=\"where\">")
        .text(bench_name(test.id.bench.as_deref()));
    page.tag("</span> <span class=\"took\">");
    if let Some(attempt) = test.attempts.last() {
        page.text(moment::span(attempt.duration));
    }
    page.tag("</span>");
    let why = why(test);
    if !why.is_empty() {
        page.tag(" <span class=\"why\">")
            .text(first_line(&why))
            .tag("</span>");
    }
    // A browser opens what it goes to an anchor in, so the anchor is inside.
    page.tag("</summary>\n<div class=\"body\" id=\"t")
        .number(index)
        .tag("\">\n");
    page.tag("<p class=\"facts\">").tag(match test.id.place {
        crate::Place::Target => "<span>ran on the board</span>",
        crate::Place::Bench => "<span>ran on the PC, with the bench in its hands</span>",
        crate::Place::Pc => "<span>ran on the PC</span>",
    });
    if let Some(bench) = test.id.bench.as_deref().and_then(|name| report.bench(name)) {
        page.tag("<span>").text(&bench.title).tag("</span>");
        if let Some(kernel) = &bench.kernel {
            page.tag("<span>kernel <code>")
                .text(kernel)
                .tag("</code></span>");
        }
    }
    page.tag("</p>\n");
    if verdict == Verdict::Ignored {
        let reason = test.reason().unwrap_or_default();
        page.tag("<p class=\"reason\">Ignored: ")
            .text(reason)
            .tag("</p>\n");
    } else if test.attempts.is_empty() {
        page.tag("<p class=\"reason\">This test was neither run nor ignored.</p>\n");
    }
    for (number, one) in test.attempts.iter().enumerate() {
        attempt(page, number, test.attempts.len(), one, budget.limits(one));
    }
    page.tag("</div></details>\n");
}

fn attempt(page: &mut Markup, number: usize, all: usize, attempt: &Attempt, limits: Limits) {
    let class = if attempt.passed() {
        "passed"
    } else if attempt.failed() {
        "failed"
    } else {
        "infrastructure"
    };
    page.tag("<div class=\"attempt ").tag(class).tag("\"><h4>");
    if all > 1 {
        page.tag("Attempt ")
            .number(number + 1)
            .tag(" of ")
            .number(all)
            .tag(": ");
    }
    page.tag("<b class=\"kind\">")
        .tag(class)
        .tag("</b> <span class=\"took\">after ");
    page.text(moment::span(attempt.duration)).tag(", began at ");
    page.text(moment::time_of_day(attempt.started))
        .tag("</span></h4>\n");
    if let Some(reason) = attempt.reason() {
        let reason = excerpt::of_text(reason.trim(), limits.bytes);
        page.tag("<div class=\"reason\">");
        super::evidence::text(page, &reason);
        page.tag("</div>\n");
    }
    let silent = attempt.output.is_empty()
        && attempt.console.is_empty()
        && attempt.kernel_log.is_empty()
        && attempt.complaints.is_empty()
        && attempt.notes.is_empty();
    if silent {
        page.tag("<p class=\"nothing\">No output, and nothing on the console.</p>");
    }
    evidence(page, attempt, limits);
    page.tag("</div>\n");
}
