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
        Bench::List(options) => list::run(options),
        Bench::Check(options) => check::run(options, progress),
        Bench::Stop(options) => stop(options, progress),
        Bench::StandIn(options) => stand_in::run(options, progress),
        Bench::Update(options) => update::run(options, progress),
        Bench::Compare(options) => compare::run(options, progress),
        Bench::Serve { folder } => warm::serve(folder, progress),
    }
}

fn stop(options: &OneBench, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let chosen = benches::choose(&repository, &options.choice)?;
    let step = progress.step("stop", &format!("switching {} off", chosen.name))?;
    if !warm::stop(&warm::socket_of(&repository, &chosen))? {
        let what = format!("{} is not on", chosen.name);
        return Err(Failure::new(Exit::Refused, what)
            .help("`cargo bringup bench list` shows which boards are"));
    }
    step.done(&format!("{} is off", chosen.name));
    Ok(Exit::Ok)
}
