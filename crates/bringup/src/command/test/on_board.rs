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

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered \
                           out; finished in 0.02s\n";

    const QUIET: &str = "[    1.000000] dmacopy0: software engine\n";

    fn ended(code: Option<i32>, signal: Option<i32>, error: Option<&str>, log: &str) -> Message {
        Message::Ended {
            program: 0,
            code,
            signal,
            error: error.map(str::to_owned),
            kernel_log: log.to_owned(),
        }
    }

    /// What is counted when one program after the other prints this and ends so.
    fn counted(programs: &[(&str, Message)]) -> (u64, u64, u64) {
        let boards = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let boards = board_spec::Boards::find(&boards).unwrap();
        let board = boards.board(boards.default_name()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let progress = Progress::new(false, folder.path().to_path_buf());
        let step = progress.step("boot", "a test").unwrap();
        let mut listener = Listener::new(&step, &board, vec!["ioctl".into()]);
        for (stdout, end) in programs {
            listener.message(&Message::Started { program: 0 });
            // A line may come in two frames.
            for half in stdout.as_bytes().chunks(stdout.len() / 2 + 1) {
                listener.message(&Message::Output {
                    program: 0,
                    stream: Stream::Stdout,
                    bytes: half.to_vec(),
                });
            }
            listener.message(end);
        }
        let Counts {
            passed,
            failed,
            ignored,
        } = listener.counts;
        (passed, failed, ignored)
    }

    #[test]
    fn what_the_harness_counted_is_counted() {
        let good = (SUMMARY, ended(Some(0), None, None, QUIET));
        assert_eq!(counted(std::slice::from_ref(&good)), (3, 0, 1));
        assert_eq!(counted(&[good.clone(), good]), (6, 0, 2));
    }

    #[test]
    fn tests_that_failed_are_not_counted_twice() {
        let failed = SUMMARY.replace("ok. 3 passed; 0 failed", "FAILED. 2 passed; 1 failed");
        let end = ended(Some(101), None, None, QUIET);
        assert_eq!(counted(&[(&failed, end)]), (2, 1, 1));
    }

    #[test]
    fn a_complaint_of_the_kernel_fails_a_program_that_passed() {
        let log = format!("{QUIET}[    1.100000] WARNING: CPU: 0 PID: 1 at mm/slub.c:1\n");
        let end = ended(Some(0), None, None, &log);
        assert_eq!(counted(&[(SUMMARY, end)]), (3, 1, 1));
    }

    #[test]
    fn a_program_that_does_not_end_properly_has_failed() {
        for end in [
            ended(None, Some(11), None, QUIET),
            ended(Some(1), None, None, QUIET),
            ended(None, Some(9), Some("killed after 120 s"), QUIET),
            ended(Some(0), None, Some("cannot wait for the program"), QUIET),
        ] {
            assert_eq!(counted(&[(SUMMARY, end.clone())]), (3, 1, 1), "{end:?}");
        }
    }

    #[test]
    fn a_program_without_a_summary_has_failed_even_after_one_that_had_it() {
        let silent = ("running 3 tests\n", ended(Some(0), None, None, QUIET));
        assert_eq!(counted(std::slice::from_ref(&silent)), (0, 1, 0));
        let good = (SUMMARY, ended(Some(0), None, None, QUIET));
        assert_eq!(counted(&[good, silent]), (3, 1, 1));
    }
}
