// SPDX-License-Identifier: MIT OR Apache-2.0

//! A part of a test, attempted: a panic is caught together with the place where it began.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use super::outcome::Verdict;

thread_local! {
    /// What this thread is attempting, if it is.
    static ATTEMPTED: Cell<Option<Attempted>> = const { Cell::new(None) };
    /// The latest panic of this thread.
    static HEARD: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// What is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempted {
    /// To get through.
    Success,
    /// To panic, so that it is of no interest which calls led there.
    Panic,
}

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Panicked(Panic),
    Error(String),
}

/// A panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panic {
    pub(super) message: String,
    /// File, line and column; none if it was not begun by the usual means.
    place: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(text) => write!(f, "error: {text}"),
            Self::Panicked(panic) => panic.fmt(f),
        }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.message;
        match &self.place {
            Some(place) => write!(f, "panicked at {place}: {message}"),
            None => write!(f, "panicked: {message}"),
        }
    }
}

/// From now on, a panic in an attempt is not printed where it happens: who made the attempt tells
/// of it. Only the calls that led to it are printed, if the environment asks for them. Panics
/// elsewhere are printed as ever.
pub(super) fn keep_panics() {
    let elsewhere = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let Some(attempted) = ATTEMPTED.get() else {
            return elsewhere(info);
        };
        let trace = Backtrace::capture();
        if attempted == Attempted::Success && trace.status() == BacktraceStatus::Captured {
            let _ = std::io::stderr().write_all(calls(&trace.to_string()).as_bytes());
        }
        HEARD.set(Some(Panic::from(info)));
    }));
}

/// The part of a trace that is about the test: what lies between the machinery of panics and the
/// harness.
fn calls(trace: &str) -> String {
    let mut lines: Vec<_> = trace.lines().collect();
    if let Some(end) = lines
        .iter()
        .rposition(|line| line.contains("__rust_end_short_backtrace"))
    {
        lines.drain(..=end);
    }
    // Calls have a number, and a place in a line of its own.
    let is_call = |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let begin = lines.iter().position(is_call).unwrap_or(0);
    let harness = lines
        .iter()
        .position(|line| line.contains("hil::harness::"));
    let mut text = lines[begin..harness.unwrap_or(lines.len()).max(begin)].join("\n");
    text.push('\n');
    text
}

/// Does a part of a test.
pub(super) fn attempt(attempted: Attempted, part: impl FnOnce() -> Verdict) -> Result<(), Failure> {
    ATTEMPTED.set(Some(attempted));
    // What a panic leaves half done is used once more at most: to clean up after it.
    let outcome = panic::catch_unwind(AssertUnwindSafe(part));
    ATTEMPTED.set(None);
    let heard = HEARD.take();
    match outcome {
        Ok(verdict) => verdict.map_err(Failure::Error),
        Err(payload) => {
            let message = text(&*payload);
            // The latest may have been another one, which the test itself has caught.
            let heard = heard.filter(|heard| heard.message == message);
            Err(Failure::Panicked(heard.unwrap_or(Panic {
                message,
                place: None,
            })))
        }
    }
}

impl From<&PanicHookInfo<'_>> for Panic {
    fn from(info: &PanicHookInfo<'_>) -> Self {
        Self {
            message: text(info.payload()),
            place: info.location().map(ToString::to_string),
        }
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else {
        "a value that is no text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Nobody keeps panics here: that is a whole program's affair, see tests/harness.

    fn attempted(part: impl FnOnce() -> Verdict) -> Result<(), String> {
        attempt(Attempted::Success, part).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_a_part_returns_is_its_outcome() {
        assert_eq!(attempted(|| Ok(())), Ok(()));
        assert_eq!(attempted(|| Err("no".into())), Err("error: no".into()));
    }

    #[test]
    fn a_panic_is_a_failure_whatever_it_carries() {
        let expected = |text: &str| Err(text.to_owned());
        assert_eq!(attempted(|| panic!("text")), expected("panicked: text"));
        assert_eq!(
            attempted(|| panic!("no. {}", 1)),
            expected("panicked: no. 1")
        );
        let other = attempted(|| panic::panic_any(7));
        assert_eq!(other, expected("panicked: a value that is no text"));
    }

    #[test]
    fn of_a_trace_the_calls_of_the_test_are_left() {
        let trace = "   0: std::panicking
             at /a.rs:1:1
   1: std::sys::backtrace::__rust_end_short_backtrace::<!>
             at /a.rs:2:1
   2: core::panicking::panic_fmt
             at /a.rs:3:1
   3: my_test
             at ./b.rs:1:1
   4: hil::harness::trial::parts
             at ./c.rs:1:1
   5: main
";
        let expected = "   2: core::panicking::panic_fmt
             at /a.rs:3:1
   3: my_test
             at ./b.rs:1:1
";
        assert_eq!(calls(trace), expected);
        let bare = "   0: one\n   1: two\n";
        assert_eq!(calls(bare), bare);
        assert_eq!(calls("unsupported"), "unsupported\n");
        assert_eq!(calls(""), "\n");
    }
}
