// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup demo`: boots a board and shows what each mechanism exchanged with the driver.

mod report;
mod table;
mod tour;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use board_spec::Board;
use hil::{Fixture, State};

use super::print_json;
use crate::cli::Demo;
use crate::emulation::{self, Content};
use crate::exit::Exit;
use crate::failure::Result;
use crate::module::Built;
use crate::progress::{Progress, Step};
use crate::repository::Repository;
use crate::setup::Setup;
use crate::{module, target_programs};
use report::Document;
use tour::Toured;

pub(super) fn run(options: &Demo, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    // A wrong name is refused before minutes are spent.
    let board = repository.board_or_default(options.board.as_deref())?;
    let (setup, agent) = Setup::new_while(options.set_up.choices(), progress, |tools| {
        target_programs::build_program(tools, progress)
    })?;
    let built = module::build(&setup, progress)?;
    let step = progress.step("boot", &format!("{} in QEMU", board.title))?;
    let folder = format!("demo/{}", board.name);
    let (mut fixture, toured) = boot_and_tour(&setup, &built, &board, &agent, folder, &step)?;
    let tour = toured.tour()?;
    let kernel = fixture.agent().map(|agent| agent.about().kernel.clone());
    let kernel = kernel.unwrap_or_default();
    let boot = fixture.boots().all().last().and_then(|boot| boot.duration);
    let boot = seconds(boot.unwrap_or_default());
    if options.keep_running {
        step.done(&format!("booted in {boot} and left on"));
        table::print(&board.title, &kernel, &tour);
        let _relying = setup.finish_building();
        keep_running(&fixture);
    } else {
        // The tour is over: what the board does now decides nothing.
        let _ = fixture.reach(State::Off);
        step.done(&format!("booted in {boot}, toured, powered off"));
        if options.json {
            print_json(&Document {
                board: &board.name,
                kernel: &kernel,
                engine: &tour.engine,
                rooms: &tour.rooms,
            })?;
        } else {
            table::print(&board.title, &kernel, &tour);
        }
    }
    toured.kernel_health()?;
    Ok(report::exit(&tour))
}

/// Tours a board, and fails unless every room passes and the kernel is well.
pub(super) fn verdict(
    setup: &Setup,
    built: &Built,
    board: &Board,
    agent: &Path,
    folder: String,
    progress: &Progress,
) -> Result<()> {
    let step = progress.step("tour", &format!("{} in QEMU", board.title))?;
    let (mut fixture, toured) = boot_and_tour(setup, built, board, agent, folder, &step)?;
    let tour = toured.tour()?;
    // The tour is over: what the board does now decides nothing.
    let _ = fixture.reach(State::Off);
    toured.kernel_health()?;
    report::require_passed(&tour)?;
    let release = setup.kernel.release();
    step.done(&format!("{} rooms passed on {release}", tour.rooms.len()));
    Ok(())
}

fn boot_and_tour(
    setup: &Setup,
    built: &Built,
    board: &Board,
    agent: &Path,
    folder: String,
    step: &Step,
) -> Result<(Fixture, Toured)> {
    let content = Content {
        board,
        module: &built.stripped,
        agent,
        programs: Vec::new(),
        kernel_arguments: Vec::new(),
        folder,
        login: None,
    };
    let mut fixture = emulation::emulated(setup, &content, step)?;
    let mut tour = || {
        let agent_on_board = fixture.agent()?;
        let program = agent_on_board.install(agent, &mut |_, _| {})?;
        tour::run(&agent_on_board, program)
    };
    let toured = tour().map_err(|error| {
        emulation::failure(&mut fixture, error).help(format!(
            "all the board printed is in {}",
            step.log().display()
        ))
    })?;
    Ok((fixture, toured))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Shows the console until the board ends or Ctrl-C ends both.
fn keep_running(fixture: &Fixture) {
    let pid = fixture.pid().unwrap_or_default();
    anstream::eprintln!("the board stays on (QEMU is pid {pid}); Ctrl-C ends it");
    let console = fixture.console().watch();
    while fixture.state() == State::Ready {
        if let Ok(bytes) = console.recv_timeout(Duration::from_millis(200)) {
            // A screen that is gone shows nothing.
            let _ = std::io::stdout().write_all(&bytes);
            let _ = std::io::stdout().flush();
        }
    }
}
