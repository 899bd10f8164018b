// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong with a record or a document.

use thiserror::Error;

/// Why a record or a document cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An event cannot be written.
    #[error("cannot write the event {event}")]
    Write {
        /// Its kind.
        event: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The events cannot be read.
    #[error("cannot read the events, line {line}")]
    Read {
        /// Where.
        line: usize,
        /// Why.
        source: std::io::Error,
    },
    /// A line within the record is no event.
    #[error("line {line} is not an event")]
    NotAnEvent {
        /// Which.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The record is of another version.
    #[error(
        "the record has schema {found}, and only schema {} is known",
        crate::SCHEMA
    )]
    Schema {
        /// What the first line says.
        found: u64,
    },
    /// The first line does not say which schema the record has.
    #[error("the first line does not tell a schema, so this is no record of a run")]
    NoSchema,
    /// The record does not begin with the begin of a run, or does so twice.
    #[error("line {line}: a record holds one run, and begins with run-started")]
    NotOneRun {
        /// Where.
        line: usize,
    },
    /// The XML cannot be written.
    #[error("cannot write the JUnit document")]
    Junit(#[source] quick_junit::SerializeError),
}
