// SPDX-License-Identifier: MIT OR Apache-2.0

//! Finds the newest kernel in the archive that Rust modules can be built for.

use std::cmp::Reverse;
use std::path::Path;

use super::{Lock, headers_folder};
use crate::archive::{self, Archive, Package};
use crate::cache::Cache;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Step;
use crate::toolbox::Toolbox;

/// Debian's name for the plain 64-bit ARM kernel, without 16 KiB pages, real time or cloud.
const FLAVOUR: &str = "arm64";

/// What `rustc --version` prints in the toolbox.
pub(crate) fn toolbox_rustc(toolbox: &Toolbox) -> Result<String> {
    let version = external::output(toolbox.enter().program("rustc").arg("--version"))?;
    Ok(version.trim().to_owned())
}

/// The newest kernel with `CONFIG_RUST`, built by the toolbox's compiler; of one series, if given.
pub(crate) fn newest(
    archive: &Archive<'_>,
    toolbox: &Toolbox,
    cache: &Cache,
    suite: &str,
    series: Option<&str>,
    step: &Step,
) -> Result<Lock> {
    let rustc = toolbox_rustc(toolbox)?;
    let mut rejected = Vec::new();
    let names = archive.names("linux-headers-")?;
    for candidate in candidates(&names, series) {
        match examine(&candidate, archive, toolbox, cache, &rustc, step)? {
            Ok(packages) => {
                return Ok(Lock {
                    suite: suite.to_owned(),
                    series: candidate.series(),
                    release: candidate.release,
                    rustc,
                    packages,
                });
            }
            Err(reason) => {
                step.line(&format!("{} will not do: {reason}", candidate.release));
                rejected.push(format!("{}: {reason}", candidate.release));
            }
        }
    }
    let which = series.map_or_else(|| "kernel".to_owned(), |s| format!("kernel of series {s}"));
    Err(Failure::new(
        Exit::Environment,
        format!("{suite} carries no {which} that Rust modules can be built for"),
    )
    .evidence(rejected)
    .help(which_series(&names)))
}

/// Refuses a series that the archive does not have.
pub(crate) fn require_series(archive: &Archive<'_>, suite: &str, series: &str) -> Result<()> {
    let names = archive.names("linux-headers-")?;
    if candidates(&names, Some(series)).is_empty() {
        let what = format!("{suite} has no kernel of series {series}");
        return Err(Failure::new(Exit::Refused, what).help(which_series(&names)));
    }
    Ok(())
}

/// Says which series there are, and how to take one.
fn which_series(names: &[String]) -> String {
    let mut series: Vec<_> = candidates(names, None)
        .iter()
        .map(Candidate::series)
        .collect();
    series.dedup();
    if series.is_empty() {
        return "the suite has no arm64 kernels; `cargo bringup kernel update --suite SUITE` looks \
                in another"
            .to_owned();
    }
    format!(
        "the suite has series {}; `cargo bringup kernel update` takes the newest, --series X.Y \
         that one",
        series.join(", ")
    )
}

/// A kernel release that the archive has headers for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    release: String,
    /// The numbers at the release's beginning.
    numbers: Vec<u64>,
}

impl Candidate {
    fn series(&self) -> String {
        let numbers = self.numbers.iter().take(2).map(u64::to_string);
        numbers.collect::<Vec<_>>().join(".")
    }
}

/// Releases with headers, newest first.
fn candidates(names: &[String], series: Option<&str>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = names
        .iter()
        .filter_map(|name| {
            let release = name.strip_prefix("linux-headers-")?;
            let upstream = release.strip_suffix(FLAVOUR)?.strip_suffix('-')?;
            // A further dash is another flavour, such as "-rt".
            if upstream.contains('-') || !upstream.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            let numbers = upstream
                .split('+')
                .next()?
                .split('.')
                .map(|n| n.parse().ok());
            Some(Candidate {
                release: release.to_owned(),
                numbers: numbers.collect::<Option<_>>()?,
            })
        })
        .filter(|candidate| series.is_none_or(|wanted| candidate.series() == wanted))
        .collect();
    found.sort_by_key(|candidate| Reverse((candidate.numbers.clone(), candidate.release.clone())));
    found
}

/// The candidate's packages, or why it will not do.
fn examine(
    candidate: &Candidate,
    archive: &Archive<'_>,
    toolbox: &Toolbox,
    cache: &Cache,
    rustc: &str,
    step: &Step,
) -> Result<std::result::Result<Vec<Package>, String>> {
    let release = &candidate.release;
    let headers_name = format!("linux-headers-{release}");
    let Some(headers) = archive.find(&headers_name, "arm64", None)? else {
        return Ok(Err(format!("no package {headers_name}")));
    };
    let source = format!("linux-source-{}", candidate.series());
    let mut packages = Vec::new();
    for (name, architecture) in [
        (source, "all"),
        (format!("linux-base-{release}"), "arm64"),
        (format!("linux-binary-{release}"), "arm64"),
        (format!("linux-modules-{release}"), "arm64"),
    ] {
        match archive.find(&name, architecture, Some(&headers.version))? {
            Some(package) => packages.push(package),
            None => {
                return Ok(Err(format!(
                    "no package {name} of version {}",
                    headers.version
                )));
            }
        }
    }
    archive.fetch(cache, std::slice::from_ref(&headers), step)?;
    let folder = cache.temporary_folder()?;
    archive::unpack(toolbox, cache, &headers, folder.path(), step)?;
    let config = folder.path().join(headers_folder(release)).join(".config");
    let verdict = fit(&config, rustc)?;
    packages.insert(1, headers);
    Ok(verdict.map(|()| packages))
}

/// Whether a kernel with this configuration takes modules that `rustc` has compiled.
fn fit(config: &Path, rustc: &str) -> Result<std::result::Result<(), String>> {
    let text = std::fs::read_to_string(config)
        .or_environment(|| format!("cannot read {}", config.display()))?;
    if !text.lines().any(|line| line == "CONFIG_RUST=y") {
        return Ok(Err("it is built without CONFIG_RUST".to_owned()));
    }
    let built_by = rustc_of(&text);
    if built_by != Some(rustc) {
        let built_by = built_by.unwrap_or("an unnamed compiler");
        return Ok(Err(format!(
            "it was built by {built_by}, the toolbox has {rustc}"
        )));
    }
    Ok(Ok(()))
}

/// The compiler that a kernel configuration names.
pub(crate) fn rustc_of(config: &str) -> Option<&str> {
    let value = |line: &'_ str| -> Option<std::ops::Range<usize>> {
        let text = line
            .strip_prefix("CONFIG_RUSTC_VERSION_TEXT=\"")?
            .strip_suffix('"')?;
        let start = line.len() - text.len() - 1;
        Some(start..start + text.len())
    };
    config
        .lines()
        .find_map(|line| value(line).map(|range| &line[range]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_debian::FakeDebian;

    #[test]
    fn the_newest_plain_kernel_comes_first() {
        let names = [
            "linux-headers-7.2.12+deb13-arm64",
            "linux-headers-7.3.4+deb13-arm64",
            "linux-headers-7.3.10+deb13-arm64",
            "linux-headers-7.3.10+deb13-rt-arm64",
            "linux-headers-7.3.10+deb13-arm64-16k",
            "linux-headers-7.3.10+deb13-cloud-arm64",
            "linux-headers-7.3.10+deb13-common",
            "linux-headers-arm64",
            "linux-headers-generic-arm64",
        ]
        .map(str::to_owned);
        let releases = |series| {
            let found = candidates(&names, series);
            found.into_iter().map(|c| c.release).collect::<Vec<_>>()
        };
        assert_eq!(
            releases(None),
            [
                "7.3.10+deb13-arm64",
                "7.3.4+deb13-arm64",
                "7.2.12+deb13-arm64"
            ]
        );
        assert_eq!(releases(Some("7.2")), ["7.2.12+deb13-arm64"]);
        assert_eq!(releases(Some("7")), Vec::<String>::new());
    }

    #[test]
    fn a_series_that_does_not_exist_is_refused_with_those_that_do() {
        let debian = FakeDebian::new();
        let suite = "trixie-backports";
        let refused = |series| {
            let archive = debian.archive(suite).unwrap();
            require_series(&archive, suite, series).map_err(|failure| {
                assert_eq!(failure.exit(), Exit::Refused);
                failure.help_lines().join("\n")
            })
        };
        assert!(refused("7.3").unwrap_err().contains("no arm64 kernels"));
        for (release, series) in [("7.3.4", "7.3"), ("7.3.10", "7.3"), ("7.2.12", "7.2")] {
            debian.offer_kernel(&format!("{release}+deb13-arm64"), series);
        }
        assert_eq!(refused("7.3"), Ok(()));
        let help = refused("9.9").unwrap_err();
        assert!(help.contains("has series 7.3, 7.2;"), "{help}");
    }

    #[test]
    fn a_series_whose_kernels_will_not_do_is_no_refusal() {
        let debian = FakeDebian::new();
        let lock = debian.offer_kernel("7.3.4+deb13-arm64", "7.3");
        debian.withdraw(&lock.packages[..1]);
        let archive = debian.archive("trixie").unwrap();
        let step = debian.progress.step("newest", "a test").unwrap();
        let (toolbox, cache) = (&debian.toolbox, &debian.cache);
        let found = newest(&archive, toolbox, cache, "trixie", Some("7.3"), &step);
        let failure = found.unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        let evidence = failure.evidence_lines().join("\n");
        assert!(
            evidence.contains("no package linux-source-7.3"),
            "{evidence}"
        );
    }

    #[test]
    fn a_kernel_without_rust_or_by_another_compiler_will_not_do() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join(".config");
        let verdict = |text: &str| {
            std::fs::write(&config, text).unwrap();
            fit(&config, "rustc 1.85.1").unwrap()
        };
        let version = "CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.85.1\"\n";
        assert_eq!(verdict(&format!("CONFIG_RUST=y\n{version}")), Ok(()));
        assert!(verdict(&format!("# CONFIG_RUST is not set\n{version}")).is_err());
        assert!(verdict("CONFIG_RUST=y\n").is_err());
        assert!(verdict(&format!("CONFIG_RUST=y\n{}", version.replace("85", "86"))).is_err());
    }
}
