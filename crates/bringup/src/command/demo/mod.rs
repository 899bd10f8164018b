// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup demo`: boots a board and shows what each mechanism exchanged with the driver.

mod listener;
mod report;
mod table;

use std::time::Duration;

use hil::Observer;

use super::print_json;
use crate::cli::Demo;
use crate::exit::Exit;
use crate::failure::Result;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::run::{self, Job};
use crate::setup::Setup;
use crate::{module, target_programs};
use listener::Listener;
use report::Document;

pub(super) fn run(options: &Demo, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    // A wrong name is refused before minutes are spent.
    let board = repository.board_or_default(options.board.as_deref())?;
    let (setup, agent) = Setup::new_while(options.set_up.choices(), progress, |tools| {
        target_programs::build_program(tools, progress)
    })?;
    let built = module::build(&setup, progress)?;
    let step = progress.step("boot", &format!("{} in QEMU", board.title))?;
    let mut listener = Listener::new(&step);
    let job = Job {
        board: &board,
        module: &built.stripped,
        agent: &agent,
        programs: Vec::new(),
        commands: vec![vec![
            run::path_on_board(&agent),
            "tour".into(),
            "--json".into(),
        ]],
        kernel_arguments: Vec::new(),
        keep_running: options.keep_running,
    };
    let running = run::boot(&setup, job, &step, &mut listener)?;
    let tour = listener.tour()?;
    let outcome = running.outcome.clone();
    let health = listener.kernel_health(outcome.taint);
    let boot = seconds(outcome.boot);
    if options.keep_running {
        step.done(&format!("booted in {boot} and left on"));
        table::print(&board.title, &outcome.kernel, &tour);
        let _relying = setup.finish_building();
        keep_running(running);
    } else {
        running.session.power_off(&mut listener);
        drop(listener);
        step.done(&format!("booted in {boot}, toured, powered off"));
        if options.json {
            print_json(&Document {
                board: &board.name,
                kernel: &outcome.kernel,
                engine: &tour.engine,
                rooms: &tour.rooms,
            })?;
        } else {
            table::print(&board.title, &outcome.kernel, &tour);
        }
    }
    health?;
    Ok(report::exit(&tour))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Shows the console until the board ends or Ctrl-C ends both.
fn keep_running(mut running: run::Running) {
    struct Screen;
    impl Observer for Screen {
        fn console(&mut self, line: &str) {
            anstream::println!("{line}");
        }
    }
    anstream::eprintln!(
        "the board stays on (QEMU is pid {}); Ctrl-C ends it",
        running.session.pid()
    );
    running.session.watch(&mut Screen);
}
