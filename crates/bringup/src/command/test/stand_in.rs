// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests on a board that is reached as one on a desk is: by a serial port, which the agent shares
//! with the kernel's messages, and a command that switches it.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use board_spec::{Board, SerialUse};

use super::on_board::{KERNEL_ARGUMENTS, Run};
use super::summary::Counts;
use crate::failure::Result;
use crate::progress::Progress;
use crate::stand_in::{Parts, StandIn};
use crate::{benches, warm};

/// What its bench is called.
const NAME: &str = "serial-console";

/// Runs all tests on it, if there is a board whose only serial port is its console.
pub(super) fn test(run: &Run<'_>, progress: &Progress) -> Option<(String, Result<Counts>)> {
    let boards = run.setup.tools.repository.boards();
    let boards = boards.ok()?.all().ok()?;
    let board = boards.into_iter().find(shares_its_console)?;
    Some((NAME.to_owned(), test_on(board, run, progress)))
}

fn shares_its_console(board: &Board) -> bool {
    let qemu = board.qemu.as_ref();
    qemu.is_some_and(|qemu| !qemu.serial.contains(&SerialUse::Agent))
}

fn test_on(board: Board, run: &Run<'_>, progress: &Progress) -> Result<Counts> {
    let repository = &run.setup.tools.repository;
    let folder = run.setup.output_folder(&format!("stand-in/{NAME}"))?;
    let step = progress.step("stand-in", &format!("preparing {}", board.title))?;
    let parts = Parts {
        module: &run.built.stripped,
        agent: &run.programs.agent,
        programs: run.programs.tests.iter().map(|t| t.path.clone()).collect(),
        kernel_arguments: KERNEL_ARGUMENTS.map(str::to_owned).to_vec(),
        login: None,
    };
    let stand_in = StandIn::new(run.setup, board, parts, NAME, &folder, &step)?;
    step.done("it stands in for one on a desk");
    let chosen = benches::in_file(repository, stand_in.path(), NAME)?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let board = scope.spawn(|| stand_in.run(|| is_over.load(Ordering::Relaxed)));
        let counts = run.on(&chosen, progress);
        // The server switches the board off, and gives the port back.
        let stopped = warm::stop(&warm::socket_of(repository, &chosen));
        is_over.store(true, Ordering::Relaxed);
        board.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        stopped?;
        counts
    })
}
