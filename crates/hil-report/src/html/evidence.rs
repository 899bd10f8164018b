// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an attempt leaves behind.

use super::markup::Markup;
use crate::excerpt::{self, Excerpt, Limits};
use crate::{Attempt, Line, moment};

/// Complaints shorter than this are not looked for within lines: they would be found anywhere.
const TELLING: usize = 6;

/// The evidence of an attempt.
pub(super) fn evidence(page: &mut Markup, attempt: &Attempt, limits: Limits) {
    if !attempt.complaints.is_empty() {
        page.tag("<h5>The kernel complained</h5><ul class=\"complaints\">");
        for complaint in attempt.complaints.iter().take(limits.lines) {
            page.tag("<li>");
            line(page, complaint, limits);
        }
        let more = attempt.complaints.len().saturating_sub(limits.lines);
        if more > 0 {
            page.tag("<li class=\"left-out\">")
                .number(more)
                .tag(" more left out here");
        }
        page.tag("</ul>\n");
    }
    if !attempt.notes.is_empty() {
        page.tag("<h5>Notes</h5><dl class=\"notes\">");
        for (name, value) in &attempt.notes {
            page.tag("<dt>").text(name).tag("<dd>");
            line(page, value, limits);
        }
        page.tag("</dl>\n");
    }
    if !attempt.output.is_empty() {
        page.tag("<h5>Output</h5>");
        text(page, &excerpt::of_text(&attempt.output, limits.bytes));
        page.tag("\n");
    }
    for (title, lines) in [
        ("Console", &attempt.console),
        ("Kernel log", &attempt.kernel_log),
    ] {
        if !lines.is_empty() {
            page.tag("<h5>").tag(title).tag("</h5>");
            table(page, &excerpt::of_lines(lines, limits), attempt, limits);
        }
    }
}

/// A text that may be cut.
pub(super) fn text(page: &mut Markup, excerpt: &Excerpt<&str>) {
    // The newline behind the tag is not part of the text, but one of the text would be taken for it.
    page.tag("<pre>\n").text(excerpt.head);
    if let Some(left_out) = &excerpt.left_out {
        page.tag("</pre><p class=\"left-out\">… ").text(left_out);
        page.tag("</p><pre>\n").text(excerpt.tail);
    }
    page.tag("</pre>");
}

fn table(page: &mut Markup, lines: &Excerpt<&[Line]>, attempt: &Attempt, limits: Limits) {
    page.tag("<div class=\"log\"><table><thead><tr><th scope=\"col\">PC<th scope=\"col\">board");
    page.tag("<th scope=\"col\">line</thead>\n");
    let rows = |lines: &[Line], page: &mut Markup| {
        for one in lines {
            page.tag(if is_complaint(one, &attempt.complaints) {
                "<tr class=\"complaint\"><td>"
            } else {
                "<tr><td>"
            });
            page.text(moment::time_of_day(one.host)).tag("<td>");
            if let Some(target) = one.target {
                page.text(format!("[{:.6}]", target.as_secs_f64()));
            }
            page.tag("<td>");
            line(page, &one.text, limits);
            page.tag("\n");
        }
    };
    rows(lines.head, page);
    if let Some(left_out) = &lines.left_out {
        page.tag("<tr class=\"left-out\"><td colspan=\"3\">… ")
            .text(left_out)
            .tag("\n");
        rows(lines.tail, page);
    }
    page.tag("</table></div>\n");
}

fn line(page: &mut Markup, text: &str, limits: Limits) {
    let (told, left_out) = excerpt::of_line(text, limits.line);
    page.text(told);
    if let Some(left_out) = left_out {
        page.tag(" <span class=\"left-out\">")
            .text(left_out)
            .tag("</span>");
    }
}

/// Whether a line is one that the kernel complained with. Complaints come with or without the
/// kernel's time in front of them.
fn is_complaint(line: &Line, complaints: &[String]) -> bool {
    let text = line.text.trim();
    complaints.iter().any(|complaint| {
        let complaint = complaint.trim();
        (complaint.len() >= TELLING && text.contains(complaint))
            || (text.len() >= TELLING && complaint.ends_with(text))
    })
}
