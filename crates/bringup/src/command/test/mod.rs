// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup test`: every test there is.

mod checks;
mod on_bench;
mod on_board;
mod process;
mod recorder;
mod stand_in;
mod summary;
mod tested;

use std::panic::resume_unwind;
use std::process::Command;

use crate::benches::{self, Chosen};
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
    let chosen = chosen(&repository, options)?;
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
    let mut results = on_all(&run, &chosen, progress);
    let is_whole = options.bench.is_empty() && options.board.is_empty();
    if is_whole {
        results.extend(stand_in::test(&run, options.set_up.choices(), progress));
    }
    let report = recorder.finish(&options.reports)?;
    for (name, result) in results {
        summary.add(&format!("on {name}"), result?);
    }
    summary.print();
    Ok(on_pc.worse(report_exit(&report)))
}

/// Runs the tests on all benches at the same time.
fn on_all(
    run: &on_board::Run<'_>,
    chosen: &[Chosen],
    progress: &Progress,
) -> Vec<(String, Result<Counts>)> {
    std::thread::scope(|scope| {
        let start = |chosen| scope.spawn(move || run.on(chosen, progress));
        let threads: Vec<_> = chosen.iter().map(start).collect();
        let join = |(chosen, thread): (&Chosen, std::thread::ScopedJoinHandle<'_, _>)| {
            let result = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            (chosen.name.clone(), result)
        };
        chosen.iter().zip(threads).map(join).collect()
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

/// The boards and benches that were named, or all boards that can be emulated.
fn chosen(repository: &Repository, options: &Test) -> Result<Vec<Chosen>> {
    if options.board.is_empty() && options.bench.is_empty() {
        let all = repository.boards()?.all();
        let mut all = all.or_fail(Exit::Refused, || "cannot read the boards")?;
        all.retain(|board| board.qemu.is_some());
        return Ok(all.into_iter().map(Chosen::emulated).collect());
    }
    let board = |name: &String| {
        repository
            .board_or_default(Some(name))
            .map(Chosen::emulated)
    };
    let bench = |name: &String| benches::described(repository, name);
    let boards = options.board.iter().map(board);
    boards.chain(options.bench.iter().map(bench)).collect()
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
