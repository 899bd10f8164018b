// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup test`: every test there is.

mod checks;
mod on_board;
mod recorder;
mod summary;

use std::panic::resume_unwind;
use std::process::Command;

use crate::cli::Test;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::Setup;
use crate::{module, target_programs};
use recorder::Recorder;
use summary::{Counts, Summary};

pub(super) fn run(options: &Test, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let boards = chosen_boards(&repository, &options.board)?;
    let (setup, programs) = Setup::new_while(options.set_up.choices(), progress, |tools| {
        target_programs::build_all(tools, progress)
    })?;
    let recorder = Recorder::new(&options.reports)?;
    let mut summary = Summary::default();
    if !options.boards_only {
        summary.add("on this PC", on_this_pc(&setup)?);
        summary.add("checks of the source", checks::run(&setup, progress)?);
    }
    let built = module::build(&setup, progress)?;
    let run = on_board::Run {
        setup: &setup,
        built: &built,
        programs: &programs,
        recorder: &recorder,
        retries: options.retries,
        filters: &options.filters,
    };
    let on_pc = summary.exit();
    let results = on_all(&run, &boards, progress);
    let report = recorder.finish(&options.reports)?;
    for (board, result) in boards.iter().zip(results) {
        summary.add(&format!("on {}", board.name), result?);
    }
    summary.print();
    Ok(on_pc.worse(report_exit(&report)))
}

/// Runs the tests on all boards at the same time.
fn on_all(
    run: &on_board::Run<'_>,
    boards: &[board_spec::Board],
    progress: &Progress,
) -> Vec<Result<Counts>> {
    std::thread::scope(|scope| {
        let start = |board| scope.spawn(move || run.on(board, progress));
        let threads: Vec<_> = boards.iter().map(start).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}

/// What the record of the boards' tests means for this program's end.
fn report_exit(report: &hil_report::Report) -> Exit {
    match report.exit() {
        hil_report::Exit::Passed => Exit::Ok,
        hil_report::Exit::Infrastructure => Exit::Infrastructure,
        hil_report::Exit::TimedOut => Exit::Timeout,
        hil_report::Exit::Failed => Exit::TestFailed,
        hil_report::Exit::Build => Exit::Build,
    }
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
