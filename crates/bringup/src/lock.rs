// SPDX-License-Identifier: MIT OR Apache-2.0

//! How runs keep out of each other's way.
//!
//! Two files are locked: one in the cache, exclusively by the run that adds to it and shared by
//! those that rely on it; and one in the checkout's output folder, by the run that builds there.
//! A lock belongs to the open file: the kernel gives it back when nobody has that open any more,
//! however the processes ended. What a run starts in the toolbox ends with it; an ordinary user's
//! mmdebstrap does not, so it inherits the lock and keeps others away from what it is still writing.
//!
//! # References
//!
//! - `flock(2)`

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::failure::{OrFail, Result};
use crate::progress::Progress;

/// A lock that this run holds. It is not unlocked but closed: who has it too keeps it.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// With whom a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With nobody.
    Exclusive,
    /// With all who only rely on what is there.
    Shared,
}

impl Mode {
    fn now(self) -> FlockOperation {
        match self {
            Self::Exclusive => FlockOperation::NonBlockingLockExclusive,
            Self::Shared => FlockOperation::NonBlockingLockShared,
        }
    }

    fn waiting(self) -> FlockOperation {
        match self {
            Self::Exclusive => FlockOperation::LockExclusive,
            Self::Shared => FlockOperation::LockShared,
        }
    }
}

impl Lock {
    /// Locks `path`; says so if that means waiting for another run.
    pub(crate) fn take(path: &Path, mode: Mode, progress: &Progress) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .or_environment(|| format!("cannot lock {}", path.display()))?;
        Self::hold(file, path, mode, "another run is at work", progress)
    }

    /// Locks `path` for this run alone; none if anybody has it.
    pub(crate) fn take_if_free(path: &Path) -> Result<Option<Self>> {
        let file = File::options().read(true).open(path);
        let unusable = || format!("cannot lock {}", path.display());
        let file = match file {
            // Nobody has ever had it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.or_environment(unusable)?,
        };
        match flock(&file, Mode::Exclusive.now()) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno).or_environment(unusable),
        }
    }

    /// Locks something that all users of this PC share, of which `path` stands for: a file that
    /// whoever comes first makes for all.
    pub(crate) fn take_from_all_users(
        path: &Path,
        what: &str,
        progress: &Progress,
    ) -> Result<Self> {
        let unusable = || format!("cannot lock {}", path.display());
        let existing = || File::options().read(true).write(true).open(path);
        let file = match existing() {
            // In a folder like /run/lock nobody may create what another has created.
            Err(error) if error.kind() == ErrorKind::NotFound => create_for_all(path),
            other => other,
        };
        let file = match file {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => existing(),
            other => other,
        };
        let file = file.or_environment(unusable)?;
        let in_use = format!("{what} is in use");
        Self::hold(file, path, Mode::Exclusive, &in_use, progress)
    }

    fn hold(
        mut file: File,
        path: &Path,
        mode: Mode,
        why: &str,
        progress: &Progress,
    ) -> Result<Self> {
        let unusable = || format!("cannot lock {}", path.display());
        match flock(&file, mode.now()) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Who holds it is a courtesy; without it the wait is the same.
                let _ = file.read_to_string(&mut holder);
                let holder = holder_at_work(&holder)
                    .map_or_else(String::new, |holder| format!(" ({holder})"));
                progress.note(&format!("{why}{holder}; waiting for it, Ctrl-C gives up"));
                flock(&file, mode.waiting()).or_environment(unusable)?;
            }
            Err(errno) => return Err(errno).or_environment(unusable),
        }
        let command: Vec<String> = std::env::args().skip(1).collect();
        let holder = format!(
            "pid {}: bringup {}\n",
            std::process::id(),
            command.join(" ")
        );
        // Who holds it shared with others is only the last of them, which is good enough.
        file.set_len(0).or_environment(unusable)?;
        file.rewind().or_environment(unusable)?;
        file.write_all(holder.as_bytes()).or_environment(unusable)?;
        Ok(Self(file))
    }

    /// From now on others may rely on what is there too.
    pub(crate) fn share(&self) -> Result<()> {
        flock(&self.0, FlockOperation::LockShared).or_environment(|| "cannot share a lock")
    }

    /// The same lock for another program: when this run gives it back or is killed, the program
    /// keeps it.
    pub(crate) fn inheritable(&self) -> Result<OwnedFd> {
        let file = self
            .0
            .try_clone()
            .or_environment(|| "cannot hand on a lock")?;
        Ok(file.into())
    }
}

/// Makes a file that every user of this PC may write.
fn create_for_all(path: &Path) -> std::io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o666))?;
    Ok(file)
}

/// Who wrote that it holds the lock, unless it has ended: then another holds it now, one that
/// inherited it or one that shared it.
fn holder_at_work(text: &str) -> Option<&str> {
    let holder = text.trim();
    let (pid, _) = holder.strip_prefix("pid ")?.split_once(':')?;
    let pid: u32 = pid.parse().ok()?;
    Path::new(&format!("/proc/{pid}"))
        .exists()
        .then_some(holder)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn progress(folder: &Path) -> Progress {
        Progress::new(false, folder.join("logs"))
    }

    fn is_free(path: &Path, mode: Mode) -> bool {
        flock(File::open(path).unwrap(), mode.now()).is_ok()
    }

    /// What another test starts in this process has all locks too until it is another program.
    fn becomes_free(path: &Path, mode: Mode) -> bool {
        let mut tries = 0..500;
        tries.any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            is_free(path, mode)
        })
    }

    #[test]
    fn who_only_relies_on_the_cache_is_let_in_once_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let maker = Lock::take(&path, Mode::Exclusive, &progress(folder.path())).unwrap();
        assert!(!is_free(&path, Mode::Shared));
        maker.share().unwrap();
        let user = Lock::take(&path, Mode::Shared, &progress(folder.path())).unwrap();
        assert!(!is_free(&path, Mode::Exclusive));
        drop((maker, user));
        assert!(becomes_free(&path, Mode::Exclusive));
    }

    #[test]
    fn one_who_does_not_wait_has_it_only_while_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(Lock::take_if_free(&path).unwrap().is_none(), "not there");
        let user = Lock::take(&path, Mode::Shared, &progress(folder.path())).unwrap();
        assert!(Lock::take_if_free(&path).unwrap().is_none());
        drop(user);
        assert!(becomes_free(&path, Mode::Exclusive));
        assert!(Lock::take_if_free(&path).unwrap().is_some());
    }

    #[test]
    fn who_has_been_handed_a_lock_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path, Mode::Exclusive, &progress(folder.path())).unwrap();
        let handed_on = lock.inheritable().unwrap();
        drop(lock);
        assert!(!is_free(&path, Mode::Exclusive));
        drop(handed_on);
        assert!(becomes_free(&path, Mode::Exclusive));
    }

    #[test]
    fn the_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _lock = Lock::take(&path, Mode::Exclusive, &progress(folder.path())).unwrap();
        let holder = std::fs::read_to_string(&path).unwrap();
        let expected = format!("pid {}: bringup", std::process::id());
        assert!(holder.starts_with(&expected), "{holder}");
        assert_eq!(holder_at_work(&holder), Some(holder.trim()));
    }

    #[test]
    fn what_all_users_share_is_made_by_the_first_and_may_be_written_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let take = || Lock::take_from_all_users(&path, "x", &progress(folder.path())).unwrap();
        let first = take();
        assert!(!is_free(&path, Mode::Exclusive));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
        drop(first);
        drop(take());
        let holder = std::fs::read_to_string(&path).unwrap();
        assert!(holder.starts_with("pid "), "{holder:?}");
    }

    #[test]
    fn a_holder_that_has_ended_is_not_named() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        assert_eq!(holder_at_work(&format!("pid {dead}: bringup demo\n")), None);
        for text in ["", "pid ", "pid x: y", "somebody"] {
            assert_eq!(holder_at_work(text), None, "{text}");
        }
    }
}
