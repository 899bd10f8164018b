// SPDX-License-Identifier: MIT OR Apache-2.0

//! The files of the repository: what git tracks, and what it would track.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fmt, fs, io};

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path from the top of the repository, with `/` between the names.
    pub path: String,
    /// Its contents; what is not UTF-8 is replaced.
    pub text: String,
}

impl File {
    /// Its name, without the folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// What follows the last dot of its name; nothing for `.gitignore` or `Kbuild`.
    pub fn extension(&self) -> &str {
        match self.name().rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => extension,
            _ => "",
        }
    }

    /// The part of its name before the extension.
    pub fn stem(&self) -> &str {
        match self.name().rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => self.name(),
        }
    }
}

/// All files, in the order of their paths.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Reads the repository that a folder belongs to: tracked files as they are in the work tree,
    /// and untracked ones unless they are ignored.
    pub fn from_git(folder: &Path) -> Result<Self, Error> {
        let top = git(folder, &["rev-parse", "--show-toplevel"])?;
        let top = PathBuf::from(top.trim_end_matches('\n'));
        let listing = git(&top, &["ls-files", "-z", "-co", "--exclude-standard"])?;
        let mut files = Vec::new();
        for path in listing.split('\0').filter(|path| !path.is_empty()) {
            let place = top.join(path);
            // Deleted but still in the index, a link, or a repository of its own.
            if !fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_file()) {
                continue;
            }
            let bytes = fs::read(&place).map_err(|error| Error::Read(place, error))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let path = path.to_owned();
            files.push(File { path, text });
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files.dedup_by(|one, other| one.path == other.path);
        Ok(Self { files })
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// The files whose path begins with `folder`, which ends with `/`.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = &File> {
        self.files()
            .filter(move |file| file.path.starts_with(folder))
    }

    /// The files directly in `folder`, which ends with `/`.
    pub fn directly_in(&self, folder: &str) -> impl Iterator<Item = &File> {
        self.below(folder)
            .filter(move |file| !file.path[folder.len()..].contains('/'))
    }

    /// All Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.extension() == "rs")
    }

    /// The file of this path.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files().find(|file| file.path == path)
    }

    /// The manifests of the workspace's members. A package that is a workspace of its own is none.
    pub fn manifests(&self) -> impl Iterator<Item = &File> {
        let is_member = |file: &&File| {
            let names: Vec<_> = file.path.split('/').collect();
            matches!(names[..], ["crates" | "tests", _, "Cargo.toml"])
        };
        let is_workspace = |file: &&File| file.text.lines().any(|line| line == "[workspace]");
        self.files()
            .filter(is_member)
            .filter(move |file| !is_workspace(file))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Self {
        let files = files.map(|(path, text)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        Self {
            files: files.into(),
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .map_err(Error::Start)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Git(said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Why the repository cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// git cannot be started.
    Start(io::Error),
    /// git refuses, and says why.
    Git(String),
    /// A file cannot be read.
    Read(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(formatter, "cannot start git: {error}"),
            Self::Git(said) => write!(formatter, "git cannot list the files: {said}"),
            Self::Read(path, error) => write!(formatter, "cannot read {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_of_its_own_is_no_member() {
        let tree = Tree::from([
            ("Cargo.toml", "[workspace]\n"),
            ("crates/a/Cargo.toml", "[package]\n"),
            ("tests/b/Cargo.toml", "[package]\n[workspace]\n"),
        ]);
        let paths: Vec<_> = tree.manifests().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["crates/a/Cargo.toml"]);
    }
}
