// SPDX-License-Identifier: MIT OR Apache-2.0

//! What went wrong apart from any test.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that went wrong apart from any test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What kind of trouble it is.
    pub kind: TroubleKind,
    /// What happened, in one line.
    pub what: String,
    /// The bench that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench: Option<String>,
    /// The evidence: a compiler's messages, a console's last lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// The source does not build.
    Build,
    /// A bench or the PC failed.
    Infrastructure,
}

impl TroubleKind {
    /// Its name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Infrastructure => "infrastructure",
        }
    }
}

impl fmt::Display for TroubleKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}
