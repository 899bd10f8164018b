// SPDX-License-Identifier: MIT OR Apache-2.0

//! The page's begin: the result, the tools, what needs attention, and the benches.

use super::markup::Markup;
use super::{bench_name, headline, ordered};
use crate::excerpt::{self, Limits};
use crate::{Exit, Report, Summary, Verdict, moment};

/// The result of the run.
pub(super) fn header(report: &Report, summary: &Summary) -> Markup {
    let counts = summary.total;
    let mut page = Markup::default();
    let class = match report.exit() {
        Exit::Passed if counts.flaky > 0 => "flaky",
        Exit::Passed if counts.passed == 0 => "ignored",
        Exit::Passed => "passed",
        Exit::Infrastructure => "infrastructure",
        Exit::Build | Exit::Failed | Exit::TimedOut => "failed",
    };
    page.tag("<header class=\"result ").tag(class);
    page.tag("\">\n<p class=\"kicker\">Test run</p>\n<h1>");
    page.text(headline(report, summary))
        .tag("</h1>\n<p class=\"facts\">");
    page.tag("<time datetime=\"")
        .text(moment::rfc3339(report.started))
        .tag("\">");
    page.text(moment::day_and_minute(report.started))
        .tag(" UTC</time>");
    let mut fact = |fact: String| {
        page.tag("<span>").text(fact).tag("</span>");
    };
    fact(format!("took {}", moment::span(report.duration)));
    fact(counted(counts.tests(), "test", "tests"));
    fact(counted(report.benches.len(), "bench", "benches"));
    if counts.retries > 0 {
        fact(counted(counts.retries, "retry", "retries"));
    }
    fact(format!("exit code {}", report.exit().code()));
    page.tag("</p>\n");
    if let Some(why) = &report.cut_off {
        page.tag("<p class=\"cut-off\"><strong>Incomplete:</strong> ")
            .text(why);
        page.tag(". What follows is what was recorded until then.</p>\n");
    }
    if counts.tests() > 0 {
        page.tag("<div class=\"bar\" aria-hidden=\"true\">");
        for verdict in Verdict::ALL.into_iter().filter(|one| counts.of(*one) > 0) {
            page.tag("<i class=\"")
                .tag(verdict.word())
                .tag("\" style=\"flex-grow:");
            page.number(counts.of(verdict)).tag("\"></i>");
        }
        page.tag("</div>\n");
    }
    if !report.notes.is_empty() {
        page.tag("<dl class=\"notes\">");
        for (name, value) in &report.notes {
            page.tag("<dt>").text(name).tag("<dd>").text(value);
        }
        page.tag("</dl>\n");
    }
    page.tag("</header>");
    page
}

/// The filter and the verdicts, with their numbers.
pub(super) fn tools(summary: &Summary) -> Markup {
    let mut page = Markup::from("<div class=\"tools\">\n<div class=\"verdicts\">");
    for verdict in Verdict::ALL {
        let word = verdict.word();
        page.tag("<label class=\"")
            .tag(word)
            .tag("\"><input type=\"checkbox\" value=\"");
        page.tag(word)
            .tag("\" checked disabled><b aria-hidden=\"true\">")
            .tag(verdict.sign());
        page.tag("</b> ")
            .number(summary.total.of(verdict))
            .tag(" ")
            .tag(word)
            .tag("</label>");
    }
    page.tag("</div>\n<input id=\"filter\" type=\"search\" autocomplete=\"off\" ");
    page.tag("spellcheck=\"false\" placeholder=\"Filter by test or suite ( / )\" ");
    page.tag("aria-label=\"Filter by test or suite\">\n");
    page.tag("<span id=\"shown\" role=\"status\"></span>\n<nav>");
    page.tag("<a href=\"#matrix\">Matrix</a> <a href=\"#timeline\">Timeline</a> ");
    page.tag("<a href=\"#tests\">Tests</a></nav>\n</div>");
    page
}

/// What went wrong apart from any test.
pub(super) fn troubles(report: &Report) -> Markup {
    let mut page = Markup::default();
    if report.troubles.is_empty() {
        return page;
    }
    page.tag("<section id=\"troubles\">\n<h2>Apart from the tests</h2>\n");
    for trouble in &report.troubles {
        page.tag("<div class=\"trouble ")
            .tag(trouble.kind.word())
            .tag("\"><p><b class=\"kind\">");
        page.tag(trouble.kind.word())
            .tag("</b> ")
            .text(&trouble.what);
        if let Some(bench) = &trouble.bench {
            page.tag(" <span class=\"where\">on ")
                .text(bench)
                .tag("</span>");
        }
        page.tag("</p>");
        if !trouble.detail.is_empty() {
            let detail = trouble.detail.join("\n");
            let detail = excerpt::of_text(&detail, Limits::NOT_PASSED.bytes);
            page.tag("<details><summary>").number(trouble.detail.len());
            page.tag(" lines of evidence</summary>");
            super::evidence::text(&mut page, &detail);
            page.tag("</details>");
        }
        page.tag("</div>\n");
    }
    page.tag("</section>");
    page
}

/// The tests that somebody should look at, and why.
pub(super) fn attention(report: &Report) -> Markup {
    let mut page = Markup::default();
    let quiet = [Verdict::Passed, Verdict::Ignored];
    let mut tests = ordered(report);
    tests.retain(|(_, test)| !quiet.contains(&test.verdict()));
    if tests.is_empty() {
        return page;
    }
    let rank = |verdict| Verdict::ALL.iter().position(|one| *one == verdict);
    tests.sort_by_key(|(_, test)| rank(test.verdict()));
    page.tag("<section id=\"attention\">\n<h2>Needs attention</h2>\n<ol class=\"attention\">\n");
    for (index, test) in tests {
        let verdict = test.verdict();
        page.tag("<li class=\"")
            .tag(verdict.word())
            .tag("\" data-test=\"")
            .number(index);
        page.tag("\"><b class=\"kind\"><span aria-hidden=\"true\">")
            .tag(verdict.sign());
        page.tag("</span> ")
            .tag(verdict.word())
            .tag("</b><a href=\"#t")
            .number(index);
        page.tag("\"><span class=\"suite\">")
            .text(&test.id.suite)
            .tag("</span> ");
        page.text(&test.id.name).tag("</a><span class=\"where\">");
        page.text(bench_name(test.id.bench.as_deref()))
            .tag("</span><span class=\"why\">");
        page.text(first_line(&why(test))).tag("</span></li>\n");
    }
    page.tag("</ol>\n</section>");
    page
}

/// Why a test is not simply passed.
pub(super) fn why(test: &crate::TestRecord) -> String {
    match test.verdict() {
        Verdict::Flaky => {
            let mut attempts = test.attempts.iter();
            let first = attempts.find_map(crate::Attempt::reason);
            let tries = test.attempts.len();
            format!(
                "passed at attempt {tries}, before: {}",
                first.unwrap_or_default()
            )
        }
        _ => test.reason().unwrap_or_default(),
    }
}

/// The first line of a reason, of bearable length.
pub(super) fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let (told, left_out) = excerpt::of_line(line, 300);
    told.to_owned() + left_out.map_or("", |_| " …")
}

/// The benches that took part.
pub(super) fn benches(report: &Report, summary: &Summary) -> Markup {
    let mut page = Markup::default();
    if summary.benches.is_empty() {
        return page;
    }
    page.tag("<section id=\"benches\">\n<h2>Benches</h2>\n<div class=\"wide\"><table>\n");
    page.tag(
        "<thead><tr><th scope=\"col\">bench<th scope=\"col\">board<th scope=\"col\">reached by",
    );
    page.tag("<th scope=\"col\">kernel<th scope=\"col\">boots<th scope=\"col\">tests</thead>\n");
    for bench in &summary.benches {
        let known = bench.bench.as_deref().and_then(|name| report.bench(name));
        page.tag("<tr><th scope=\"row\">")
            .text(bench_name(bench.bench.as_deref()))
            .tag("<td>");
        if let Some(known) = known {
            page.text(&known.title)
                .tag(" <span class=\"where\">")
                .text(&known.board);
            page.tag("</span><td>").text(&known.kind).tag("<td><code>");
            page.text(known.kernel.as_deref().unwrap_or("unknown"))
                .tag("</code><td>");
            page.number(known.boots.len());
        } else {
            page.tag("<td><td><td>");
        }
        page.tag("<td>");
        for verdict in Verdict::ALL
            .into_iter()
            .filter(|one| bench.counts.of(*one) > 0)
        {
            page.tag("<span class=\"count ")
                .tag(verdict.word())
                .tag("\">")
                .tag(verdict.sign());
            page.tag(" ")
                .number(bench.counts.of(verdict))
                .tag(" ")
                .tag(verdict.word());
            page.tag("</span> ");
        }
        page.tag("\n");
    }
    page.tag("</table></div>\n</section>");
    page
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
