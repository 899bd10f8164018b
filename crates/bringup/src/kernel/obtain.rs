// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gets the kernel that the lock file names, or the nearest that the archive still has.
//!
//! Debian's archive keeps only the newest version of a package. When the locked one is gone, the
//! newest of the same series takes its place for now; which one is remembered in the cache, so
//! that every run says the same until the lock file is updated.

use super::{Kernel, Lock, prepare, select};
use crate::archive::{self, Archive, Package};
use crate::cache::Cache;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::progress::{Progress, Step};
use crate::toolbox::Toolbox;

/// What getting a kernel needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Obtain<'a> {
    pub(crate) toolbox: &'a Toolbox,
    pub(crate) cache: &'a Cache,
    pub(crate) progress: &'a Progress,
    /// Tells the address of the Debian mirror.
    pub(crate) mirror: fn() -> Result<String>,
}

impl Obtain<'_> {
    /// The kernel, ready for modules. `locked` takes nothing but what the lock file names.
    pub(crate) fn kernel(&self, lock: &Lock, locked: bool) -> Result<Kernel> {
        let is_ready = self.cache.entry(&prepare::entry_name(lock)).is_dir();
        if is_ready || archive::all_cached(self.cache, &lock.packages)? {
            return self.prepare(lock);
        }
        let remembered = self.cache.entry(&substitute_name(lock));
        if remembered.is_file() && !locked {
            // One that cannot be read is as good as none: it is chosen and written once more.
            if let Ok(substitute) = Lock::read(&remembered) {
                let name = prepare::entry_name(&substitute);
                if self.cache.entry(&name).is_dir() {
                    self.say_substituted(lock, &substitute);
                    return self.prepare(&substitute);
                }
            }
        }
        let bytes: u64 = lock.packages.iter().map(|package| package.size).sum();
        // Not to fetch what cannot be made ready then.
        self.cache.require_space(bytes + prepare::BYTES)?;
        let doing = format!("fetching {}, {} MB", lock.release, bytes / 1_000_000);
        let step = self.progress.step("kernel", &doing)?;
        let archive = self.refresh(&lock.suite, &step)?;
        match missing(&archive, &lock.packages)? {
            None => {
                archive.fetch(self.cache, &lock.packages, &step)?;
                step.done(&format!("{} fetched, hashes as locked", lock.release));
                self.prepare(lock)
            }
            Some(gone) if locked => Err(Failure::new(
                Exit::Refused,
                format!(
                    "the archive no longer has {} {}, which the lock file names",
                    gone.name, gone.version
                ),
            )
            .help("without --locked the newest kernel of the same series takes its place")
            .help("`cargo bringup kernel update` writes it into the lock file")),
            Some(_) => {
                let series = Some(lock.series.as_str());
                let substitute = select::newest(
                    &archive,
                    self.toolbox,
                    self.cache,
                    &lock.suite,
                    series,
                    &step,
                )?;
                archive.fetch(self.cache, &substitute.packages, &step)?;
                step.done(&format!(
                    "{} fetched instead of {}",
                    substitute.release, lock.release
                ));
                self.say_substituted(lock, &substitute);
                substitute.write(&remembered)?;
                self.prepare(&substitute)
            }
        }
    }

    /// What the archive offers now.
    pub(crate) fn refresh(&self, suite: &str, step: &Step) -> Result<Archive<'_>> {
        let mirror = (self.mirror)()?;
        Archive::refresh(self.toolbox, self.cache, &mirror, suite, step)
    }

    fn prepare(&self, lock: &Lock) -> Result<Kernel> {
        prepare::ensure(self.toolbox, self.cache, lock, self.progress)
    }

    fn say_substituted(&self, lock: &Lock, substitute: &Lock) {
        let version = |lock: &Lock| {
            let package = lock.packages.first();
            package.map_or_else(String::new, |package| package.version.clone())
        };
        self.progress.note(&format!(
            "the archive no longer has kernel {} ({}) of the lock file; using {} ({}) of the same \
             series, its symbols proven. `cargo bringup kernel update` writes it to the lock file",
            lock.release,
            version(lock),
            substitute.release,
            version(substitute)
        ));
    }
}

/// The file in the cache that remembers what takes the place of `lock`.
fn substitute_name(lock: &Lock) -> String {
    format!("instead-of-{}.lock", prepare::entry_name(lock))
}

/// The first locked package that the archive no longer has. One that it has with other bytes
/// under the same version is no rotation but an error.
pub(crate) fn missing(archive: &Archive<'_>, packages: &[Package]) -> Result<Option<Package>> {
    for package in packages {
        let version = Some(package.version.as_str());
        match archive.find(&package.name, &package.architecture, version)? {
            None => return Ok(Some(package.clone())),
            Some(offered) if offered.sha256 != package.sha256 => {
                let what = format!("what the archive offers (sha256 {})", offered.sha256);
                return Err(archive::wrong_hash(package, &what));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_debian::FakeDebian;

    const LOCKED: &str = "7.3.4+deb13-arm64";

    /// An archive that has replaced the locked kernel, and the newest one of its series, which is
    /// ready in the cache.
    fn rotated() -> (FakeDebian, Lock, Lock) {
        let debian = FakeDebian::new();
        let lock = debian.offer_kernel(LOCKED, "7.3");
        debian.withdraw(&lock.packages);
        debian.offer_kernel("7.3.9+deb13-arm64", "7.3");
        debian.offer_kernel("7.4.1+deb13-arm64", "7.4");
        let newest = debian.offer_kernel("7.3.10+deb13-arm64", "7.3");
        debian.cache.folder(&prepare::entry_name(&newest)).unwrap();
        (debian, lock, newest)
    }

    fn has_fetched(debian: &FakeDebian, lock: &Lock) -> bool {
        archive::all_cached(&debian.cache, &lock.packages).unwrap()
    }

    #[test]
    fn what_the_lock_file_names_is_fetched_while_the_archive_has_it() {
        let debian = FakeDebian::new();
        let lock = debian.offer_kernel(LOCKED, "7.3");
        debian.offer_kernel("7.3.10+deb13-arm64", "7.3");
        // That it cannot be made ready, because nothing plays `make`, comes after the fetching.
        debian.obtain().kernel(&lock, true).unwrap_err();
        assert!(has_fetched(&debian, &lock));
    }

    #[test]
    fn a_kernel_that_is_ready_needs_no_network() {
        let debian = FakeDebian::new();
        let lock = debian.offer_kernel(LOCKED, "7.3");
        debian.fail_update("no network");
        debian.cache.folder(&prepare::entry_name(&lock)).unwrap();
        let kernel = debian.obtain().kernel(&lock, true).unwrap();
        assert_eq!(kernel.release(), LOCKED);
    }

    #[test]
    fn the_newest_of_the_same_series_takes_the_place_of_one_that_is_gone() {
        let (debian, lock, newest) = rotated();
        let kernel = debian.obtain().kernel(&lock, false).unwrap();
        assert_eq!(kernel.release(), newest.release);
        assert!(has_fetched(&debian, &newest));
        let remembered = debian.cache.entry(&substitute_name(&lock));
        assert_eq!(Lock::read(&remembered).unwrap(), newest);
    }

    #[test]
    fn what_took_its_place_is_remembered_but_not_for_locked() {
        let (debian, lock, newest) = rotated();
        debian.obtain().kernel(&lock, false).unwrap();
        debian.fail_update("no network");
        let kernel = debian.obtain().kernel(&lock, false).unwrap();
        assert_eq!(kernel.release(), newest.release);
        debian.obtain().kernel(&lock, true).unwrap_err();
    }

    #[test]
    fn locked_refuses_any_other_kernel() {
        let (debian, lock, newest) = rotated();
        let failure = debian.obtain().kernel(&lock, true).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(failure.summary().contains("no longer has"), "{failure}");
        assert!(!has_fetched(&debian, &newest));
        assert!(!debian.cache.entry(&substitute_name(&lock)).exists());
    }

    #[test]
    fn other_bytes_under_the_same_version_are_no_rotation() {
        let debian = FakeDebian::new();
        let lock = debian.offer_kernel(LOCKED, "7.3");
        debian.offer_kernel("7.3.10+deb13-arm64", "7.3");
        let changed = &lock.packages[2];
        let changed = debian.package(&changed.name, &changed.version, "exit 0 # other bytes\n");
        debian.withdraw(&lock.packages[2..3]);
        debian.offer(&changed);
        for locked in [false, true] {
            let failure = debian.obtain().kernel(&lock, locked).unwrap_err();
            assert_eq!(failure.exit(), Exit::Environment);
            let summary = failure.summary();
            assert!(summary.contains(&changed.package.sha256), "{summary}");
            assert!(summary.contains("as the lock file names it"), "{summary}");
        }
        assert!(!has_fetched(&debian, &lock));
    }
}
