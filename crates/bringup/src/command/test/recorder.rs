// SPDX-License-Identifier: MIT OR Apache-2.0

//! Records a run, and writes its reports.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use hil_report::{Event, EventWriter, Recording, Report, Trouble, TroubleKind};

use crate::cli::Reports;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// Takes the events of this PC and of all boards.
#[derive(Debug)]
pub(super) struct Recorder {
    state: Mutex<State>,
    begun: Instant,
}

#[derive(Debug)]
struct State {
    recording: Recording,
    events: Option<(PathBuf, EventWriter<File>)>,
    /// The first event that could not be written.
    unwritten: Option<hil_report::Error>,
    /// What has been told of already.
    blamed: Vec<Trouble>,
}

impl Recorder {
    /// A recorder of a run that begins.
    pub(super) fn new(reports: &Reports) -> Result<Self> {
        let started = SystemTime::now();
        let events = reports.events.as_deref().map(create).transpose()?;
        let command: Vec<_> = std::env::args().collect();
        let notes = vec![("command".to_owned(), command.join(" "))];
        let recorder = Self {
            state: Mutex::new(State {
                recording: Recording::new(started, notes.clone()),
                events: events.map(|(path, file)| (path, EventWriter::new(file))),
                unwritten: None,
                blamed: Vec::new(),
            }),
            begun: Instant::now(),
        };
        recorder.add(Event::RunStarted { started, notes });
        Ok(recorder)
    }

    /// Takes an event.
    pub(super) fn add(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, writer)) = &mut state.events {
            // The tests go on; that it failed is told in the end.
            if let Err(error) = writer.write(&event) {
                state.unwritten.get_or_insert(error);
            }
        }
        state.recording.add(event);
    }

    /// Tells what ended a part of the run early, if that has not been told yet: what does not
    /// build, or whatever else went wrong, on a bench if it was there.
    pub(super) fn blame(&self, failure: &Failure, bench: Option<&str>) {
        let kind = match failure.exit() {
            Exit::Build => TroubleKind::Build,
            _ => TroubleKind::Infrastructure,
        };
        let trouble = Trouble {
            kind,
            what: failure.summary(),
            bench: bench.map(str::to_owned),
            detail: failure.evidence_lines().to_vec(),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.blamed.contains(&trouble) {
            state.blamed.push(trouble.clone());
            drop(state);
            self.add(Event::Trouble(trouble));
        }
    }

    /// Ends the run and writes the reports that were asked for.
    pub(super) fn finish(self, reports: &Reports) -> Result<Report> {
        let duration = self.begun.elapsed();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let summary = {
            let mut report = state.recording.clone().into_report("");
            report.duration = duration;
            report.summary()
        };
        drop(state);
        self.add(Event::RunFinished { duration, summary });
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let (Some((path, _)), Some(error)) = (&state.events, state.unwritten) {
            return Err(error).or_environment(|| format!("cannot write {}", path.display()));
        }
        let report = state.recording.into_report("");
        if let Some(path) = &reports.junit {
            let text = report.to_junit();
            let text = text.or_fail(Exit::Infrastructure, || "cannot make the JUnit report")?;
            write(path, &text)?;
        }
        if let Some(path) = &reports.html {
            write(path, &report.to_html())?;
        }
        Ok(report)
    }
}

fn create(path: &Path) -> Result<(PathBuf, File)> {
    let file = File::create(path).or_environment(|| format!("cannot write {}", path.display()))?;
    Ok((path.to_owned(), file))
}

/// Writes a document, whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path));
    written.or_environment(|| format!("cannot write {}", path.display()))
}
