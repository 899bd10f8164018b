// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where downloads and everything made from them are kept, outside of the work tree.
//!
//! An entry is made under a name of its own and renamed when it is whole, so what carries an
//! entry's name is complete, whatever interrupted an earlier run. One run at a time changes the
//! cache; the lock is inherited by the programs that a run starts and ends with the last of them.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};
use nix::sys::statvfs::statvfs;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Progress;

/// Where the cache is unless `BRINGUP_CACHE` says otherwise, below the home folder.
const DEFAULT: &str = ".cache/bringup";

/// The cache's folder.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// The right to change the cache, or, once [shared](Self::share), to rely on it.
#[derive(Debug)]
pub(crate) struct Lock(Flock<File>);

impl Cache {
    /// Finds the cache and makes its folder.
    pub(crate) fn open() -> Result<Self> {
        let root = Self::location()?;
        std::fs::create_dir_all(&root)
            .or_environment(|| format!("cannot make the cache folder {}", root.display()))
            .map_err(|failure| failure.help("BRINGUP_CACHE chooses another place"))?;
        Ok(Self { root })
    }

    /// Where the cache is or would be.
    pub(crate) fn location() -> Result<PathBuf> {
        let chosen = std::env::var_os("BRINGUP_CACHE").filter(|value| !value.is_empty());
        let path = match (chosen, std::env::var_os("HOME")) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(home)) => Path::new(&home).join(DEFAULT),
            (None, None) => {
                return Err(
                    Failure::new(Exit::Environment, "no home folder to keep the cache in")
                        .help("set BRINGUP_CACHE to a folder"),
                );
            }
        };
        std::path::absolute(&path).or_environment(|| format!("cannot resolve {}", path.display()))
    }

    /// The cache's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Path of the entry `name`, whether it exists or not.
    pub(crate) fn entry(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A folder that holds more than one entry, made if needed.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path)
            .or_environment(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }

    /// Waits until no other run changes the cache.
    pub(crate) fn lock(&self, progress: &Progress) -> Result<Lock> {
        let path = self.root.join("lock");
        let unusable = || format!("cannot lock {}", path.display());
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .or_environment(unusable)?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((returned, Errno::EWOULDBLOCK)) => {
                file = returned;
                let mut holder = String::new();
                // Who holds it is a courtesy; without it the wait is the same.
                let _ = file.read_to_string(&mut holder);
                progress.note(&format!(
                    "another run uses the cache ({}); waiting for it, Ctrl-C gives up",
                    holder.trim()
                ));
                Flock::lock(file, FlockArg::LockExclusive)
                    .map_err(|(_, errno)| errno)
                    .or_environment(unusable)?
            }
            Err((_, errno)) => return Err(errno).or_environment(unusable),
        };
        // Programs that this run starts keep the lock: if this process is killed, a step that
        // still works in the cache is not disturbed.
        fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).or_environment(unusable)?;
        let command: Vec<String> = std::env::args().skip(1).collect();
        let holder = format!(
            "pid {}: bringup {}\n",
            std::process::id(),
            command.join(" ")
        );
        let mut file: &File = &lock;
        file.set_len(0).or_environment(unusable)?;
        file.write_all(holder.as_bytes()).or_environment(unusable)?;
        Ok(Lock(lock))
    }

    /// Makes the entry `name` with `make`, which gets an empty folder to fill.
    ///
    /// `bytes` is about what it takes; less free space is refused before anything is done.
    pub(crate) fn make(
        &self,
        name: &str,
        bytes: u64,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.entry(name);
        let partial = self.root.join(format!("{name}.partial"));
        remove(&partial)?;
        self.require_space(bytes)?;
        std::fs::create_dir(&partial)
            .or_environment(|| format!("cannot make the folder {}", partial.display()))?;
        let made = make(&partial);
        if let Err(failure) = made {
            // What is left is removed by the next attempt if it cannot be removed now.
            let _ = remove(&partial);
            return Err(failure);
        }
        std::fs::rename(&partial, &entry)
            .or_environment(|| format!("cannot rename {}", partial.display()))?;
        Ok(entry)
    }

    /// Free space where the cache is, in bytes.
    pub(crate) fn free_bytes(&self) -> Result<u64> {
        let status = statvfs(&self.root)
            .or_environment(|| format!("cannot tell the free space of {}", self.root.display()))?;
        Ok(status
            .blocks_available()
            .saturating_mul(status.fragment_size()))
    }

    /// Refuses to begin what needs more free space than there is.
    pub(crate) fn require_space(&self, bytes: u64) -> Result<()> {
        let free = self.free_bytes()?;
        if free >= bytes {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Environment,
            format!(
                "{} has {} free, but this step needs {}",
                self.root.display(),
                gibibytes(free),
                gibibytes(bytes)
            ),
        )
        .help("free some space, or set BRINGUP_CACHE to a folder on a larger disk"))
    }
}

impl Lock {
    /// Lets other runs rely on the cache too, as this one does from now on, but change nothing.
    pub(crate) fn share(&self) -> Result<()> {
        self.0
            .relock(FlockArg::LockShared)
            .or_environment(|| "cannot share the cache's lock")
    }
}

/// Bytes as a person reads them.
pub(crate) fn gibibytes(bytes: u64) -> String {
    // CAST: rounded to one decimal place anyway.
    #[expect(clippy::cast_precision_loss, reason = "rounded to one decimal place")]
    let value = bytes as f64 / f64::from(1 << 30);
    format!("{value:.1} GiB")
}

/// Removes a folder and all below it, unless a file system is still mounted there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")
        .or_environment(|| "cannot read /proc/self/mountinfo")?;
    let mount_points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    for point in mount_points {
        if Path::new(point).starts_with(path) && Path::new(point) != path {
            return Err(Failure::new(
                Exit::Environment,
                format!(
                    "{} will not be removed: {point} is mounted below it",
                    path.display()
                ),
            )
            .help(format!("umount {point}")));
        }
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_environment(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().to_path_buf();
        (guard, Cache { root })
    }

    #[test]
    fn an_entry_appears_only_when_it_is_whole() {
        let (_guard, cache) = cache();
        let failed = cache.make("thing", 0, |partial| {
            std::fs::write(partial.join("half"), "x").unwrap();
            assert!(!cache.entry("thing").exists());
            Err(Failure::new(Exit::Build, "interrupted"))
        });
        assert!(failed.is_err());
        assert!(!cache.entry("thing").exists());
        assert!(!cache.entry("thing.partial").exists());
        cache
            .make("thing", 0, |partial| {
                std::fs::write(partial.join("whole"), "x").unwrap();
                Ok(())
            })
            .unwrap();
        assert!(cache.entry("thing").join("whole").exists());
    }

    #[test]
    fn what_a_killed_run_left_is_not_taken_for_an_entry() {
        let (_guard, cache) = cache();
        std::fs::create_dir(cache.entry("thing.partial")).unwrap();
        std::fs::write(cache.entry("thing.partial").join("stale"), "x").unwrap();
        let entry = cache.make("thing", 0, |_| Ok(())).unwrap();
        assert!(!entry.join("stale").exists());
    }

    #[test]
    fn too_little_space_is_refused_before_anything_is_done() {
        let (_guard, cache) = cache();
        let failure = cache
            .make("thing", u64::MAX, |_| panic!("was begun"))
            .unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        assert!(failure.summary().contains("needs"), "{failure}");
        assert!(!cache.entry("thing.partial").exists());
    }

    #[test]
    fn a_second_run_waits_and_a_shared_lock_lets_it_in() {
        let (_guard, cache) = cache();
        let progress = Progress::new(false, cache.entry("logs"));
        let first = cache.lock(&progress).unwrap();
        let path = cache.entry("lock");
        let try_shared = || {
            let file = File::open(&path).unwrap();
            Flock::lock(file, FlockArg::LockSharedNonblock)
                .map(drop)
                .map_err(|(_, errno)| errno)
        };
        assert_eq!(try_shared(), Err(Errno::EWOULDBLOCK));
        first.share().unwrap();
        assert_eq!(try_shared(), Ok(()));
        let holder = std::fs::read_to_string(&path).unwrap();
        assert!(
            holder.starts_with(&format!("pid {}", std::process::id())),
            "{holder}"
        );
    }
}
