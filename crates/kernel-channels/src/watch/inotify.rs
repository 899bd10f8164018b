// SPDX-License-Identifier: MIT OR Apache-2.0

//! What happens to files, by inotify.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::Changes;
use crate::{Error, Interest, Operation, poll};

const OBJECT: &str = "an inotify instance";

/// Watches any number of files and folders.
#[derive(Debug)]
pub struct Watcher {
    inotify: Inotify,
    /// Read already, but not handed out.
    events: VecDeque<InotifyEvent>,
}

/// What is watched, to tell by it which of several an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch(WatchDescriptor);

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// To which of those that are watched.
    pub watch: Watch,
    /// What it was.
    pub changes: Changes,
    /// To which entry, if it happened to one of a folder.
    pub name: Option<OsString>,
    /// The same number in both events of a renaming, else 0.
    pub cookie: u32,
}

impl Watcher {
    /// One that watches nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `inotify_init1(2)` returned: `EMFILE` when this user has as many
    /// as `/proc/sys/fs/inotify/max_user_instances` says.
    pub fn new() -> Result<Self, Error> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let inotify = Inotify::init(flags);
        Ok(Self {
            inotify: inotify.map_err(|e| Error::object(Operation::Create, OBJECT, e.into()))?,
            events: VecDeque::new(),
        })
    }

    /// Watches a file, or a folder with its entries, for some changes. What is watched already is
    /// watched for these instead.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `inotify_add_watch(2)` returned: `ENOENT`, `EACCES` when it cannot
    /// be read, `EINVAL` for no changes at all, `ENOSPC` when this user has as many as
    /// `/proc/sys/fs/inotify/max_user_watches` says.
    pub fn add(&self, path: impl AsRef<Path>, changes: Changes) -> Result<Watch, Error> {
        let path = path.as_ref();
        let flags = AddWatchFlags::from_bits_retain(changes.bits());
        let added = self.inotify.add_watch(path, flags);
        let watch = added.map_err(|e| Error::path(Operation::Watch, path, e.into()))?;
        Ok(Watch(watch))
    }

    /// Ends a watch, which the last event of it says.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with `EINVAL` when it has gone already.
    pub fn remove(&self, watch: Watch) -> Result<(), Error> {
        let removed = self.inotify.rm_watch(watch.0);
        removed.map_err(|e| Error::object(Operation::Remove, "a watch", e.into()))
    }

    /// Waits for the next event; `None` when the time ran out. Without a timeout it waits for ever.
    ///
    /// # Errors
    ///
    /// [`Error::QueueOverflow`] when this program was too slow, after which it may go on, but has to
    /// look for itself what is there; [`Error::Object`] when the events cannot be read.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Option<Change>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(event) = self.events.pop_front() {
                return read(event).map(Some);
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if poll(&self.inotify, Interest::READABLE, left)?.is_none() {
                return Ok(None);
            }
            match self.inotify.read_events() {
                Ok(events) => self.events.extend(events),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(e) => return Err(Error::object(Operation::Read, OBJECT, e.into())),
            }
        }
    }
}

fn read(event: InotifyEvent) -> Result<Change, Error> {
    if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
        return Err(Error::QueueOverflow { object: OBJECT });
    }
    Ok(Change {
        watch: Watch(event.wd),
        changes: Changes::from_bits(event.mask.bits()),
        name: event.name,
        cookie: event.cookie,
    })
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn the_uses_of_a_file_come_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut watcher = Watcher::new().unwrap();
        let changes = Changes::CREATE | Changes::OPEN | Changes::CLOSE_WRITE | Changes::DELETE;
        let watch = watcher.add(folder.path(), changes).unwrap();
        drop(File::create(&path).unwrap());
        fs::remove_file(&path).unwrap();
        for expected in [
            Changes::CREATE,
            Changes::OPEN,
            Changes::CLOSE_WRITE,
            Changes::DELETE,
        ] {
            let event = watcher.next(NOW).unwrap().unwrap();
            assert_eq!((event.watch, event.changes), (watch, expected));
            assert_eq!(event.name.unwrap(), "file");
        }
        assert_eq!(watcher.next(NOW).unwrap(), None);
    }

    #[test]
    fn a_renaming_is_told_twice_with_one_cookie() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("old"), "").unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher
            .add(folder.path(), Changes::MOVED_FROM | Changes::MOVED_TO)
            .unwrap();
        let mut cookies = Vec::new();
        for (old, new) in [("old", "new"), ("new", "newer")] {
            fs::rename(path(old), path(new)).unwrap();
            let from = watcher.next(NOW).unwrap().unwrap();
            let to = watcher.next(NOW).unwrap().unwrap();
            assert_eq!(
                (from.name.unwrap(), to.name.unwrap()),
                (old.into(), new.into())
            );
            assert!(from.cookie == to.cookie && from.cookie != 0);
            cookies.push(from.cookie);
        }
        assert_ne!(cookies[0], cookies[1], "one for each renaming");
    }

    #[test]
    fn the_end_of_a_watch_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let mut watcher = Watcher::new().unwrap();
        let gone = watcher.add(&path, Changes::DELETE_SELF).unwrap();
        let removed = watcher.add(folder.path(), Changes::CREATE).unwrap();
        watcher.remove(removed).unwrap();
        fs::remove_file(&path).unwrap();
        for (watch, changes) in [
            (removed, Changes::IGNORED),
            (gone, Changes::DELETE_SELF),
            (gone, Changes::IGNORED),
        ] {
            let event = watcher.next(NOW).unwrap().unwrap();
            assert_eq!((event.watch, event.changes), (watch, changes));
        }
        let again = watcher.remove(gone).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(again.to_string(), "cannot remove a watch");
    }

    #[test]
    fn what_cannot_be_watched_is_named() {
        let watcher = Watcher::new().unwrap();
        let error = watcher.add("/no/such/file", Changes::OPEN).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert_eq!(error.to_string(), "cannot watch /no/such/file");
        let error = watcher.add("/dev/null", Changes::default()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
