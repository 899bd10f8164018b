// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reads the JSON lines of a run.

use std::io::BufRead;

use serde::Deserialize;

use crate::{Error, Event, Recording, Report, SCHEMA};

/// What the first line must say.
#[derive(Deserialize)]
struct First {
    schema: Option<u64>,
}

/// What every line must say.
#[derive(Deserialize)]
struct Kind {
    event: String,
}

/// Reads the record that an [`EventWriter`](crate::EventWriter) wrote.
///
/// A record that ends before the run did, even in the middle of a line, gives a report with
/// [`Report::cut_off`] set. Anything else that does not fit is an error, except for kinds of
/// events that are newer than this reader.
pub fn read_events(mut from: impl BufRead) -> Result<Report, Error> {
    let mut recording: Option<Recording> = None;
    let mut cut = "the record ends before the run does";
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = from.read_until(b'\n', &mut bytes);
        if read.map_err(|source| Error::Read { line, source })? == 0 {
            break;
        }
        let event = match event(&bytes, recording.is_none()) {
            Ok(event) => event,
            Err(Refusal::Json(_)) if recording.is_some() && !bytes.ends_with(b"\n") => {
                cut = "the record ends in the middle of an event";
                break;
            }
            Err(Refusal::Json(source)) => return Err(Error::NotAnEvent { line, source }),
            Err(Refusal::Other(error)) => return Err(error),
        };
        match (event, &mut recording) {
            (None, _) => {}
            (Some(Event::RunStarted { started, notes }), None) => {
                recording = Some(Recording::new(started, notes));
            }
            (Some(Event::RunStarted { .. }), Some(_)) | (Some(_), None) => {
                return Err(Error::NotOneRun { line });
            }
            (Some(event), Some(recording)) => recording.add(event),
        }
    }
    let recording = recording.ok_or(Error::NoSchema)?;
    Ok(recording.into_report(cut))
}

/// Why a line is not taken.
enum Refusal {
    Json(serde_json::Error),
    Other(Error),
}

/// The event in a line, unless it is of a kind that is not known yet.
fn event(line: &[u8], first: bool) -> Result<Option<Event>, Refusal> {
    if first {
        match serde_json::from_slice(line).map_err(Refusal::Json)? {
            First { schema: None } => return Err(Refusal::Other(Error::NoSchema)),
            First {
                schema: Some(found),
            } if found != SCHEMA => {
                return Err(Refusal::Other(Error::Schema { found }));
            }
            First { .. } => {}
        }
    }
    let Kind { event } = serde_json::from_slice(line).map_err(Refusal::Json)?;
    if !Event::KINDS.contains(&event.as_str()) {
        return Ok(None);
    }
    serde_json::from_slice(line)
        .map(Some)
        .map_err(Refusal::Json)
}
