// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gets labgrid and what it needs: `ser2net` from Debian, the rest from the Python Package Index.
//!
//! Debian's archive keeps only the newest version of a package: when a locked one is gone, the
//! newest of all take their place, which is said as long as they are used.

use std::path::{Path, PathBuf};

use super::lock::Lock;
use super::pip::Pip;
use super::{DEBIAN, SITE};
use crate::archive::{self, Archive, Package};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::kernel::obtain::{Obtain, missing};
use crate::lock::{Lock as Claim, Mode};
use crate::progress::Step;

/// `ser2net` with what it needs and the toolbox lacks, and pip.
const NAMES: [&str; 8] = [
    "libavahi-client3",
    "libavahi-common3",
    "libdbus-1-3",
    "libgensio6t64",
    "libsctp1",
    "libwrap0",
    "python3-pip-whl",
    "ser2net",
];

/// The distribution that brings coordinator, exporter and client.
pub(super) const DISTRIBUTION: &str = "labgrid";

/// About what all of it takes, in bytes.
const BYTES: u64 = 128 << 20;

/// Says in an entry which packages are others than the lock file's.
const INSTEAD: &str = "instead";

/// The folder with all of it, which is made if the cache lacks it. `locked` takes nothing but what
/// the lock file names. The cache is shared with other runs; apt's own files in it are not.
pub(super) fn ensure(obtain: &Obtain<'_>, lock: &Lock, locked: bool) -> Result<PathBuf> {
    let entry = obtain.cache.entry(&lock.entry_name());
    if !entry.is_dir() {
        let path = obtain.cache.folder("archive")?.join("lock");
        let _fetching = Claim::take(&path, Mode::Exclusive, obtain.progress)?;
        // Another run may have made it meanwhile.
        if !entry.is_dir() {
            make(obtain, lock, locked)?;
        }
    }
    let Ok(instead) = std::fs::read_to_string(entry.join(INSTEAD)) else {
        return Ok(entry);
    };
    let instead = instead.trim();
    if locked {
        return Err(gone(instead));
    }
    obtain.progress.note(&format!(
        "the archive no longer has all packages of boards/labgrid.lock; using {instead}. `cargo \
         bringup bench update` writes that to the lock file"
    ));
    Ok(entry)
}

/// Writes the newest of all to the lock file; whether it is other than before.
pub(super) fn update(obtain: &Obtain<'_>, suite: &str, path: &Path) -> Result<bool> {
    let asking = obtain.cache.folder("archive")?.join("lock");
    let _asking = Claim::take(&asking, Mode::Exclusive, obtain.progress)?;
    let step = obtain
        .progress
        .step("labgrid", "asking for the newest labgrid")?;
    let archive = obtain.refresh(suite, &step)?;
    let packages = newest(&archive, suite)?;
    archive.fetch(obtain.cache, &packages, &step)?;
    let folder = obtain.cache.temporary_folder()?;
    unpack(obtain, &packages, folder.path(), &step)?;
    let pip = Pip::find(obtain.toolbox, folder.path(), folder.path())?;
    let lock = Lock {
        suite: suite.to_owned(),
        packages,
        wheels: pip.newest(DISTRIBUTION, &step)?,
    };
    step.done("asked");
    if Lock::read(path).is_ok_and(|old| old == lock) {
        return Ok(false);
    }
    lock.write(path)?;
    Ok(true)
}

fn make(obtain: &Obtain<'_>, lock: &Lock, locked: bool) -> Result<()> {
    let step = obtain
        .progress
        .step("labgrid", "fetching labgrid and ser2net")?;
    let packages = fetched(obtain, lock, locked, &step)?;
    obtain.cache.make(&lock.entry_name(), BYTES, |folder| {
        let debian = folder.join(DEBIAN);
        std::fs::create_dir(&debian)
            .or_environment(|| format!("cannot make {}", debian.display()))?;
        unpack(obtain, &packages, &debian, &step)?;
        let pip = Pip::find(obtain.toolbox, &debian, folder)?;
        pip.install(&lock.requirements(), &step)?;
        let module = Path::new(SITE).join("labgrid/remote/client.py");
        crate::cache::Cache::require_whole(folder, &[&module])?;
        let pairs = lock.packages.iter().zip(&packages);
        let other = pairs.filter(|(old, new)| old != new);
        let other: Vec<_> = other
            .map(|(old, new)| format!("{} {} instead of {}", new.name, new.version, old.version))
            .collect();
        if other.is_empty() {
            return Ok(());
        }
        std::fs::write(folder.join(INSTEAD), other.join(", "))
            .or_environment(|| "cannot write what is used instead")
    })?;
    step.done("labgrid and ser2net are ready");
    Ok(())
}

/// The locked packages, or the newest if those are gone, in the cache.
fn fetched(obtain: &Obtain<'_>, lock: &Lock, locked: bool, step: &Step) -> Result<Vec<Package>> {
    if archive::all_cached(obtain.cache, &lock.packages)? {
        return Ok(lock.packages.clone());
    }
    let archive = obtain.refresh(&lock.suite, step)?;
    let packages = match missing(&archive, &lock.packages)? {
        None => lock.packages.clone(),
        Some(package) if locked => return Err(gone(&package.name)),
        Some(_) => newest(&archive, &lock.suite)?,
    };
    archive.fetch(obtain.cache, &packages, step)?;
    Ok(packages)
}

fn gone(what: &str) -> Failure {
    let what = format!("the archive no longer has what boards/labgrid.lock names: {what}");
    Failure::new(Exit::Refused, what)
        .help("without --locked the newest of the suite takes its place")
        .help("`cargo bringup bench update` writes it into the lock file")
}

/// The newest version of each package, for this PC.
fn newest(archive: &Archive<'_>, suite: &str) -> Result<Vec<Package>> {
    let mut packages = Vec::new();
    for name in NAMES {
        let mut found = archive.find(name, "amd64", None)?;
        if found.is_none() {
            found = archive.find(name, "all", None)?;
        }
        packages.push(found.ok_or_else(|| {
            let what = format!("{suite} has no package {name} for amd64");
            Failure::new(Exit::Environment, what)
        })?);
    }
    Ok(packages)
}

fn unpack(obtain: &Obtain<'_>, packages: &[Package], to: &Path, step: &Step) -> Result<()> {
    for package in packages {
        archive::unpack(obtain.toolbox, obtain.cache, package, to, step)?;
    }
    Ok(())
}
