// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup test`: every test there is.

mod checks;
mod on_board;
mod summary;

use std::process::Command;

use crate::cli::Test;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::Setup;
use crate::target_programs;
use summary::{Counts, Summary};

pub(super) fn run(options: &Test, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let boards = chosen_boards(&repository, &options.board)?;
    let (setup, programs) = Setup::new_while(options.set_up.choices(), progress, |tools| {
        target_programs::build_all(tools, progress)
    })?;
    let mut summary = Summary::default();
    summary.add("on this PC", on_this_pc(&setup)?);
    summary.add("checks of the source", checks::run(&setup, progress)?);
    for board in &boards {
        let counts = on_board::run(&setup, board, &programs, progress)?;
        summary.add(&format!("on {}", board.name), counts);
    }
    summary.print();
    Ok(summary.exit())
}

/// The boards that were named, or all that can be emulated.
fn chosen_boards(repository: &Repository, names: &[String]) -> Result<Vec<board_spec::Board>> {
    if !names.is_empty() {
        return names
            .iter()
            .map(|name| repository.board_or_default(Some(name)))
            .collect();
    }
    let all = repository.boards()?.all();
    let mut all = all.or_fail(Exit::Refused, || "cannot read the boards")?;
    all.retain(|board| board.qemu.is_some());
    Ok(all)
}

/// Runs `cargo test` with the PC's own compiler.
fn on_this_pc(setup: &Setup) -> Result<Counts> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .current_dir(setup.tools.repository.root());
    summary::run_and_count(&mut command)
}
