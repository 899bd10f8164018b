// SPDX-License-Identifier: MIT OR Apache-2.0

//! The list of all tests of a program, which each attribute adds one to.

use std::fmt;
use std::time::Duration;

use super::{Place, outcome::Verdict};
use crate::Target;

/// All tests of this program, in no particular order: the linker puts them side by side.
#[linkme::distributed_slice]
pub static TESTS: [Test];

/// A test.
#[derive(Debug)]
pub struct Test {
    /// The path of its module, beginning with the crate.
    pub module: &'static str,
    /// The name of its function.
    pub function: &'static str,
    /// What is run, and where.
    pub body: Body,
    /// The capabilities that the board must have.
    pub requires: &'static [&'static str],
    /// Parts of the complaints of the kernel that are what it is for.
    pub provokes: &'static [&'static str],
    /// The bound of time for setup, body and teardown together, milliseconds.
    pub timeout_ms: u64,
    /// Whether it passes by panicking, and what the message must contain.
    pub should_panic: Option<&'static str>,
    /// Why it is only run on demand; empty if nobody says.
    pub ignore: Option<&'static str>,
}

/// What is run, and where.
#[derive(Debug)]
pub enum Body {
    /// Wherever the program runs.
    Anywhere(Case<()>),
    /// On the board.
    Target(Case<Target>),
    /// On the PC.
    #[cfg(feature = "bench")]
    Bench(Case<crate::Bench>),
}

/// The parts of a test. Each takes what the place offers.
pub struct Case<S: 'static> {
    /// Comes before the test.
    pub setup: Option<fn(&mut S) -> Verdict>,
    /// The test.
    pub body: fn(&mut S) -> Verdict,
    /// Comes after the test, however it ended.
    pub teardown: Option<fn(&mut S) -> Verdict>,
}

impl<S> fmt::Debug for Case<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").finish_non_exhaustive()
    }
}

impl Test {
    /// The path of the function within its crate, as the built-in harness names tests.
    pub(super) fn name(&self) -> String {
        match self.module.split_once("::") {
            Some((_, module)) => format!("{module}::{}", self.function),
            None => self.function.to_owned(),
        }
    }

    pub(super) fn place(&self) -> Place {
        match self.body {
            Body::Anywhere(_) => Place::Anywhere,
            Body::Target(_) => Place::Target,
            #[cfg(feature = "bench")]
            Body::Bench(_) => Place::Bench,
        }
    }

    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
