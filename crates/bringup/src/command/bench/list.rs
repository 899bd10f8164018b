// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench list`: all benches, and who holds them.

use std::time::SystemTime;

use hil::bench;
use hil::server::About;
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
    /// `off`, `free`, or `held`.
    state: &'static str,
    holder: Option<String>,
    /// For how long the board has been on, seconds.
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
            "{:<20} {:<20} {:<8} {:<5} {holder}",
            bench.name, bench.board, bench.kind, bench.state
        );
        print_line(line.trim_end())?;
    }
    Ok(Exit::Ok)
}

fn listed(chosen: &Chosen, about: Option<About>) -> Listed {
    let on_since = about.as_ref().and_then(|about| about.boots.last());
    let state = match &about {
        None => "off",
        Some(about) if about.holder.is_some() => "held",
        Some(_) => "free",
    };
    Listed {
        name: chosen.name.clone(),
        board: chosen.board.name.clone(),
        kind: chosen.kind().to_owned(),
        state,
        on_seconds: on_since
            .and_then(|boot| SystemTime::now().duration_since(boot.started).ok())
            .map(|duration| duration.as_secs()),
        holder: about.and_then(|about| about.holder),
    }
}
