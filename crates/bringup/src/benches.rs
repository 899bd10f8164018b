// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which bench a command means: an emulated board, which needs no description, or one that
//! `bench.toml` describes.

use std::path::{Path, PathBuf};

use board_spec::Board;
use hil::Bench;
use hil::description::{BenchDescription, Benches};
use hil::server::About;

use crate::choice::{BENCH, BOARD, Choice};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::repository::Repository;

/// The environment variable that names the file.
pub(crate) const VARIABLE: &str = "BRINGUP_BENCHES";

/// The file's name, where it is looked for.
const FILE: &str = "bench.toml";

/// A bench.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// By which commands call it.
    pub(crate) name: String,
    pub(crate) board: Board,
    /// None of an emulated board.
    pub(crate) description: Option<BenchDescription>,
}

impl Chosen {
    /// An emulated board.
    pub(crate) fn emulated(board: Board) -> Self {
        Self {
            name: board.name.clone(),
            board,
            description: None,
        }
    }

    /// What kind of bench it is: one word.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.description {
            None => "qemu",
            Some(description) => description.kind(),
        }
    }

    /// The variables that choose it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, &str)> {
        let mut variables = vec![(BOARD, self.board.name.as_str())];
        if self.description.is_some() {
            variables.push((BENCH, &self.name));
        }
        variables
    }

    /// How its boot is announced.
    pub(crate) fn title(&self) -> String {
        match &self.description {
            None => format!("{} in QEMU", self.board.title),
            Some(_) => format!("{} on bench {}", self.board.title, self.name),
        }
    }
}

/// The bench that is meant. A board that is named too must be the bench's.
pub(crate) fn choose(repository: &Repository, choice: &Choice) -> Result<Chosen> {
    let named = choice.named();
    let Some(bench) = &named.bench else {
        return repository
            .board_or_default(named.board.as_deref())
            .map(Chosen::emulated);
    };
    let chosen = described(repository, bench)?;
    let is = &chosen.board.name;
    let Some(other) = named.board.as_ref().filter(|board| *board != is) else {
        return Ok(chosen);
    };
    let (board_by, bench_by) = (named.board_by(), named.bench_by());
    let what =
        format!("{board_by} says {other}, and {bench_by} says {bench}, which is a bench with {is}");
    Err(Failure::new(Exit::Refused, what).help(format!(
        "leave out {board_by} for the bench, or {bench_by} for an emulated {other}"
    )))
}

/// The bench that somebody else serves, and names in [`Bench::VARIABLE`]. Another choice is not
/// passed over.
pub(crate) fn served(repository: &Repository, about: &About, choice: &Choice) -> Result<Chosen> {
    let named = choice.named();
    for (chosen, is, by) in [
        (&named.board, &about.board, named.board_by()),
        (&named.bench, &about.name, named.bench_by()),
    ] {
        if let Some(other) = chosen.as_ref().filter(|chosen| *chosen != is) {
            let variable = Bench::VARIABLE;
            let what = format!("{by} says {other}, but {variable} leads to {is}");
            return Err(Failure::new(Exit::Refused, what)
                .help(format!("leave out {by}, or run this without {variable}")));
        }
    }
    Ok(Chosen {
        name: about.name.clone(),
        board: repository.board_or_default(Some(&about.board))?,
        description: None,
    })
}

/// The described bench of this name.
pub(crate) fn described(repository: &Repository, name: &str) -> Result<Chosen> {
    let Some(benches) = all()? else {
        let what = format!("there is no bench {name}, because there is no {FILE}");
        return Err(Failure::new(Exit::Refused, what).help(format!(
            "write one here or in ~/.config/bringup, or name it in {VARIABLE}; README says what \
             stands in it"
        )));
    };
    in_benches(repository, &benches, name)
}

/// The bench of this name in a file.
pub(crate) fn in_file(repository: &Repository, path: &Path, name: &str) -> Result<Chosen> {
    let benches = Benches::read(path).or_fail(Exit::Refused, || "cannot use the benches")?;
    in_benches(repository, &benches, name)
}

fn in_benches(repository: &Repository, benches: &Benches, name: &str) -> Result<Chosen> {
    let description = benches
        .get(name)
        .or_fail(Exit::Refused, || "cannot use this bench")?;
    let board = repository.board_or_default(Some(&description.board));
    let place = || format!("{}: bench {name}", benches.path().display());
    Ok(Chosen {
        name: name.to_owned(),
        board: board.map_err(|failure| failure.within(&place()))?,
        description: Some(description.clone()),
    })
}

/// All described benches, if there is a file.
pub(crate) fn all() -> Result<Option<Benches>> {
    let Some(path) = file()? else {
        return Ok(None);
    };
    let read = Benches::read(&path).or_fail(Exit::Refused, || "cannot use the benches")?;
    Ok(Some(read))
}

/// The file, if there is one: the one that is named, the nearest from here upwards, or the user's own.
pub(crate) fn file() -> Result<Option<PathBuf>> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return Ok(Some(path.into()));
    }
    let here = std::env::current_dir().or_environment(|| "cannot tell the current folder")?;
    let upwards = here.ancestors().map(|folder| folder.join(FILE));
    let configuration = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let configuration = configuration
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    let own = configuration.map(|folder| folder.join("bringup").join(FILE));
    Ok(upwards.chain(own).find(|path| path.is_file()))
}
