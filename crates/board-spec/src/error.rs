// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can be wrong with a board.

use std::path::PathBuf;

use thiserror::Error;

/// Why a board cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder of this name holds a `board.toml`.
    #[error("no board is called {name:?}{}", suggestion(near, all))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that are similar, nearest first.
        near: Vec<String>,
        /// All names there are.
        all: Vec<String>,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not TOML of the known form.
    #[error("cannot understand {}", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A file contradicts itself.
    #[error("{}: {what}", path.display())]
    Contradiction {
        /// Which.
        path: PathBuf,
        /// How.
        what: String,
    },
}

fn suggestion(near: &[String], all: &[String]) -> String {
    if near.is_empty() {
        format!("; there are {}", all.join(", "))
    } else {
        format!("; did you mean {}?", near.join(" or "))
    }
}
