// SPDX-License-Identifier: MIT OR Apache-2.0

//! All boards of the kit: the folders below `boards/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Board, Error};

/// The folders below `boards/` that hold a `board.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boards {
    root: PathBuf,
    names: Vec<String>,
    default: String,
    capabilities: BTreeMap<String, String>,
}

/// `boards/boards.toml`: what concerns all boards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardsToml {
    default: String,
    #[serde(default)]
    capabilities: BTreeMap<String, String>,
}

/// A name at least this similar to the wanted one is suggested; 1 is equality (Jaro-Winkler).
const NEAR: f64 = 0.75;

impl Boards {
    /// Finds the boards below `root`, sorted by name. Their files are not read yet.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed, or its `boards.toml` names no board that is there.
    pub fn find(root: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Read {
            path: root.to_path_buf(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(root).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.path().join("board.toml").is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        let path = root.join("boards.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let file: BoardsToml = toml::from_str(&text).map_err(|source| Error::Parse {
            path,
            source: Box::new(source),
        })?;
        let boards = Self {
            root: root.to_path_buf(),
            names,
            default: file.default,
            capabilities: file.capabilities,
        };
        if !boards.names.contains(&boards.default) {
            return Err(boards.unknown(&boards.default));
        }
        Ok(boards)
    }

    /// The board that is meant when none is named.
    pub fn default_name(&self) -> &str {
        &self.default
    }

    /// Every capability that a board may have, and what it means.
    pub fn capabilities(&self) -> &BTreeMap<String, String> {
        &self.capabilities
    }

    /// Names of all boards, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads the board of this name.
    ///
    /// # Errors
    ///
    /// When there is no such board ([`Error::Unknown`] suggests near ones), or its file is wrong.
    pub fn board(&self, name: &str) -> Result<Board, Error> {
        if !self.names.iter().any(|known| known == name) {
            return Err(self.unknown(name));
        }
        let board = Board::read(&self.root.join(name))?;
        let known = |capability: &&String| self.capabilities.contains_key(*capability);
        match board.capabilities.iter().find(|c| !known(c)) {
            None => Ok(board),
            Some(capability) => Err(Error::Contradiction {
                path: board.folder.join("board.toml"),
                what: format!(
                    "capability {capability:?} is not in {}",
                    self.root.join("boards.toml").display()
                ),
            }),
        }
    }

    /// Reads all boards.
    ///
    /// # Errors
    ///
    /// When one of the files is wrong.
    pub fn all(&self) -> Result<Vec<Board>, Error> {
        self.names.iter().map(|name| self.board(name)).collect()
    }

    fn unknown(&self, name: &str) -> Error {
        let similarity = |known: &String| {
            let whole = strsim::jaro_winkler(name, known);
            // A part of a name shares few letters with the whole, but all of its own.
            let part = if known.replace('-', "").contains(&name.replace('-', "")) {
                1.0
            } else {
                0.0
            };
            whole.max(part)
        };
        let mut near: Vec<(f64, &String)> = self
            .names
            .iter()
            .map(|known| (similarity(known), known))
            .filter(|(similarity, _)| *similarity >= NEAR)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        Error::Unknown {
            name: name.to_owned(),
            near: near.into_iter().map(|(_, known)| known.clone()).collect(),
            all: self.names.clone(),
        }
    }
}
