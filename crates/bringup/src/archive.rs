// SPDX-License-Identifier: MIT OR Apache-2.0

//! Debian's package archive, asked through apt in the toolbox.
//!
//! apt proves by the archive's signature that a package is Debian's; the lock file's hash proves
//! that it is the very one that was asked for. apt's own files are kept in the cache, and only
//! the suite that is asked for is read.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Step;
use crate::stamp::sha256_of;
use crate::toolbox::{ARCHIVE, Access, SUITE, Toolbox};

/// One version of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// `arm64` or `all`.
    pub(crate) architecture: String,
    /// Its version.
    pub(crate) version: String,
    /// Size of the .deb file, bytes.
    pub(crate) size: u64,
    /// SHA-256 of the .deb file, hexadecimal.
    pub(crate) sha256: String,
}

impl Package {
    /// Name of its file in the cache.
    pub(crate) fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version, self.architecture)
    }

    /// What is wrong with it, if anything is: its fields become paths and arguments, so they must
    /// look like what they are.
    pub(crate) fn fault(&self) -> Option<String> {
        let words = [&self.name, &self.architecture, &self.version];
        if let Some(word) = words.into_iter().find(|word| !is_word(word)) {
            return Some(format!("{word:?} is no name or version"));
        }
        let is_digit = |c| matches!(c, '0'..='9' | 'a'..='f');
        let is_hash = self.sha256.len() == 64 && self.sha256.chars().all(is_digit);
        (!is_hash).then(|| format!("{:?} is no sha256 in hexadecimal", self.sha256))
    }

    /// As apt wants to hear it.
    fn request(&self) -> String {
        let architecture = match self.architecture.as_str() {
            "all" => String::new(),
            other => format!(":{other}"),
        };
        format!("{}{architecture}={}", self.name, self.version)
    }
}

/// Whether a text could be a package's name or version, and nothing else.
pub(crate) fn is_word(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-.~:".contains(c);
    text.chars().all(allowed) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// One suite of the archive, as apt knows it.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    toolbox: &'a Toolbox,
    folder: PathBuf,
}

impl<'a> Archive<'a> {
    /// Reads what `suite` offers now.
    pub(crate) fn refresh(
        toolbox: &'a Toolbox,
        cache: &Cache,
        mirror: &str,
        suite: &str,
        step: &Step,
    ) -> Result<Self> {
        let folder = cache.folder("archive")?;
        for sub in ["lists/partial", "cache/archives/partial", "packages"] {
            cache.folder(&format!("archive/{sub}"))?;
        }
        let list = format!("deb [arch=amd64,arm64] {mirror} {suite} main\n");
        let path = folder.join("sources.list");
        std::fs::write(&path, list)
            .or_environment(|| format!("cannot write {}", path.display()))?;
        let archive = Self { toolbox, folder };
        let mut update = archive.apt("apt-get");
        // Without this, apt calls it a success when nothing could be fetched.
        update.args([
            "-o",
            "APT::Update::Error-Mode=any",
            "-o",
            "Acquire::Retries=3",
            "update",
        ]);
        external::run(&mut update, step, Exit::Environment).map_err(|failure| {
            let failure = if lacks_suite(&failure) {
                no_such_suite(mirror, suite, step)
            } else {
                failure
            };
            failure.help(format!(
                "the Debian mirror is {mirror}; BRINGUP_DEBIAN_MIRROR chooses another"
            ))
        })?;
        Ok(archive)
    }

    /// Names of the packages that begin with `prefix`.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut command = self.apt("apt-cache");
        let names = external::output(command.args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The newest version of a package, or this version, if the archive has it.
    pub(crate) fn find(
        &self,
        name: &str,
        architecture: &str,
        version: Option<&str>,
    ) -> Result<Option<Package>> {
        let mut command = self.apt("apt-cache");
        let qualified = match architecture {
            "all" => name.to_owned(),
            other => format!("{name}:{other}"),
        };
        command.args(["show", "--all-versions", &qualified]);
        let output = command
            .output()
            .or_environment(|| "cannot start apt-cache")?;
        let (text, complaint) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        // apt-cache calls an unknown package an error, which other errors must not be taken for.
        if !output.status.success() && !complaint.contains("No packages found") {
            return Err(Failure::new(
                Exit::Environment,
                format!("apt-cache could not tell about {name} ({})", output.status),
            )
            .evidence(complaint.lines().map(str::to_owned).collect::<Vec<_>>()));
        }
        let mut found = text.split("\n\n").filter_map(paragraph);
        Ok(found.find(|package| {
            package.name == name
                && package.architecture == architecture
                && version.is_none_or(|v| package.version == v)
        }))
    }

    /// Fetches those of these packages that `cache` lacks, each proven by its hash.
    pub(crate) fn fetch(&self, cache: &Cache, packages: &[Package], step: &Step) -> Result<()> {
        let mut missing = Vec::new();
        for package in packages {
            if cached(cache, package)?.is_none() {
                missing.push(package);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        cache.require_space(missing.iter().map(|package| package.size).sum())?;
        let partial = self.folder.join("packages.partial");
        crate::cache::remove(&partial)?;
        std::fs::create_dir(&partial)
            .or_environment(|| format!("cannot make the folder {}", partial.display()))?;
        let requests = missing.iter().map(|package| package.request());
        let mut download = self.apt_in("apt-get", &format!("{ARCHIVE}/packages.partial"));
        download
            .args(["-o", "Acquire::Retries=3", "download"])
            .args(requests);
        external::run(&mut download, step, Exit::Environment)?;
        let fetched = std::fs::read_dir(&partial).or_environment(|| "cannot list the downloads")?;
        let mut hashes = Vec::new();
        for entry in fetched {
            let path = entry.or_environment(|| "cannot list the downloads")?.path();
            hashes.push((sha256_of(&path)?, path));
        }
        for package in missing {
            let Some((_, path)) = hashes.iter().find(|(hash, _)| *hash == package.sha256) else {
                return Err(wrong_hash(package, "the file that was downloaded"));
            };
            let place = self.folder.join("packages").join(package.file_name());
            std::fs::rename(path, &place)
                .or_environment(|| format!("cannot rename {}", path.display()))?;
        }
        crate::cache::remove(&partial)
    }

    fn apt(&self, program: &str) -> Command {
        self.apt_in(program, ARCHIVE)
    }

    fn apt_in(&self, program: &str, folder: &str) -> Command {
        let mut command = self
            .toolbox
            .enter()
            .mount(&self.folder, ARCHIVE, Access::Write)
            .mount(&self.toolbox.state(), "/var", Access::Read)
            .folder(folder)
            .program(program);
        for option in [
            format!("Dir::Etc::sourcelist={ARCHIVE}/sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={ARCHIVE}/lists"),
            format!("Dir::Cache={ARCHIVE}/cache"),
            // There is no other user in the toolbox to drop privileges to.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // The lists of another suite are wanted again.
            "APT::Get::List-Cleanup=false".to_owned(),
            "quiet=1".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }
}

/// Whether this is how apt fails when the mirror answers, but not for the suite.
fn lacks_suite(failure: &Failure) -> bool {
    let says_so = |line: &String| line.contains("does not have a Release file");
    failure.evidence_lines().iter().any(says_so)
}

fn no_such_suite(mirror: &str, suite: &str, step: &Step) -> Failure {
    Failure::new(Exit::Refused, format!("{mirror} has no suite {suite}"))
        .help(format!(
            "the suites of the toolbox's release are {SUITE}, {SUITE}-updates and \
             {SUITE}-backports; kernels with CONFIG_RUST are in {SUITE}-backports"
        ))
        .help(format!(
            "all that apt printed is in {}",
            step.log().display()
        ))
}

/// A file in the cache that holds this package, if it is there; one with a wrong hash is refused.
pub(crate) fn cached(cache: &Cache, package: &Package) -> Result<Option<PathBuf>> {
    let path = cache.entry("archive/packages").join(package.file_name());
    if !path.is_file() {
        return Ok(None);
    }
    if sha256_of(&path)? == package.sha256 {
        return Ok(Some(path));
    }
    Err(
        wrong_hash(package, &path.display().to_string()).help(format!(
            "if the lock file is right, remove {}",
            path.display()
        )),
    )
}

/// Says that something is not what the lock file names.
pub(crate) fn wrong_hash(package: &Package, what: &str) -> Failure {
    Failure::new(
        Exit::Environment,
        format!(
            "{what} is not {} {} as the lock file names it (sha256 {})",
            package.name, package.version, package.sha256
        ),
    )
    .help("`cargo bringup kernel status` compares the lock file with the archive")
}

/// Where packages are kept, as the toolbox sees it.
pub(crate) fn packages_folder(cache: &Cache) -> PathBuf {
    cache.entry("archive/packages")
}

/// Reads one paragraph of `apt-cache show`.
fn paragraph(text: &str) -> Option<Package> {
    let field = |name: &str| {
        let value = |line: &str| {
            line.strip_prefix(name)?
                .strip_prefix(": ")
                .map(str::to_owned)
        };
        text.lines().find_map(value)
    };
    Some(Package {
        name: field("Package")?,
        architecture: field("Architecture")?,
        version: field("Version")?,
        size: field("Size")?.parse().ok()?,
        sha256: field("SHA256")?,
    })
}

/// Whether all of these are in the cache already.
pub(crate) fn all_cached(cache: &Cache, packages: &[Package]) -> Result<bool> {
    for package in packages {
        if cached(cache, package)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Unpacks a package's files into `folder`; no maintainer script runs.
pub(crate) fn unpack(
    toolbox: &Toolbox,
    cache: &Cache,
    package: &Package,
    folder: &Path,
    step: &Step,
) -> Result<()> {
    let mut command = toolbox
        .enter()
        .mount(&packages_folder(cache), ARCHIVE, Access::Read)
        .mount(folder, crate::toolbox::OUTPUT, Access::Write)
        .program("dpkg-deb");
    let file = format!("{ARCHIVE}/{}", package.file_name());
    external::run(
        command.args(["--extract", &file, crate::toolbox::OUTPUT]),
        step,
        Exit::Environment,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_debian::FakeDebian;

    #[test]
    fn a_cached_file_counts_only_with_the_right_hash() {
        let guard = tempfile::tempdir().unwrap();
        let cache = Cache::at(guard.path().join("cache")).unwrap();
        let package = Package {
            name: "linux-x".into(),
            architecture: "arm64".into(),
            version: "1".into(),
            size: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
        };
        assert_eq!(cached(&cache, &package).unwrap(), None);
        let path = cache
            .folder("archive/packages")
            .unwrap()
            .join(package.file_name());
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(cached(&cache, &package).unwrap(), Some(path.clone()));
        std::fs::write(&path, "abd").unwrap();
        assert_eq!(
            cached(&cache, &package).unwrap_err().exit(),
            Exit::Environment
        );
    }

    #[test]
    fn a_download_with_other_bytes_never_gets_into_the_cache() {
        let debian = FakeDebian::new();
        let good = debian.package("linux-x", "1", "exit 0\n");
        let bad = debian.package("linux-y", "1", "exit 0 # y\n");
        debian.offer(&good);
        debian.offer(&bad);
        debian.deliver(&bad.package, "exit 1\n");
        let packages = [good.package, bad.package];
        let failure = debian.fetch(&packages).unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        assert!(failure.summary().contains("linux-y"), "{failure}");
        assert_eq!(cached(&debian.cache, &packages[1]).unwrap(), None);
        debian.deliver(&packages[1], "exit 0 # y\n");
        debian.fetch(&packages).unwrap();
        assert!(all_cached(&debian.cache, &packages).unwrap());
    }

    #[test]
    fn a_suite_that_does_not_exist_is_refused_with_those_that_do() {
        let debian = FakeDebian::new();
        debian.fail_update(
            "Err:3 x Release\n  404  Not Found\n\
             E: The repository 'x nonsuite Release' does not have a Release file.\n",
        );
        let failure = debian.archive("nonsuite").unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        let summary = failure.summary();
        assert!(summary.ends_with("has no suite nonsuite"), "{summary}");
        assert!(failure.help_lines()[0].contains("trixie-backports"));
        debian.fail_update("E: Could not resolve x\n");
        let failure = debian.archive("trixie").unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
    }

    #[test]
    fn a_package_is_found_by_name_architecture_and_version() {
        let debian = FakeDebian::new();
        for version in ["2", "1"] {
            debian.offer(&debian.package("linux-x", version, version));
        }
        let archive = debian.archive("trixie").unwrap();
        let version = |wanted| {
            let found = archive.find("linux-x", "arm64", wanted).unwrap();
            found.map(|package| package.version)
        };
        assert_eq!(version(None).as_deref(), Some("2"));
        assert_eq!(version(Some("1")).as_deref(), Some("1"));
        assert_eq!(version(Some("3")), None);
        assert_eq!(archive.find("linux-y", "arm64", None).unwrap(), None);
    }

    #[test]
    fn a_paragraph_of_apt_is_read() {
        let text = "Package: linux-headers-7.3.4+deb13-arm64\nSource: linux\n\
                    Version: 7.3.4-1~bpo13+1\nArchitecture: arm64\nSize: 2101472\n\
                    Filename: pool/x.deb\nSHA256: 469a205b\nDescription: Package: not this\n";
        let package = paragraph(text).unwrap();
        assert_eq!(package.name, "linux-headers-7.3.4+deb13-arm64");
        assert_eq!(package.size, 2_101_472);
        assert_eq!(
            package.request(),
            "linux-headers-7.3.4+deb13-arm64:arm64=7.3.4-1~bpo13+1"
        );
        assert_eq!(paragraph("Package: x\nVersion: 1\n"), None);
    }
}
