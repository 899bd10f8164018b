// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup test`: every test there is.

mod checks;
mod guards;
mod lab;
mod older;
mod on_bench;
mod on_board;
mod on_pc;
mod printed;
mod process;
mod recorder;
mod stand_in;
mod summary;
mod tested;
mod through_cargo;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use crate::benches::{self, Chosen};
use crate::cli::Test;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::{Choices, Setup};
use crate::{module, target_programs};
use recorder::Recorder;
use summary::{Counts, Summary};

pub(super) use on_pc::run_program;

pub(super) fn run(options: &Test, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let chosen = chosen(&repository, options)?;
    let recorder = Recorder::new(&options.reports)?;
    let mut summary = Summary::default();
    let tested = test(options, &chosen, &recorder, &mut summary, progress);
    if let Err(failure) = &tested {
        recorder.blame(failure, None);
    }
    // Also of a run that ended early: what there was until then, and why.
    let report = recorder.finish(&options.reports)?;
    if let Err(failure) = tested {
        summary.add("the rest", Err(failure));
    }
    summary.print();
    if !options.filters.is_empty() && summary.is_empty() {
        let what = format!("no test has {} in its name", options.filters.join(" or "));
        return Err(Failure::new(Exit::Refused, what));
    }
    Ok(exit(&report, &summary))
}

/// Runs everything, as far as what comes later can do without what failed.
fn test(
    options: &Test,
    chosen: &[Chosen],
    recorder: &Recorder,
    summary: &mut Summary,
    progress: &Progress,
) -> Result<()> {
    let repository = Repository::find()?;
    let is_whole = options.bench.is_empty() && options.board.is_empty();
    let choices = Choices {
        older_kernels: is_whole && !options.set_up.has_series(),
        ..options.set_up.choices()
    };
    if options.source_only {
        let setup = Setup::new(choices, progress)?;
        let checked = checks::run(&setup, None, recorder, progress)?;
        summary.add("checks of the source", Ok(checked));
        return Ok(());
    }
    let (mut setup, programs) = Setup::new_while(choices, progress, |tools| {
        target_programs::build_all(tools, progress)
    })?;
    if !options.boards_only {
        let on_pc = on_pc::run(&setup.tools.repository, recorder, progress);
        let on_pc = on_pc.inspect_err(|failure| recorder.blame(failure, None));
        summary.add("on this PC", on_pc);
        let checked = checks::run(&setup, Some(&programs.agent), recorder, progress)?;
        summary.add("checks of the source", Ok(checked));
    }
    if on_board::is_wanted_name(older::NAME, &options.filters) {
        for (part, toured) in older::run(&mut setup, &programs.agent, recorder, progress) {
            summary.add(&part, toured);
        }
    }
    let built = module::build(&setup, progress)?;
    anstream::println!("\n{}", module::size::of(&built)?);
    let run = on_board::Run {
        setup: &setup,
        built: &built,
        programs: &programs,
        recorder,
        retries: options.retries,
        filters: &options.filters,
    };
    let mut results = on_all(&run, chosen, progress);
    if is_whole {
        results.extend(stand_in::test(&run, options.set_up.choices(), progress));
    }
    for (name, result) in results {
        summary.add(&format!("on {name}"), result);
    }
    let relying = setup.finish_building();
    let through_cargo = through_cargo::test(&repository, chosen, &options.filters, recorder);
    let through_cargo = through_cargo.inspect_err(|failure| recorder.blame(failure, None));
    drop(relying);
    summary.add("through cargo's runner", through_cargo);
    Ok(())
}

/// Runs the tests on all benches, on as many at the same time as this PC has processors: what is
/// emulated takes one at least, and tests have bounds of time.
fn on_all(
    run: &on_board::Run<'_>,
    chosen: &[Chosen],
    progress: &Progress,
) -> Vec<(String, Result<Counts>)> {
    let at_a_time = available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            let mut results = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(chosen) = chosen.get(index) else {
                    return results;
                };
                results.push((index, (chosen.name.clone(), run.on(chosen, progress))));
            }
        };
        let threads: Vec<_> = (0..at_a_time.min(chosen.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut results: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect();
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    })
}

/// What the record of the run means for this program's end. A bench that has failed is in it,
/// however long it was waited for; what this PC lacks is told apart.
fn exit(report: &hil_report::Report, summary: &Summary) -> Exit {
    let recorded = match report.exit() {
        hil_report::Exit::Passed => Exit::Ok,
        hil_report::Exit::Infrastructure => Exit::Infrastructure,
        hil_report::Exit::TimedOut => Exit::Timeout,
        hil_report::Exit::Failed => Exit::TestFailed,
        hil_report::Exit::Build => Exit::Build,
    };
    match summary.exit() {
        Exit::Timeout => recorded,
        ended => recorded.worse(ended),
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
