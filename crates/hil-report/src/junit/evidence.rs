// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an attempt leaves behind, as text that XML can hold.

use crate::excerpt::{self, Excerpt, Limits};
use crate::plain_text::plain_text;
use crate::{Attempt, Line, moment};

/// The output, then console and kernel log, each line with the PC's and the board's time.
pub(super) fn evidence(attempt: &Attempt, limits: Limits) -> String {
    let output = excerpt::of_text(&attempt.output, limits.bytes);
    let mut all = joined(&output, text);
    for (title, lines) in [
        ("console", &attempt.console),
        ("kernel log", &attempt.kernel_log),
    ] {
        if !lines.is_empty() {
            let lines = excerpt::of_lines(lines, limits);
            let told = |lines: &[Line]| {
                let lines = lines.iter().map(|line| stamped(line, limits));
                lines.collect::<Vec<_>>().join("\n")
            };
            let lines = joined(&lines, told);
            all.push_str(&format!(
                "\n--- {title} (UTC, time since the kernel's start)\n{lines}\n"
            ));
        }
    }
    all
}

fn stamped(line: &Line, limits: Limits) -> String {
    let host = moment::time_of_day(line.host);
    let (told, left_out) = excerpt::of_line(&line.text, limits.line);
    let told = text(told) + &left_out.unwrap_or_default();
    match line.target {
        Some(target) => format!("{host} [{:12.6}] {told}", target.as_secs_f64()),
        None => format!("{host} {:14} {told}", ""),
    }
}

pub(super) fn joined<T: Copy>(excerpt: &Excerpt<T>, told: impl Fn(T) -> String) -> String {
    match &excerpt.left_out {
        None => told(excerpt.head),
        Some(left_out) => {
            let (head, tail) = (told(excerpt.head), told(excerpt.tail));
            format!("{}\n[… {left_out}]\n{tail}", head.trim_end_matches('\n'))
        }
    }
}

/// Text that XML can hold. The writer would drop tabs without a word.
pub(super) fn text(text: &str) -> String {
    plain_text(text).replace('\t', "    ")
}

/// Text for an attribute: one line of bearable length.
pub(super) fn line(all: &str) -> String {
    let first = all.trim().lines().next().unwrap_or_default();
    let (told, left_out) = excerpt::of_line(first, Limits::PASSED.line);
    text(told) + &left_out.unwrap_or_default()
}
