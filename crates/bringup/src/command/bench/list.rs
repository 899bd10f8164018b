// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench list`: all benches, how far their boards have come, and who holds them.

use std::time::SystemTime;

use hil::server::About;
use hil::{State, bench};
use serde::Serialize;

use super::super::{print_json, print_line};
use crate::benches::{self, Chosen};
use crate::cli::Json;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::warm;

/// A bench as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    board: String,
    kind: String,
    /// `off`, `booting` or `on`.
    state: &'static str,
    /// Who holds it; nobody may hold a board that is on, and somebody one that is off.
    holder: Option<String>,
    /// For how long the board has had power, seconds; only while it is on.
    on_seconds: Option<u64>,
}

pub(super) fn run(options: &Json, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let boards = repository.boards()?.all();
    let boards = boards.or_fail(Exit::Refused, || "cannot read the boards")?;
    let emulated = boards.into_iter().filter(|board| board.qemu.is_some());
    let mut all: Vec<_> = emulated.map(Chosen::emulated).collect();
    let described = benches::all()?;
    if let Some(benches) = described
        .as_ref()
        .filter(|benches| benches.all().count() == 0)
    {
        let path = benches.path().display();
        progress.note(&format!(
            "{path} describes no bench; a table [bench.NAME] would be one, as README says"
        ));
    }
    for (name, _) in described.iter().flat_map(|benches| benches.all()) {
        all.push(benches::described(&repository, name)?);
    }
    let listed: Vec<_> = all
        .iter()
        .map(|chosen| {
            let about = bench::about(&warm::socket_of(&repository, chosen));
            listed(chosen, about.ok())
        })
        .collect();
    if options.json {
        print_json(&listed)?;
        return Ok(Exit::Ok);
    }
    for bench in &listed {
        let holder = bench.holder.as_deref().unwrap_or_default();
        let line = format!(
            "{:<20} {:<20} {:<8} {:<7} {holder}",
            bench.name, bench.board, bench.kind, bench.state
        );
        print_line(line.trim_end())?;
    }
    Ok(Exit::Ok)
}

fn listed(chosen: &Chosen, about: Option<About>) -> Listed {
    // A bench that nobody serves is off.
    let state = about.as_ref().map_or(State::Off, |about| about.state);
    let last_boot = about.as_ref().and_then(|about| about.boots.last());
    let on_since = last_boot.filter(|_| state == State::Ready);
    Listed {
        name: chosen.name.clone(),
        board: chosen.board.name.clone(),
        kind: chosen.kind().to_owned(),
        state: named(state),
        on_seconds: on_since
            .and_then(|boot| SystemTime::now().duration_since(boot.started).ok())
            .map(|duration| duration.as_secs()),
        holder: about.and_then(|about| about.holder),
    }
}

fn named(state: State) -> &'static str {
    match state {
        State::Off => "off",
        State::Booting => "booting",
        State::Ready => "on",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use board_spec::Board;
    use hil::server::Boot;

    use super::*;

    #[test]
    fn a_state_is_the_boards_and_only_one_that_is_on_has_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("board.toml");
        let board = "title = \"X\"\ncompatible = [\"x,x\"]\n[kernel]\n[console]\n\
                     device = \"ttyS0\"\nbaud = 115200\n[agent]\nport = \"ttyS1\"\n";
        std::fs::write(file, board).unwrap();
        let chosen = Chosen::emulated(Board::read(folder.path()).unwrap());
        // It has been booted before, whatever its state is now.
        let boot = Boot {
            started: SystemTime::now() - Duration::from_secs(90),
            duration: Some(Duration::from_secs(4)),
        };
        for (state, shown, is_on) in [
            (State::Off, "off", false),
            (State::Booting, "booting", false),
            (State::Ready, "on", true),
        ] {
            let about = About {
                name: "x".to_owned(),
                board: "x".to_owned(),
                title: "X".to_owned(),
                kind: "qemu".to_owned(),
                key: "k".to_owned(),
                pid: 7,
                state,
                boots: vec![boot],
                holder: None,
            };
            let listed = listed(&chosen, Some(about));
            assert_eq!(listed.state, shown);
            let seconds = listed.on_seconds.is_some_and(|seconds| seconds >= 90);
            assert_eq!(seconds, is_on, "{listed:?}");
            assert_eq!(listed.on_seconds.is_some(), is_on, "{listed:?}");
        }
        assert_eq!(listed(&chosen, None).state, "off");
    }
}
