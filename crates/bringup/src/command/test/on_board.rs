// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests that run on a board, in one boot.

use std::io::Write as _;

use agent_wire::{Message, Stream};
use board_spec::Board;
use hil::Observer;

use super::summary::Counts;
use crate::failure::Result;
use crate::progress::{Progress, Step};
use crate::run::{self, Job};
use crate::setup::Setup;
use crate::target_programs::Programs;
use crate::{kernel_health, module};

/// Memory errors in the driver are found where they happen: every slab object is checked, and
/// KFENCE guards as many allocations as it can.
const KERNEL_ARGUMENTS: [&str; 2] = ["slab_debug=FZPU", "kfence.sample_interval=1"];

pub(super) fn run(
    setup: &Setup,
    board: &Board,
    programs: &Programs,
    progress: &Progress,
) -> Result<Counts> {
    let built = module::build(setup, progress)?;
    let Programs { agent, tests } = programs;
    let harness = |path: &std::path::Path| {
        let program = run::path_on_board(path);
        // They are ignored on a PC; on the board that is what must run.
        let arguments = ["--include-ignored", "--test-threads=1"];
        std::iter::once(program)
            .chain(arguments.map(str::to_owned))
            .collect()
    };
    let job = Job {
        board,
        module: &built.stripped,
        agent,
        programs: tests.iter().map(|test| test.path.clone()).collect(),
        commands: tests.iter().map(|test| harness(&test.path)).collect(),
        kernel_arguments: KERNEL_ARGUMENTS.map(str::to_owned).to_vec(),
        keep_running: false,
    };
    let step = progress.step("boot", &format!("{} in QEMU", board.title))?;
    let mut listener = Listener::new(&step, board, tests.iter().map(|t| t.name.clone()).collect());
    let running = run::boot(setup, job, &step, &mut listener)?;
    let taint = running.outcome.taint;
    running.session.power_off(&mut listener);
    let mut counts = listener.counts;
    step.done(&format!("{} booted, tested, powered off", board.name));
    let taint = kernel_health::unexpected_taint(taint);
    let verdict = taint.as_ref().map_or("ok", |_| "FAILED");
    anstream::println!(
        "\ntest the kernel of {} is tainted by the driver alone ... {verdict}",
        board.name
    );
    if let Some(taint) = &taint {
        anstream::println!("    {taint}");
    }
    let healthy = taint.is_none();
    counts = counts.plus(Counts::one(healthy));
    Ok(counts)
}

/// Shows what the tests print, and counts.
struct Listener<'a> {
    step: &'a Step,
    board: &'a Board,
    names: Vec<String>,
    counts: Counts,
    /// The line that has begun, of the program that runs now.
    line: Vec<u8>,
    /// Whether the program that runs now has printed its summary.
    summarised: bool,
}

impl<'a> Listener<'a> {
    fn new(step: &'a Step, board: &'a Board, names: Vec<String>) -> Self {
        Self {
            step,
            board,
            names,
            counts: Counts::default(),
            line: Vec::new(),
            summarised: false,
        }
    }

    fn stdout(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            anstream::println!("{line}");
            if let Some(counts) = Counts::parse(&line) {
                self.counts = self.counts.plus(counts);
                self.summarised = true;
            }
        }
    }

    fn ended(&mut self, message: &Message) {
        let Message::Ended {
            program,
            code,
            signal,
            error,
            kernel_log,
        } = message
        else {
            return;
        };
        let name = self.names.get(*program).cloned().unwrap_or_default();
        // One that was ended by a signal has no summary, and its tests are not counted.
        if !self.summarised
            || signal.is_some()
            || error.is_some()
            || code.is_some_and(|c| c != 0 && c != 101)
        {
            let how = match (code, signal, error) {
                (.., Some(error)) => error.clone(),
                (_, Some(signal), _) => format!("signal {signal}"),
                (code, ..) => format!("exit code {}", code.unwrap_or(-1)),
            };
            anstream::println!("test {name} ended properly ... FAILED ({how})");
            self.counts = self.counts.plus(Counts::one(false));
        }
        let complaints = kernel_health::complaints(kernel_log);
        if !complaints.is_empty() {
            anstream::println!("test the kernel kept quiet during {name} ... FAILED");
            kernel_log
                .lines()
                .for_each(|line| anstream::println!("    {line}"));
            self.counts = self.counts.plus(Counts::one(false));
        }
    }
}

impl Observer for Listener<'_> {
    fn console(&mut self, line: &str) {
        self.step.line(line);
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Started { program } => {
                self.summarised = false;
                self.line.clear();
                let name = self.names.get(*program).map_or("?", String::as_str);
                anstream::println!("\n     Running tests/{name}.rs on {}", self.board.name);
            }
            Message::Output {
                stream: Stream::Stdout,
                bytes,
                ..
            } => self.stdout(bytes),
            Message::Output {
                stream: Stream::Stderr,
                bytes,
                ..
            } => {
                // What cannot be shown is lost, not the test's result.
                let _ = std::io::stderr().write_all(bytes);
            }
            Message::Ended { .. } => self.ended(message),
            _ => {}
        }
    }
}
