// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench`: the boards that are on.

use std::time::SystemTime;

use hil::bench;
use hil::server::About;
use serde::Serialize;

use super::{print_json, print_line};
use crate::cli::{Bench, Json, OneBench};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::warm;

pub(super) fn run(command: &Bench, progress: &Progress) -> Result<Exit> {
    match command {
        Bench::List(options) => list(options),
        Bench::Stop(options) => stop(options, progress),
        Bench::Serve { folder } => warm::serve(folder, progress),
    }
}

/// A bench as `bench list` shows it.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    board: String,
    kind: &'static str,
    /// `off`, `free`, or `held`.
    state: &'static str,
    holder: Option<String>,
    /// For how long the board has been on, seconds.
    on_seconds: Option<u64>,
}

fn list(options: &Json) -> Result<Exit> {
    let repository = Repository::find()?;
    let boards = repository.boards()?.all();
    let boards = boards.or_fail(Exit::Refused, || "cannot read the boards")?;
    let emulated = boards.iter().filter(|board| board.qemu.is_some());
    let listed: Vec<_> = emulated
        .map(|board| {
            let about = bench::about(&warm::socket_of(&repository, &board.name));
            listed(&board.name, about.ok())
        })
        .collect();
    if options.json {
        print_json(&listed)?;
        return Ok(Exit::Ok);
    }
    for bench in &listed {
        let holder = bench.holder.as_deref().unwrap_or_default();
        let line = format!(
            "{:<20} {:<6} {:<5} {holder}",
            bench.name, bench.kind, bench.state
        );
        print_line(line.trim_end())?;
    }
    Ok(Exit::Ok)
}

fn listed(board: &str, about: Option<About>) -> Listed {
    let on_since = about.as_ref().and_then(|about| about.boots.last());
    let state = match &about {
        None => "off",
        Some(about) if about.holder.is_some() => "held",
        Some(_) => "free",
    };
    Listed {
        name: board.to_owned(),
        board: board.to_owned(),
        kind: "qemu",
        state,
        on_seconds: on_since
            .and_then(|boot| SystemTime::now().duration_since(boot.started).ok())
            .map(|duration| duration.as_secs()),
        holder: about.and_then(|about| about.holder),
    }
}

fn stop(options: &OneBench, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let board = repository.board_or_default(options.board.as_deref())?;
    let step = progress.step("stop", &format!("switching {} off", board.name))?;
    if !warm::stop(&warm::socket_of(&repository, &board.name))? {
        let what = format!("{} is not on", board.name);
        return Err(Failure::new(Exit::Refused, what)
            .help("`cargo bringup bench list` shows which boards are"));
    }
    step.done(&format!("{} is off", board.name));
    Ok(Exit::Ok)
}
