// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench compare`: what the kit's agent takes, and labgrid for the same, on the same
//! emulated board in one run.

mod ours;
mod series;
mod theirs;

use std::path::PathBuf;

use board_spec::Board;
use serde::Serialize;

use self::series::Series;
use super::super::{print_json, print_line};
use crate::benches::Chosen;
use crate::cli::Compare;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::kernel::obtain::Obtain;
use crate::lab::Labgrid;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::Setup;
use crate::{login, mirror, module, target_programs, warm};

/// How often each thing is done.
const COUNT: usize = 100;

/// The command that both sides run, besides the program: it does nothing.
const WORDS: [&str; 1] = ["true"];

/// What labgrid's time consists of, besides the command.
const FLOOR: &str = "\
Each command of labgrid's ShellDriver is two exchanges with the shell at the console, one after the
other: an `echo` that proves that there is a prompt, then the command in a function that starts one
more shell. The board echoes all of it over its emulated UART byte by byte, and what comes is
searched with a regular expression. The agent has a line of its own and starts the program itself.";

/// The document for programs.
#[derive(Debug, Serialize)]
struct Comparison {
    board: String,
    /// How many programs wanted a processor in the minute before, and how many processors there are.
    load: f64,
    processors: usize,
    series: Vec<Series>,
    floor: String,
}

pub(super) fn run(options: &Compare, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let board = board(&repository, options.board.as_deref())?;
    let (setup, programs) = Setup::new_while(options.set_up.choices(), progress, |tools| {
        target_programs::build_all(tools, progress)
    })?;
    let built = module::build(&setup, progress)?;
    let choices = options.set_up.choices();
    let labgrid = Labgrid::prepare(&setup, choices, progress)?;
    let shell = shell(&setup, choices.locked, progress)?;
    let chosen = Chosen::emulated(board.clone());
    let tests = programs.tests.iter().map(|test| test.path.clone());
    let packed: Vec<_> = tests.chain([shell.clone()]).collect();
    let (load, processors) = load();
    let mut bench = warm::take(&setup, &built, &chosen, packed, progress)?;
    warm::make_ready(&mut bench, &built, &chosen, progress)?;
    let step = progress.step("agent", &format!("measuring the agent on {}", chosen.name))?;
    let mut all = ours::measure(&repository, &chosen, &mut bench, &shell, &programs.tests)?;
    bench
        .release(false)
        .map_err(|error| warm::trouble(&chosen, error))?;
    // Two boards at a time would be in each other's way.
    warm::stop(&warm::socket_of(&repository, &chosen))?;
    step.done("measured");
    let step = progress.step("labgrid", &format!("measuring labgrid on {}", board.name))?;
    all.extend(theirs::measure(&setup, &labgrid, &board, &shell, &step)?);
    step.done("measured");
    let comparison = Comparison {
        board: board.name,
        load,
        processors,
        series: all,
        floor: FLOOR.replace('\n', " "),
    };
    show(&comparison, options.json.json)?;
    Ok(Exit::Ok)
}

/// The load of this PC in the last minute (`proc_loadavg(5)`), and its processors.
fn load() -> (f64, usize) {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().and_then(|load| load.parse().ok());
    let processors = std::thread::available_parallelism();
    (load.unwrap_or(0.0), processors.map_or(1, usize::from))
}

/// The board of this name, or the first that labgrid can boot too.
fn board(repository: &Repository, name: Option<&str>) -> Result<Board> {
    if name.is_none() {
        let all = repository.boards()?.all();
        let all = all.or_fail(Exit::Refused, || "cannot read the boards")?;
        if let Some(board) = all.into_iter().find(theirs::has_first_console) {
            return Ok(board);
        }
    }
    repository.board_or_default(name)
}

fn show(comparison: &Comparison, as_json: bool) -> Result<()> {
    if as_json {
        return print_json(comparison);
    }
    print_line(&format!(
        "\n{:<50} {:>5} {:>9} {:>9} {:>10}",
        format!("on {}, ms", comparison.board),
        "count",
        "median",
        "p95",
        "total"
    ))?;
    for series in &comparison.series {
        print_line(&series.line())?;
    }
    let Comparison {
        load, processors, ..
    } = comparison;
    if *load >= 1.0 {
        print_line(&format!(
            "\nOther programs kept this PC busy: a load of {load:.1} on {processors} processors."
        ))?;
    }
    print_line(&format!("\n{FLOOR}"))
}

/// A shell for the board, of Debian's.
fn shell(setup: &Setup, locked: bool, progress: &Progress) -> Result<PathBuf> {
    let obtain = Obtain {
        toolbox: &setup.tools.toolbox,
        cache: &setup.tools.cache,
        progress,
        mirror: mirror::find,
    };
    login::shell(&obtain, &setup.tools.repository.target_lock(), locked)
}
