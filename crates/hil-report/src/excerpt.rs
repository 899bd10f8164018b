// SPDX-License-Identifier: MIT OR Apache-2.0

//! How much of an attempt's evidence a document holds.

use crate::{Attempt, Line};

/// How much of an attempt's evidence the JUnit document and the HTML page hold. Of what is longer
/// they have the first quarter and the last three, and say in between how much is left out. The
/// JSON lines have everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the output, of the console and of the kernel's log, each.
    pub bytes: usize,
    /// The most lines of the console and of the kernel's log, each.
    pub lines: usize,
    /// The most bytes of one line of these, and of a reason.
    pub line: usize,
}

impl Limits {
    /// For an attempt that did not pass.
    pub const NOT_PASSED: Self = Self {
        bytes: 64 << 10,
        lines: 400,
        line: 2 << 10,
    };
    /// For an attempt that passed.
    pub const PASSED: Self = Self {
        bytes: 8 << 10,
        lines: 60,
        line: 1 << 10,
    };
    /// For any attempt, once a document holds [`Limits::DOCUMENT`] bytes of evidence.
    pub const SCARCE: Self = Self {
        bytes: 512,
        lines: 5,
        line: 256,
    };
    /// How many bytes of evidence a document holds before it becomes scarce with more of it: this
    /// for attempts that passed, and as much again for others, so that no flood of passed tests
    /// takes the room of those that matter.
    pub const DOCUMENT: usize = 16 << 20;
}

/// What one document has used up.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    passed: usize,
    others: usize,
}

impl Budget {
    /// The limits for the next attempt of the document, whose evidence counts from now on.
    pub(crate) fn limits(&mut self, attempt: &Attempt) -> Limits {
        let (spent, limits) = if attempt.passed() {
            (&mut self.passed, Limits::PASSED)
        } else {
            (&mut self.others, Limits::NOT_PASSED)
        };
        let limits = if *spent < Limits::DOCUMENT {
            limits
        } else {
            Limits::SCARCE
        };
        let bytes = |lines: &[Line]| lines.iter().map(|line| line.text.len()).sum();
        for part in [
            attempt.output.len(),
            bytes(&attempt.console),
            bytes(&attempt.kernel_log),
        ] {
            *spent += part.min(limits.bytes);
        }
        limits
    }
}

/// A part of something, with what says that there is more in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt<T> {
    pub(crate) head: T,
    /// What is left out behind the head, in words.
    pub(crate) left_out: Option<String>,
    pub(crate) tail: T,
}

/// An excerpt of a text, cut between lines where there is one near.
pub(crate) fn of_text(text: &str, bytes: usize) -> Excerpt<&str> {
    if text.len() <= bytes {
        return whole(text, "");
    }
    let near = bytes / 16;
    let mut head = floor(text, bytes / 4);
    if let Some(newline) = text[..head].rfind('\n').filter(|at| head - at <= near) {
        head = newline + 1;
    }
    let mut tail = ceiling(text, text.len() - (bytes - bytes / 4));
    if let Some(newline) = text[tail..].find('\n').filter(|at| *at <= near) {
        tail += newline + 1;
    }
    let gone = &text[head..tail];
    let lines = gone.matches('\n').count();
    Excerpt {
        head: &text[..head],
        left_out: Some(match lines {
            0 => format!("{} bytes left out here", gone.len()),
            _ => format!(
                "{} bytes with {lines} ends of line left out here",
                gone.len()
            ),
        }),
        tail: &text[tail..],
    }
}

/// An excerpt of lines.
pub(crate) fn of_lines(lines: &[Line], limits: Limits) -> Excerpt<&[Line]> {
    let size = |line: &Line| line.text.len().min(limits.line);
    let fitting = |lines: &mut dyn Iterator<Item = &Line>, part: usize| {
        let mut bytes = limits.bytes / 4 * part;
        let fits = |line: &&Line| {
            let rest = bytes.checked_sub(size(line));
            bytes = rest.unwrap_or(0);
            rest.is_some()
        };
        let most = limits.lines / 4 * part + if part > 1 { limits.lines % 4 } else { 0 };
        lines.take(most).take_while(fits).count()
    };
    if lines.len() <= limits.lines && lines.iter().map(size).sum::<usize>() <= limits.bytes {
        return whole(lines, &[]);
    }
    let head = fitting(&mut lines.iter(), 1);
    let tail = lines.len() - fitting(&mut lines[head..].iter().rev(), 3);
    let gone = lines[head..tail].iter().map(|line| line.text.len());
    Excerpt {
        head: &lines[..head],
        left_out: Some(format!(
            "{} lines with {} bytes left out here",
            tail - head,
            gone.sum::<usize>()
        )),
        tail: &lines[tail..],
    }
}

/// A line, or its begin and how much more there is.
pub(crate) fn of_line(line: &str, bytes: usize) -> (&str, Option<String>) {
    if line.len() <= bytes {
        return (line, None);
    }
    let (told, gone) = line.split_at(floor(line, bytes));
    (told, Some(format!("… {} bytes left out", gone.len())))
}

fn whole<T>(all: T, nothing: T) -> Excerpt<T> {
    Excerpt {
        head: all,
        left_out: None,
        tail: nothing,
    }
}

/// The last boundary of a character at or before a place.
fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first boundary of a character at or behind a place.
fn ceiling(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use std::time::{Duration, UNIX_EPOCH};

    fn lines(count: usize, length: usize) -> Vec<Line> {
        let line = |index: usize| Line {
            host: UNIX_EPOCH,
            target: None,
            text: char::from(b'a' + (index % 26) as u8)
                .to_string()
                .repeat(length),
        };
        (0..count).map(line).collect()
    }

    #[test]
    fn short_text_is_whole_and_long_text_has_both_ends() {
        assert_eq!(of_text("abcd", 4), whole("abcd", ""));
        let cut = of_text("0123456789abcdef", 8);
        assert_eq!((cut.head, cut.tail), ("01", "abcdef"));
        assert_eq!(cut.left_out.as_deref(), Some("8 bytes left out here"));
    }

    #[test]
    fn text_is_cut_between_characters_and_lines() {
        let umlauts = "ä".repeat(100);
        let cut = of_text(&umlauts, 12);
        assert_eq!((cut.head.len(), cut.tail.len()), (2, 8));
        let text = "a line\n".repeat(1000);
        let cut = of_text(&text, 700);
        assert!(cut.head.ends_with('\n') && cut.tail.starts_with("a line\n"));
        assert!(cut.head.len() + cut.tail.len() <= 700);
        let gone = text.len() - cut.head.len() - cut.tail.len();
        let told = format!("{gone} bytes with {} ends of line left out here", gone / 7);
        assert_eq!(cut.left_out, Some(told));
    }

    #[test]
    fn lines_are_limited_by_number_and_by_size() {
        let limits = Limits::PASSED;
        let few = lines(60, 10);
        assert_eq!(of_lines(&few, limits), whole(&few[..], &[]));
        let many = lines(1000, 10);
        let cut = of_lines(&many, limits);
        assert_eq!((cut.head, cut.tail), (&many[..15], &many[955..]));
        let told = "940 lines with 9400 bytes left out here";
        assert_eq!(cut.left_out.as_deref(), Some(told));
        let long = lines(50, 1000);
        let cut = of_lines(&long, limits);
        assert_eq!((cut.head, cut.tail), (&long[..2], &long[44..]));
        let endless = lines(3, 1 << 20);
        assert_eq!(of_lines(&endless, limits).left_out, None);
        assert_eq!(of_line(&endless[0].text, limits.line).0.len(), 1024);
    }

    #[test]
    fn a_flood_of_passed_tests_leaves_room_for_the_others() {
        let outcome = Outcome::Passed;
        let mut flood = Attempt::new(UNIX_EPOCH, Duration::ZERO, outcome);
        flood.output = "x".repeat(Limits::PASSED.bytes * 2);
        let mut budget = Budget::default();
        for _ in 0..Limits::DOCUMENT / Limits::PASSED.bytes {
            assert_eq!(budget.limits(&flood), Limits::PASSED);
        }
        assert_eq!(budget.limits(&flood), Limits::SCARCE);
        flood.complaints.push("Oops".to_owned());
        assert_eq!(budget.limits(&flood), Limits::NOT_PASSED);
    }
}
