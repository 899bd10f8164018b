// SPDX-License-Identifier: MIT OR Apache-2.0

//! The record of a test run on benches, and the documents made from it.
//!
//! A run is told as [`Event`]s. An [`EventWriter`] writes them down as they happen, one JSON object
//! in each line, and a [`Recording`] collects them into a [`Report`]; [`read_events`] makes the
//! same report from the file, also from one that was cut off. From a report come
//! [JUnit XML](Report::to_junit) for other programs and [one HTML page](Report::to_html) for
//! people.
//!
//! Retries are never hidden: each test has all of its [`Attempt`]s, and its [`Verdict`] is
//! [`Verdict::Flaky`] if one of them did not pass. That the source does not build, that a bench
//! failed and that a test failed are three things; [`Exit`] says which one counts.
//!
//! The record holds everything. The XML and the page hold an excerpt of an attempt's evidence
//! where it is long, and say so: see [`Limits`].
//!
//! Nothing here prints, reads the environment or knows about any bench.

mod attempt;
mod bench;
mod error;
mod event;
mod event_reader;
mod event_writer;
mod excerpt;
mod exit;
mod html;
mod junit;
mod moment;
mod plain_text;
mod recording;
mod report;
mod summary;
mod test;
mod trouble;
mod verdict;

pub use attempt::{Attempt, Line, Outcome};
pub use bench::{BenchRecord, Boot};
pub use error::Error;
pub use event::{Event, SCHEMA};
pub use event_reader::read_events;
pub use event_writer::EventWriter;
pub use excerpt::Limits;
pub use exit::Exit;
pub use recording::Recording;
pub use report::Report;
pub use summary::{BenchSummary, Counts, Summary};
pub use test::{Place, TestId, TestRecord};
pub use trouble::{Trouble, TroubleKind};
pub use verdict::Verdict;
