// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a console has said, wherever it is listened to.

use std::fmt::Debug;

use crate::console::Line;
use crate::{Bench, Console};

/// The lines of a console, by number.
pub trait Transcript: Debug {
    /// The number that the next line will have.
    fn mark(&self) -> u64;

    /// The lines from a number on, and the one that has begun.
    fn since(&self, mark: u64) -> Vec<Line>;
}

impl Transcript for Console {
    fn mark(&self) -> u64 {
        Self::mark(self)
    }

    fn since(&self, mark: u64) -> Vec<Line> {
        Self::since(self, mark)
    }
}

/// A console that cannot be asked says nothing: what the test itself came to counts more.
impl Transcript for Bench {
    fn mark(&self) -> u64 {
        Self::mark(self).unwrap_or(u64::MAX)
    }

    fn since(&self, mark: u64) -> Vec<Line> {
        self.console(mark).unwrap_or_default()
    }
}
