// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tracepoints: what happened in the kernel and when, in the order it happened.
//!
//! A driver marks the places that are worth watching. Each costs nothing until somebody watches
//! it, and then makes a record with a few fields. An [`Instance`] of tracefs collects records as
//! text, for people and logs; perf counts them ([`Counter`]) or collects them as they are
//! ([`Sampler`]), for programs.
//!
//! # When to choose it
//!
//! To measure and to find faults: latencies, orders of events, rates. Any number of watchers may
//! look at the same time, and none of them slows the driver's clients down by more than the making
//! of a record. What a client must know to do its work belongs into [`crate::chardev`], and what
//! should be told to whoever listens into [`crate::uevent`].
//!
//! # Contract
//!
//! The names, the types and the meaning of the fields stay; their places in a record may change
//! with any kernel, so they are read from the event's format. A buffer is bounded: of records that
//! are not read in time, tracefs drops the oldest, and perf the newest; both say how many.
//!
//! # Minimum kernel
//!
//! 6.0 with `CONFIG_TRACING`, tracefs mounted, and for perf `CONFIG_PERF_EVENTS`. All of it is for
//! root only, or for who has `CAP_PERFMON` and may read tracefs.
//!
//! # References
//!
//! `Documentation/trace/events.rst`, `Documentation/trace/ftrace.rst`, `perf_event_open(2)`
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//! use kernel_channels::tracepoint::{Event, Instance};
//!
//! let exec = Event::find("sched", "sched_process_exec")?;
//! let mut instance = Instance::create("example")?;
//! instance.enable(&exec)?;
//! while let Some(line) = instance.next(Duration::from_secs(1))? {
//!     assert_eq!(line.event, "sched_process_exec");
//!     assert!(line.text("filename").is_some());
//! }
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod format;
mod instance;
mod line;
#[expect(unsafe_code, reason = "perf-event2 does not lend its descriptors")]
mod perf;

use std::fmt;
use std::path::{Path, PathBuf};

pub use self::format::{Field, Format};
pub use self::instance::Instance;
pub use self::line::Line;
pub(crate) use self::perf::open_first;
pub use self::perf::{Counter, Sample, Sampler};
use crate::{Error, mounts, text_file};

/// Where tracefs is mounted.
///
/// # Errors
///
/// [`Error::NotMounted`] when it is not, and [`Error::Path`] when `/proc/mounts` cannot be read.
pub fn mount_point() -> Result<PathBuf, Error> {
    mounts::mount_point("tracefs")
}

/// A tracepoint, which may be watched or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    system: String,
    name: String,
    format: Format,
}

impl Event {
    /// A tracepoint by the name of its system, which is often that of the driver, and its own.
    ///
    /// # Errors
    ///
    /// As [`mount_point`]; [`Error::Path`] when there is no such tracepoint or only root may see
    /// it, and [`Error::Value`] when its format cannot be read.
    pub fn find(system: &str, name: &str) -> Result<Self, Error> {
        let path = mount_point()?.join("events").join(system).join(name);
        Self::at(&path.join("format"), system, name)
    }

    pub(crate) fn at(path: &Path, system: &str, name: &str) -> Result<Self, Error> {
        let text = text_file::read(path)?;
        let format = Format::parse(&text).map_err(|line| Error::Value {
            path: path.to_owned(),
            text: line,
            expected: "the format of a tracepoint",
        })?;
        Ok(Self {
            system: system.to_owned(),
            name: name.to_owned(),
            format,
        })
    }

    /// Its own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, as long as the driver is loaded.
    pub fn id(&self) -> u64 {
        self.format.id
    }

    /// Where the fields are in a record.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// A number in a record of this tracepoint.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] when there is no such field, it is no number, or the record is too short.
    pub fn number(&self, record: &[u8], field: &str) -> Result<i128, Error> {
        let found = self.format.field(field);
        found
            .and_then(|field| field.number(record))
            .ok_or_else(|| Error::Field {
                field: field.to_owned(),
                event: self.to_string(),
                length: record.len(),
            })
    }
}

/// Shows `system:name`, as `perf list` does.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.system, self.name)
    }
}
