// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gets Debian's packages for boards that are reached by remote login.
//!
//! They are fetched when one is wanted for the first time. Debian's archive keeps only the newest
//! version of a package: when a locked one is gone, the newest of all take their place for now.

use std::path::{Path, PathBuf};

use super::Lock;
use crate::archive;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::kernel::obtain::{Obtain, missing};
use crate::lock::{self, Mode};

/// All that is needed: `dropbear-bin` serves logins, with the libraries that it needs, and
/// `busybox-static` is the shell.
pub(crate) const NAMES: [&str; 8] = [
    "busybox-static",
    "dropbear-bin",
    "libc6",
    "libcrypt1",
    "libgmp10",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
];

/// About what they take in the cache, in bytes.
const BYTES: u64 = 32 << 20;

/// The folder with the unpacked packages, which are fetched if the cache lacks them. `locked` takes
/// nothing but what the lock file names. The cache is shared with other runs; apt's own files in it
/// are not.
pub(crate) fn ensure(obtain: &Obtain<'_>, wanted: &Lock, locked: bool) -> Result<PathBuf> {
    let cache = obtain.cache;
    let entry = |lock: &Lock| Some(cache.entry(&lock.entry_name())).filter(|path| path.is_dir());
    if let Some(folder) = entry(wanted) {
        return Ok(folder);
    }
    let path = cache.folder("archive")?.join("lock");
    let _fetching = lock::Lock::take(&path, Mode::Exclusive, obtain.progress)?;
    // Another run may have made it meanwhile.
    if let Some(folder) = entry(wanted) {
        return Ok(folder);
    }
    let remembered = cache.entry(&wanted.substitute_name());
    if !locked && remembered.is_file() {
        // One that cannot be read is as good as none: it is chosen and written once more.
        if let Ok(substitute) = Lock::read(&remembered) {
            if let Some(folder) = entry(&substitute) {
                say_substituted(obtain, wanted, &substitute);
                return Ok(folder);
            }
        }
    }
    if archive::all_cached(cache, &wanted.packages)? {
        return unpack(obtain, wanted);
    }
    let step = obtain
        .progress
        .step("login", "fetching a shell and a server of logins")?;
    let archive = obtain.refresh(&wanted.suite, &step)?;
    let Some(gone) = missing(&archive, &wanted.packages)? else {
        archive.fetch(cache, &wanted.packages, &step)?;
        step.done("fetched, hashes as locked");
        return unpack(obtain, wanted);
    };
    if locked {
        let (name, version) = (&gone.name, &gone.version);
        let what = format!("the archive no longer has {name} {version}, which the lock file names");
        return Err(Failure::new(Exit::Refused, what)
            .help("without --locked the newest of the suite takes its place")
            .help("`cargo bringup bench update` writes it into the lock file"));
    }
    let names: Vec<_> = wanted.packages.iter().map(|p| p.name.as_str()).collect();
    let substitute = Lock::newest(&archive, &wanted.suite, &names)?;
    archive.fetch(cache, &substitute.packages, &step)?;
    step.done("fetched, the newest of the suite");
    say_substituted(obtain, wanted, &substitute);
    substitute.write(&remembered)?;
    unpack(obtain, &substitute)
}

/// Writes the newest packages of a suite to the lock file; whether they are others than before.
pub(crate) fn update(obtain: &Obtain<'_>, suite: &str, path: &Path) -> Result<bool> {
    let cache = obtain.cache;
    let asking = cache.folder("archive")?.join("lock");
    let _asking = lock::Lock::take(&asking, Mode::Exclusive, obtain.progress)?;
    let step = obtain
        .progress
        .step("archive", &format!("asking for the newest in {suite}"))?;
    let archive = obtain.refresh(suite, &step)?;
    let newest = Lock::newest(&archive, suite, &NAMES)?;
    step.done("asked");
    if Lock::read(path).is_ok_and(|lock| lock == newest) {
        return Ok(false);
    }
    newest.write(path)?;
    Ok(true)
}

fn unpack(obtain: &Obtain<'_>, lock: &Lock) -> Result<PathBuf> {
    let step = obtain
        .progress
        .step("login", "unpacking a shell and a server of logins")?;
    let entry = obtain.cache.make(&lock.entry_name(), BYTES, |folder| {
        for package in &lock.packages {
            archive::unpack(obtain.toolbox, obtain.cache, package, folder, &step)?;
        }
        Ok(())
    })?;
    step.done("a shell and a server of logins unpacked");
    Ok(entry)
}

fn say_substituted(obtain: &Obtain<'_>, wanted: &Lock, substitute: &Lock) {
    let pairs = wanted.packages.iter().zip(&substitute.packages);
    let other = pairs.filter(|(old, new)| old != new);
    let other: Vec<_> = other
        .map(|(old, new)| format!("{} {} instead of {}", new.name, new.version, old.version))
        .collect();
    obtain.progress.note(&format!(
        "the archive no longer has all packages of boards/target.lock; using {}. `cargo bringup \
         bench update` writes that to the lock file",
        other.join(", ")
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_debian::FakeDebian;

    /// Offers one version of all packages, each of which holds a file with the version, and
    /// returns what locks them.
    fn offer(debian: &FakeDebian, version: &str) -> Lock {
        let packages = NAMES.map(|name| {
            let content = format!("echo {version} > {name}\n");
            let offered = debian.package(name, version, &content);
            debian.offer(&offered);
            offered.package
        });
        let suite = "trixie".to_owned();
        let packages = packages.into();
        Lock { suite, packages }
    }

    fn version_in(folder: &Path) -> String {
        let text = std::fs::read_to_string(folder.join("dropbear-bin")).unwrap();
        text.trim().to_owned()
    }

    #[test]
    fn what_the_lock_file_names_is_taken_and_needs_no_network_the_second_time() {
        let debian = FakeDebian::new();
        let lock = offer(&debian, "1");
        let folder = ensure(&debian.obtain(), &lock, true).unwrap();
        assert_eq!(version_in(&folder), "1");
        debian.fail_update("no network");
        assert_eq!(ensure(&debian.obtain(), &lock, true).unwrap(), folder);
    }

    #[test]
    fn the_newest_take_the_place_of_what_is_gone_unless_locked() {
        let debian = FakeDebian::new();
        let lock = offer(&debian, "1");
        debian.withdraw(&lock.packages);
        offer(&debian, "2");
        let failure = ensure(&debian.obtain(), &lock, true).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(failure.summary().contains("busybox-static 1"), "{failure}");
        let folder = ensure(&debian.obtain(), &lock, false).unwrap();
        assert_eq!(version_in(&folder), "2");
        // Which ones is remembered, but not for --locked.
        debian.fail_update("no network");
        assert_eq!(ensure(&debian.obtain(), &lock, false).unwrap(), folder);
        ensure(&debian.obtain(), &lock, true).unwrap_err();
    }

    #[test]
    fn an_update_writes_the_newest_once() {
        let debian = FakeDebian::new();
        let lock = offer(&debian, "1");
        let path = debian.folder("boards").join("target.lock");
        assert!(update(&debian.obtain(), "trixie", &path).unwrap());
        assert_eq!(Lock::read(&path).unwrap(), lock);
        assert!(!update(&debian.obtain(), "trixie", &path).unwrap());
    }

    #[test]
    fn a_package_that_the_suite_lacks_is_named() {
        let debian = FakeDebian::new();
        let lock = offer(&debian, "1");
        debian.withdraw(&lock.packages[3..4]);
        let failure = ensure(&debian.obtain(), &lock, false).unwrap_err();
        assert!(failure.summary().contains(NAMES[3]), "{failure}");
    }
}
