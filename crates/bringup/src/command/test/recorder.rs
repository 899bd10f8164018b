// SPDX-License-Identifier: MIT OR Apache-2.0

//! Records a run, and writes its reports.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use hil_report::{Event, EventWriter, Recording, Report, Trouble, TroubleKind};

use crate::cli::Reports;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// The permissions of a report: everybody may read it.
const READABLE: u32 = 0o644;

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
    let cannot = || format!("cannot write {}", path.display());
    if path.exists() && !path.is_file() {
        // A device or a pipe is written, not replaced.
        return std::fs::write(path, text).or_environment(cannot);
    }
    // Where it really is, if it is a link.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = match place.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut partial = tempfile::Builder::new();
    let partial = partial.permissions(Permissions::from_mode(READABLE));
    let partial = partial.tempfile_in(folder).or_environment(cannot)?;
    std::fs::write(partial.path(), text).or_environment(cannot)?;
    let kept = partial.persist(&place).map_err(|error| error.error);
    kept.map(drop).or_environment(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_written_and_a_link_followed_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let end = pipe.clone();
        let reader = std::thread::spawn(move || std::fs::read_to_string(end).unwrap());
        write(&pipe, "text").unwrap();
        assert_eq!(reader.join().unwrap(), "text");
        assert!(!pipe.is_file());
        let (file, link) = (folder.path().join("report.xml"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
