// SPDX-License-Identifier: MIT OR Apache-2.0

//! One visit at a time: a locked file, which says who visits, and what there was before.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::settings::Setting;
use crate::exit::Refusal;

/// The file. Only root can make it; it is empty when no visit is under way.
pub(crate) const PATH: &str = "/run/bringup-target.lock";

/// How often it is tried: `doctor` has it for a moment, and who was killed until that is done.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Who visits.
    pub(crate) process: u32,
    /// What there was before.
    pub(crate) settings: Vec<Setting>,
}

/// The lock, until this is dropped. Who may not have it can change nothing on the board either, and
/// visits without.
#[derive(Debug)]
pub(super) struct Lock(Option<Flock<File>>);

impl Lock {
    pub(super) fn take() -> anyhow::Result<Self> {
        Self::take_at(Path::new(PATH))
    }

    fn take_at(path: &Path) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o644);
        let mut file = match options.open(path) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(Self(None)),
            file => file.with_context(|| format!("cannot open {}", path.display()))?,
        };
        for _ in 0..TRIES {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self(Some(lock))),
                Err((again, _)) => file = again,
            }
            thread::sleep(PAUSE);
        }
        let by = match read(&mut file) {
            Some(record) => format!("process {}", record.process),
            None => "another process".to_owned(),
        };
        let what = format!("another visit of this board is under way, by {by}");
        Err(Refusal::Busy(what).into())
    }

    /// Whether this user could have it.
    pub(super) fn is_held(&self) -> bool {
        self.0.is_some()
    }

    /// What a visit has left that was killed.
    pub(super) fn left(&mut self) -> Option<Record> {
        read(self.0.as_mut()?)
    }

    /// Writes down what there is before the visit.
    pub(super) fn note(&mut self, settings: &[Setting]) -> anyhow::Result<()> {
        let record = Record {
            process: std::process::id(),
            settings: settings.to_vec(),
        };
        self.write(&serde_json::to_string(&record)?)
    }

    /// Writes down that all is as it was.
    pub(super) fn clear(&mut self) -> anyhow::Result<()> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        let Some(file) = &mut self.0 else {
            return Ok(());
        };
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write {PATH}"))
    }
}

/// What a file says, if it does.
fn read(file: &mut File) -> Option<Record> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// What is to be said of visits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// None is under way, and none was killed.
    Nothing,
    /// By this process.
    UnderWay(Option<u32>),
    /// By one that was killed.
    By(Record),
}

/// Looks at the file, for `doctor`.
pub(crate) fn left(path: &Path) -> Left {
    let Ok(file) = File::open(path) else {
        return Left::Nothing;
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(mut file) => read(&mut file).map_or(Left::Nothing, Left::By),
        Err((mut file, _)) => Left::UnderWay(read(&mut file).map(|record| record.process)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_visit_at_a_time_and_the_other_is_told_whose() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(left(&path), Left::Nothing);
        let mut first = Lock::take_at(&path).unwrap();
        first.note(&[]).unwrap();
        let us = std::process::id();
        assert_eq!(left(&path), Left::UnderWay(Some(us)));
        let error = Lock::take_at(&path).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Refusal::Busy(_))));
        let expected = format!("under way, by process {us}");
        assert!(error.to_string().ends_with(&expected), "{error}");
        first.clear().unwrap();
        drop(first);
        assert_eq!(left(&path), Left::Nothing);
        assert_eq!(Lock::take_at(&path).unwrap().left(), None);
    }

    #[test]
    fn what_a_visit_that_was_killed_had_found_is_known_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut first = Lock::take_at(&path).unwrap();
        first.note(&[]).unwrap();
        drop(first);
        let record = Record {
            process: std::process::id(),
            settings: Vec::new(),
        };
        assert_eq!(left(&path), Left::By(record.clone()));
        let mut next = Lock::take_at(&path).unwrap();
        assert_eq!(next.left(), Some(record));
    }
}
