// SPDX-License-Identifier: MIT OR Apache-2.0

//! The harness of tests on boards: which there are, which can run here, and how they end.

#[cfg(feature = "bench")]
mod on_bench;

mod attempt;
mod case;
mod description;
mod listed;
mod outcome;
mod place;
mod program;
mod standing;
mod trial;

pub use description::{TargetDescription, UnknownCapability};
pub use listed::Listed;
pub use outcome::Outcome;
pub use place::Place;

/// What the expansions of [`test`](crate::test) and [`main!`](crate::main) consist of. Not for use
/// by hand.
#[doc(hidden)]
pub mod expansion {
    pub use super::case::{Body, Case, TESTS, Test};
    pub use super::outcome::{Verdict, verdict};
    pub use super::program::main;
    pub use linkme;
}
