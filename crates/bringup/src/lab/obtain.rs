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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_debian::FakeDebian;

    /// Plays pip: it reports one distribution, and installs what it is told to.
    const PIP: &str = r#"
case "$*" in
*--dry-run*)
    hash=$(printf 'ab%.0s' $(seq 32))
    printf '{"install": [{"metadata": {"name": "labgrid", "version": "26.0"},' > report.json
    printf '"download_info": {"archive_info": {"hashes": {"sha256": "%s"}}}}]}' $hash >> report.json ;;
*--require-hashes*)
    mkdir -p site/labgrid/remote && cp requirements.txt site/labgrid/remote/client.py ;;
esac
"#;

    /// Offers one version of all packages.
    fn offer(debian: &FakeDebian, version: &str) -> Vec<Package> {
        let packages = NAMES.map(|name| {
            let wheels = "mkdir -p usr/share/python-wheels\n: > usr/share/python-wheels/pip-1.whl";
            let content = format!("{wheels}\necho {version} > {name}\n");
            let mut offered = debian.package(name, version, &content);
            let is_for_all = name == "python3-pip-whl";
            offered.package.architecture = if is_for_all { "all" } else { "amd64" }.to_owned();
            debian.offer(&offered);
            offered.package
        });
        packages.into()
    }

    fn updated(debian: &FakeDebian) -> Lock {
        let path = debian.folder("boards").join("labgrid.lock");
        assert!(update(&debian.obtain(), "trixie", &path).unwrap());
        assert!(!update(&debian.obtain(), "trixie", &path).unwrap());
        Lock::read(&path).unwrap()
    }

    #[test]
    fn what_an_update_has_locked_is_installed_by_its_hashes_once() {
        let debian = FakeDebian::new();
        debian.let_python(PIP);
        let packages = offer(&debian, "1");
        let lock = updated(&debian);
        assert_eq!(lock.packages, packages);
        assert_eq!(lock.version(DISTRIBUTION), "26.0");
        let folder = ensure(&debian.obtain(), &lock, true).unwrap();
        let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
        let required = read("site/labgrid/remote/client.py");
        let hash = "ab".repeat(32);
        assert_eq!(required, format!("labgrid==26.0 --hash=sha256:{hash}\n"));
        assert_eq!(read("debian/ser2net"), "1\n");
        debian.fail_update("no network");
        debian.let_python("exit 1");
        assert_eq!(ensure(&debian.obtain(), &lock, true).unwrap(), folder);
    }

    #[test]
    fn the_newest_packages_take_the_place_of_what_is_gone_unless_locked() {
        let debian = FakeDebian::new();
        debian.let_python(PIP);
        offer(&debian, "1");
        let lock = updated(&debian);
        crate::cache::remove(&debian.cache.entry("archive/packages")).unwrap();
        debian.withdraw(&lock.packages);
        offer(&debian, "2");
        let failure = ensure(&debian.obtain(), &lock, true).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(failure.summary().contains(NAMES[0]), "{failure}");
        let folder = ensure(&debian.obtain(), &lock, false).unwrap();
        let version = std::fs::read_to_string(folder.join("debian/ser2net")).unwrap();
        assert_eq!(version, "2\n");
        // What is in the cache is not what is locked, and stays so.
        assert_eq!(ensure(&debian.obtain(), &lock, false).unwrap(), folder);
        let failure = ensure(&debian.obtain(), &lock, true).unwrap_err();
        assert!(
            failure.summary().contains("ser2net 2 instead of 1"),
            "{failure}"
        );
    }

    #[test]
    fn what_pip_cannot_get_leaves_nothing_behind() {
        let debian = FakeDebian::new();
        debian.let_python(PIP);
        offer(&debian, "1");
        let lock = updated(&debian);
        debian.let_python("echo 'ERROR: No matching distribution found' >&2; exit 1");
        let failure = ensure(&debian.obtain(), &lock, false).unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        let helps = failure.help_lines().iter();
        assert!(helps.into_iter().any(|line| line.contains("PIP_INDEX_URL")));
        assert!(!debian.cache.entry(&lock.entry_name()).exists());
        debian.let_python(PIP);
        ensure(&debian.obtain(), &lock, false).unwrap();
    }
}
