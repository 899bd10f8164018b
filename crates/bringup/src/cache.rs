// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where downloads and everything made from them are kept, outside of the work tree.
//!
//! An entry is made under a name of its own and renamed when it is whole and on disk, so what
//! carries an entry's name is complete, whatever interrupted an earlier run. See
//! [`crate::lock`] for how runs keep out of each other's way.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// Where the cache is unless `BRINGUP_CACHE` says otherwise, below the home folder.
const DEFAULT: &str = ".cache/bringup";

/// Says that a folder is a cache, to this program and to those that make backups.
///
/// Reference: <https://bford.info/cachedir/>
const TAG: &str = "CACHEDIR.TAG";

const TAG_CONTENT: &str = "\
Signature: 8a477f597d28d172789f06886806bc55
# This folder is the cache of bringup. `cargo bringup clean --cache` empties it.
";

/// The file that runs lock.
const LOCK: &str = "lock";

/// How the names of entries end that are not whole.
const PARTIAL: &str = ".partial";

/// How the names of temporary folders begin.
const TEMPORARY: &str = ".bringup-";

/// The cache's folder.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the cache and makes its folder.
    pub(crate) fn open() -> Result<Self> {
        Self::at(Self::location()?)
    }

    /// The cache in this folder, which is made, or must be empty or one already, be it one that
    /// has lost its tag.
    pub(crate) fn at(root: PathBuf) -> Result<Self> {
        let unusable = || format!("cannot make the cache folder {}", root.display());
        let elsewhere = |failure: Failure| failure.help("BRINGUP_CACHE chooses another place");
        std::fs::create_dir_all(&root)
            .or_environment(unusable)
            .map_err(elsewhere)?;
        let tag = root.join(TAG);
        if !tag.is_file() {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&root).or_environment(unusable)? {
                names.push(entry.or_environment(unusable)?.file_name());
            }
            if !names.is_empty() && !is_untagged_cache(&names) {
                return Err(elsewhere(Failure::new(
                    Exit::Refused,
                    format!("{} is not empty, and no cache of this kit", root.display()),
                )));
            }
            std::fs::write(&tag, TAG_CONTENT)
                .or_environment(unusable)
                .map_err(elsewhere)?;
        }
        Ok(Self { root })
    }

    /// A folder that goes with what is returned.
    pub(crate) fn temporary_folder(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(&self.root)
            .or_environment(|| format!("cannot make a folder in {}", self.root.display()))
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
        if path.is_absolute() {
            return Ok(path);
        }
        Err(Failure::new(
            Exit::Refused,
            format!(
                "the cache folder {} is not an absolute path",
                path.display()
            ),
        )
        .help("set BRINGUP_CACHE to a path that begins with a slash"))
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

    /// The file that runs lock.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    /// Whether `name` is what this program gives an entry, so that it may remove it.
    pub(crate) fn is_entry(name: &str) -> bool {
        let name = name.strip_suffix(PARTIAL).unwrap_or(name);
        let is_key = |text: &str| text.len() == 12 && text.chars().all(|c| c.is_ascii_hexdigit());
        let ends_with_key = |rest: &str| is_key(rest.rsplit('-').next().unwrap_or(rest));
        match name.split_once('-') {
            Some(("toolbox" | "target" | "labgrid", rest)) => is_key(rest),
            Some(("kernel", rest)) => ends_with_key(rest),
            Some(("instead", rest)) => {
                let kinds = ["of-kernel-", "of-target-"].into_iter();
                let rest = kinds.filter_map(|kind| rest.strip_prefix(kind)).next();
                let rest = rest.and_then(|rest| rest.strip_suffix(".lock"));
                rest.is_some_and(ends_with_key)
            }
            _ => matches!(name, "archive" | "cargo") || name.starts_with(TEMPORARY),
        }
    }

    /// What was begun and is not whole: what is made now, or what was when its maker was killed.
    pub(crate) fn partial(&self) -> Result<Vec<PathBuf>> {
        let unreadable = || format!("cannot read {}", self.root.display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.root).or_environment(unreadable)? {
            let entry = entry.or_environment(unreadable)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(PARTIAL) && Self::is_entry(&name) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
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
        let partial = self.root.join(format!("{name}{PARTIAL}"));
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
        // What has the entry's name must be whole even after the power has failed.
        let folder =
            File::open(&partial).or_environment(|| format!("cannot open {}", partial.display()))?;
        nix::unistd::syncfs(&folder)
            .or_environment(|| format!("cannot write {} to disk", partial.display()))?;
        std::fs::rename(&partial, &entry)
            .or_environment(|| format!("cannot rename {}", partial.display()))?;
        Ok(entry)
    }

    /// Refuses an entry that lacks one of these files, because something has damaged it.
    pub(crate) fn require_whole(entry: &Path, files: &[&Path]) -> Result<()> {
        match files.iter().find(|file| !entry.join(file).exists()) {
            None => Ok(()),
            Some(file) => Err(Failure::new(
                Exit::Environment,
                format!(
                    "{} is damaged: it lacks {}",
                    entry.display(),
                    file.display()
                ),
            )
            .help("`cargo bringup clean --cache` removes it, and the next run makes it anew")),
        }
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

/// Whether a folder with this content is a cache all the same. The lock must be there: a folder
/// named `archive` or `cargo` alone may be anybody's.
fn is_untagged_cache(names: &[OsString]) -> bool {
    let is_ours = |name: &OsString| name == LOCK || Cache::is_entry(&name.to_string_lossy());
    names.iter().any(|name| name == LOCK) && names.iter().all(is_ours)
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
    fn what_is_not_whole_is_found_and_nothing_else() {
        let (_guard, cache) = cache();
        let left = "toolbox-a97fa7f77fe4.partial";
        for name in [left, "toolbox-b97fa7f77fe4", "photos.partial"] {
            std::fs::create_dir(cache.entry(name)).unwrap();
        }
        assert_eq!(cache.partial().unwrap(), [cache.entry(left)]);
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
    fn only_what_this_program_makes_is_taken_for_an_entry() {
        for ours in [
            "toolbox-a97fa7f77fe4",
            "toolbox-a97fa7f77fe4.partial",
            "kernel-7.3.4+deb13-arm64-933b1b1ad1d6",
            "instead-of-kernel-7.3.3+deb13-arm64-2eafb7ff2d47.lock",
            "archive",
            "cargo",
            ".bringup-x1",
        ] {
            assert!(Cache::is_entry(ours), "{ours}");
        }
        for other in [
            "archive-of-photos",
            "cargo-projects",
            "kernel-src",
            "toolbox",
            "lock",
        ] {
            assert!(!Cache::is_entry(other), "{other}");
        }
    }

    #[test]
    fn an_entry_that_lacks_a_file_is_damaged() {
        let (_guard, cache) = cache();
        let entry = cache.folder("thing").unwrap();
        let (there, gone) = (Path::new("there"), Path::new("gone"));
        std::fs::write(entry.join(there), "x").unwrap();
        Cache::require_whole(&entry, &[there]).unwrap();
        let failure = Cache::require_whole(&entry, &[there, gone]).unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        assert!(failure.summary().contains("lacks gone"), "{failure}");
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_not_adopted() {
        let guard = tempfile::tempdir().unwrap();
        std::fs::write(guard.path().join("letter.txt"), "x").unwrap();
        let failure = Cache::at(guard.path().to_path_buf()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(failure.summary().contains("not empty"), "{failure}");
    }

    #[test]
    fn a_cache_that_has_lost_its_tag_is_adopted_and_what_only_resembles_one_is_not() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().to_path_buf();
        std::fs::create_dir(root.join("archive")).unwrap();
        assert!(Cache::at(root.clone()).is_err(), "it was never locked");
        std::fs::write(root.join(LOCK), "pid 1: bringup demo\n").unwrap();
        std::fs::write(root.join("letter.txt"), "x").unwrap();
        assert!(Cache::at(root.clone()).is_err(), "a letter is in it");
        std::fs::remove_file(root.join("letter.txt")).unwrap();
        std::fs::create_dir(root.join("toolbox-a97fa7f77fe4.partial")).unwrap();
        Cache::at(root.clone()).unwrap();
        assert!(root.join(TAG).is_file());
    }

    #[test]
    fn an_empty_folder_is_adopted_and_known_again() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().join("new");
        Cache::at(root.clone()).unwrap();
        std::fs::write(root.join("lock"), "x").unwrap();
        Cache::at(root).unwrap();
    }
}
