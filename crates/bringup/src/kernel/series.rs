// SPDX-License-Identifier: MIT OR Apache-2.0

//! The upstream series of a kernel, such as 7.2, and the lock files of those that the driver is for.
//!
//! `kmod/kernel.lock` names the kernel that is taken unless another is asked for. An older one that
//! the driver still builds for is named by `kmod/kernel-X.Y.lock`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Lock;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::repository::Repository;

/// A series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    major: u16,
    minor: u16,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parse = || {
            let (major, minor) = text.split_once('.')?;
            let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number(major) || !is_number(minor) {
                return None;
            }
            let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
            Some(Self { major, minor })
        };
        parse().ok_or_else(|| format!("{text:?} is no series of kernels, such as 7.2"))
    }
}

/// The lock files of the older kernels, the newest of them first.
pub(crate) fn older(repository: &Repository) -> Result<Vec<PathBuf>> {
    older_in(&repository.kmod())
}

fn older_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot list {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).or_environment(unreadable)? {
        let path = entry.or_environment(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let series = name.strip_prefix("kernel-");
        let series = series.and_then(|rest| rest.strip_suffix(".lock"));
        if let Some(Ok(series)) = series.map(str::parse::<Series>) {
            found.push((series, path));
        }
    }
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The kernel of a series, or the one of `kernel.lock`.
pub(crate) fn lock_of(repository: &Repository, series: Option<Series>) -> Result<Lock> {
    choose(&repository.kernel_lock(), &repository.kmod(), series)
}

fn choose(newest: &Path, folder: &Path, series: Option<Series>) -> Result<Lock> {
    let Some(series) = series else {
        return Lock::read(newest);
    };
    let wanted = series.to_string();
    let mut known = Vec::new();
    for path in std::iter::once(newest.to_path_buf()).chain(older_in(folder)?) {
        let lock = Lock::read(&path)?;
        if lock.series == wanted {
            return Ok(lock);
        }
        known.push(lock.series);
    }
    let what = format!("the driver is not for kernels of series {wanted}");
    Err(Failure::new(Exit::Refused, what)
        .help(format!("it is for {}", known.join(" and ")))
        .help("a file kmod/kernel-X.Y.lock adds one; `cargo bringup kernel update` refreshes it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_debian::FakeDebian;

    #[test]
    fn a_series_is_two_numbers() {
        let series: Series = "7.12".parse().unwrap();
        assert_eq!(series.to_string(), "7.12");
        assert!(series > "7.3".parse().unwrap());
        for bad in [
            "", "7", "7.", ".2", "7.2.1", "+7.2", "7.-2", "v7.2", "7.99999",
        ] {
            assert!(bad.parse::<Series>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_lock_file_of_a_series_is_found_and_a_series_without_one_is_refused() {
        let debian = FakeDebian::new();
        let kmod = debian.folder("kmod");
        let newest = kmod.join("kernel.lock");
        for (release, series, name) in [
            ("7.3.4+deb13-arm64", "7.3", "kernel.lock"),
            ("7.2.12+deb13-arm64", "7.2", "kernel-7.2.lock"),
            ("6.18.1+deb13-arm64", "6.18", "kernel-6.18.lock"),
        ] {
            let lock = debian.offer_kernel(release, series);
            lock.write(&kmod.join(name)).unwrap();
        }
        std::fs::write(kmod.join("kernel-next.lock"), "no lock file").unwrap();
        let release = |series: &str| {
            let series = Some(series).filter(|series| !series.is_empty());
            choose(&newest, &kmod, series.map(|series| series.parse().unwrap()))
                .map(|lock| lock.release)
        };
        assert_eq!(release("").unwrap(), "7.3.4+deb13-arm64");
        assert_eq!(release("7.3").unwrap(), "7.3.4+deb13-arm64");
        assert_eq!(release("7.2").unwrap(), "7.2.12+deb13-arm64");
        let names: Vec<_> = older_in(&kmod).unwrap();
        let names: Vec<_> = names.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["kernel-7.2.lock", "kernel-6.18.lock"]);
        let refused = release("7.1").unwrap_err();
        assert_eq!(refused.exit(), Exit::Refused);
        assert_eq!(refused.help_lines()[0], "it is for 7.3 and 7.2 and 6.18");
    }
}
