// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench`: the benches of this PC.

mod check;
mod compare;
mod list;
mod stand_in;
mod update;

use crate::benches;
use crate::cli::{Bench, OneBench};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::warm;

pub(super) fn run(command: &Bench, progress: &Progress) -> Result<Exit> {
    match command {
        Bench::List(options) => list::run(options, progress),
        Bench::Check(options) => check::run(options, progress),
        Bench::Stop(options) => stop(options, progress),
        Bench::StandIn(options) => stand_in::run(options, progress),
        Bench::Update(options) => update::run(options, progress),
        Bench::Compare(options) => compare::run(options, progress),
        Bench::Serve { folder } => warm::serve(folder, progress),
    }
}

/// Switches a board off, whoever holds it, and says whose run that ends.
fn stop(options: &OneBench, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let chosen = benches::choose(&repository, &options.choice)?;
    let (name, path) = (&chosen.name, warm::socket_of(&repository, &chosen));
    let about = hil::bench::about(&path).map_err(|_| is_not_on(name))?;
    let step = progress.step("stop", &format!("switching {name} off"))?;
    if let Some(holder) = &about.holder {
        progress.note(&format!(
            "{name} is held by {holder}; this ends what it does there"
        ));
    }
    if !warm::stop(&path)? {
        return Err(is_not_on(name));
    }
    step.done(&match about.holder {
        None => format!("{name} is off"),
        Some(holder) => format!("{name} is off, and was held by {holder}"),
    });
    Ok(Exit::Ok)
}

fn is_not_on(name: &str) -> Failure {
    Failure::new(Exit::Refused, format!("{name} is not on"))
        .help("`cargo bringup bench list` shows which boards are")
}
