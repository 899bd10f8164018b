// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests on a board that is reached as one on a desk is, and switched by a command: once by a
//! serial port, which the agent shares with the kernel's messages, once by a remote login, once by a
//! serial port that loses, doubles and garbles bytes, and as a place of a labgrid coordinator.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use board_spec::{Board, SerialUse};

use super::lab;
use super::on_board::{KERNEL_ARGUMENTS, Run};
use super::summary::Counts;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::lab::Labgrid;
use crate::login::Login;
use crate::progress::Progress;
use crate::setup::Choices;
use crate::stand_in::{Parts, StandIn};
use crate::{benches, warm};

/// On a bad line, a byte is lost, doubled or garbled with one chance in so many.
const BAD_LINE: u32 = 10_000;

/// How the board is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    SerialConsole,
    RemoteLogin,
    BadLine,
    Labgrid,
}

impl By {
    /// What the bench is called.
    fn name(self) -> &'static str {
        match self {
            Self::SerialConsole => "serial-console",
            Self::RemoteLogin => "remote-login",
            Self::BadLine => "bad-line",
            Self::Labgrid => "labgrid",
        }
    }
}

/// Runs all tests in each way, if there is a board whose only serial port is its console.
pub(super) fn test(
    run: &Run<'_>,
    choices: Choices,
    progress: &Progress,
) -> Vec<(String, Result<Counts>)> {
    let boards = run.setup.tools.repository.boards();
    let boards = boards.ok().and_then(|boards| boards.all().ok());
    let board = boards.into_iter().flatten().find(shares_its_console);
    let test = |board: Board, by: By| {
        let tested = test_on(board, by, run, choices, progress)
            .inspect_err(|failure| run.recorder.blame(failure, Some(by.name())));
        (by.name().to_owned(), tested)
    };
    let ways = [By::SerialConsole, By::RemoteLogin, By::BadLine, By::Labgrid];
    let all = board.iter().flat_map(|board| ways.map(|by| (board, by)));
    all.map(|(board, by)| test(board.clone(), by)).collect()
}

fn shares_its_console(board: &Board) -> bool {
    let qemu = board.qemu.as_ref();
    qemu.is_some_and(|qemu| !qemu.serial.contains(&SerialUse::Agent))
}

fn test_on(
    board: Board,
    by: By,
    run: &Run<'_>,
    choices: Choices,
    progress: &Progress,
) -> Result<Counts> {
    let name = by.name();
    let repository = &run.setup.tools.repository;
    let folder = run.setup.output_folder(&format!("stand-in/{name}"))?;
    let login = match by {
        By::SerialConsole | By::BadLine | By::Labgrid => None,
        By::RemoteLogin => Some(Login::prepare(run.setup, choices, &folder, progress)?),
    };
    let labgrid = match by {
        By::SerialConsole | By::RemoteLogin | By::BadLine => None,
        By::Labgrid => Some(Labgrid::prepare(run.setup, choices, progress)?),
    };
    let step = progress.step("stand-in", &format!("preparing {}", board.title))?;
    let parts = Parts {
        module: &run.built.stripped,
        agent: &run.programs.agent,
        programs: run.programs.tests.iter().map(|t| t.path.clone()).collect(),
        kernel_arguments: KERNEL_ARGUMENTS.map(str::to_owned).to_vec(),
        bad_line: (by == By::BadLine).then_some(BAD_LINE),
        login: login.as_ref(),
        labgrid: labgrid.as_ref(),
    };
    let stand_in = StandIn::new(run.setup, board, parts, name, &folder, &step)?;
    step.done("it stands in for one on a desk");
    let harmed = stand_in.harmed();
    let chosen = benches::in_file(repository, stand_in.path(), name)?;
    let is_over = AtomicBool::new(false);
    let counts = thread::scope(|scope| {
        let board = scope.spawn(|| stand_in.run(|| is_over.load(Ordering::Relaxed)));
        let counts = run.on(&chosen, progress);
        // The server switches the board off, and gives the port back.
        let stopped = warm::stop(&warm::socket_of(repository, &chosen));
        let counts = match (by, counts) {
            (By::Labgrid, Ok(counts)) => Ok(counts.plus(lab::test(run, &chosen, progress))),
            (_, counts) => counts,
        };
        is_over.store(true, Ordering::Relaxed);
        board.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        stopped?;
        counts
    })?;
    if by == By::BadLine {
        progress.note(&format!("{name} has harmed {} bytes", harmed.bytes()));
        if harmed.bytes() == 0 && run.filters.is_empty() {
            let what = "the bad line was a good one: nothing was tested";
            return Err(Failure::new(Exit::Infrastructure, what));
        }
    }
    Ok(counts)
}
