// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a run says about one test.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run says about one test, after all of its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its only attempt passed.
    Passed,
    /// Its last attempt passed, an earlier one did not, whoever was to blame.
    Flaky,
    /// It did not pass, and at least one attempt says that this is not the bench's fault.
    Failed,
    /// It was not to be run here.
    Ignored,
    /// The bench failed, so nothing is known.
    Infrastructure,
}

impl Verdict {
    /// Every verdict, in the order of documents.
    pub const ALL: [Self; 5] = [
        Self::Failed,
        Self::Infrastructure,
        Self::Flaky,
        Self::Passed,
        Self::Ignored,
    ];

    /// Its name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
            Self::Infrastructure => "infrastructure",
        }
    }

    /// A sign that tells it from the others without colour.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✓",
            Self::Flaky => "↻",
            Self::Failed => "✗",
            Self::Ignored => "–",
            Self::Infrastructure => "!",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn verdicts_are_told_apart_by_word_and_by_sign() {
        let words: BTreeSet<_> = Verdict::ALL.map(Verdict::word).into();
        let signs: BTreeSet<_> = Verdict::ALL.map(Verdict::sign).into();
        assert_eq!((words.len(), signs.len()), (5, 5));
    }
}
