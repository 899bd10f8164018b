// SPDX-License-Identifier: MIT OR Apache-2.0

//! Writes a run as JSON lines, while it happens.

use std::io::Write;

use serde::Serialize;

use crate::{Error, Event, SCHEMA};

/// Writes events as they happen, one JSON object in each line. Each line is flushed, so that a
/// run which is killed leaves a record that [`read_events`](crate::read_events) can read.
///
/// ```
/// use std::time::SystemTime;
/// use hil_report::{Event, EventWriter};
///
/// let mut file = Vec::new();
/// let started = SystemTime::UNIX_EPOCH;
/// EventWriter::new(&mut file).write(&Event::RunStarted { started, notes: Vec::new() })?;
/// assert_eq!(
///     String::from_utf8(file)?,
///     "{\"schema\":1,\"event\":\"run-started\",\"started\":\"1970-01-01T00:00:00.000000Z\"}\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventWriter<W: Write> {
    to: W,
    begun: bool,
}

/// The first line says what the others follow.
#[derive(Serialize)]
struct First<'a> {
    schema: u64,
    #[serde(flatten)]
    event: &'a Event,
}

impl<W: Write> EventWriter<W> {
    /// A writer of a new record.
    pub fn new(to: W) -> Self {
        Self { to, begun: false }
    }

    /// Writes an event. The first one must be [`Event::RunStarted`].
    pub fn write(&mut self, event: &Event) -> Result<(), Error> {
        let failed = |source| Error::Write {
            event: event.kind(),
            source,
        };
        if self.begun == matches!(event, Event::RunStarted { .. }) {
            let why = "a record holds one run, and begins with its begin";
            return Err(failed(std::io::Error::other(why)));
        }
        let text = if self.begun {
            serde_json::to_vec(event)
        } else {
            serde_json::to_vec(&First {
                schema: SCHEMA,
                event,
            })
        };
        let mut line = text.map_err(|error| failed(error.into()))?;
        // In one call, so that whoever follows the file sees whole lines.
        line.push(b'\n');
        self.to.write_all(&line).map_err(failed)?;
        self.to.flush().map_err(failed)?;
        self.begun = true;
        Ok(())
    }

    /// Returns what was written to.
    pub fn into_inner(self) -> W {
        self.to
    }
}
