// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests that run on a board, in one boot.

use std::io::Write as _;
use std::time::Duration;

use agent_wire::Record;
use agent_wire::message::{Ended, Program, Stream};
use board_spec::Board;
use hil::{Agent, State, health};

use super::summary::Counts;
use crate::emulation::{self, Content};
use crate::failure::Result;
use crate::module;
use crate::progress::Progress;
use crate::setup::Setup;
use crate::target_programs::{Programs, TestBinary};

/// Memory errors in the driver are found where they happen: every slab object is checked, and
/// KFENCE guards as many allocations as it can.
const KERNEL_ARGUMENTS: [&str; 2] = ["slab_debug=FZPU", "kfence.sample_interval=1"];

/// No test binary takes anywhere near this long, on however loaded a PC.
const LIMIT: Duration = Duration::from_secs(300);

pub(super) fn run(
    setup: &Setup,
    board: &Board,
    programs: &Programs,
    progress: &Progress,
) -> Result<Counts> {
    let built = module::build(setup, progress)?;
    let Programs { agent, tests } = programs;
    let content = Content {
        board,
        module: &built.stripped,
        agent,
        programs: tests.iter().map(|test| test.path.clone()).collect(),
        kernel_arguments: KERNEL_ARGUMENTS.map(str::to_owned).to_vec(),
    };
    let step = progress.step("boot", &format!("{} in QEMU", board.title))?;
    let mut fixture = emulation::emulated(setup, &content, &step)?;
    let mut listener = Listener::new(board);
    let result = fixture.agent().and_then(|agent| {
        tests
            .iter()
            .try_for_each(|test| listener.run(&agent, test))?;
        agent.kernel_log(u64::MAX)
    });
    let log = result.map_err(|error| {
        emulation::failure(&mut fixture, error).help(format!(
            "all the board printed is in {}",
            step.log().display()
        ))
    })?;
    // The tests are over: what the board does now decides nothing.
    let _ = fixture.reach(State::Off);
    let mut counts = listener.counts;
    step.done(&format!("{} booted, tested, powered off", board.name));
    let taint = health::unexpected_taint(log.taint);
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
    board: &'a Board,
    counts: Counts,
    /// The line that has begun, of the program that runs now.
    line: Vec<u8>,
    /// Whether the program that runs now has printed its summary.
    summarised: bool,
}

impl<'a> Listener<'a> {
    fn new(board: &'a Board) -> Self {
        Self {
            board,
            counts: Counts::default(),
            line: Vec::new(),
            summarised: false,
        }
    }

    fn run(&mut self, agent: &Agent, test: &TestBinary) -> std::result::Result<(), hil::Error> {
        let path = agent.install(&test.path, &mut |_, _| {})?;
        let before = agent.kernel_log(u64::MAX)?.next;
        self.started(&test.name);
        let program = Program {
            // They are ignored on a PC; on the board that is what must run.
            command: [path.as_str(), "--include-ignored", "--test-threads=1"]
                .map(str::to_owned)
                .to_vec(),
            limit_ms: u64::try_from(LIMIT.as_millis()).ok(),
            ..Program::default()
        };
        let ended = agent.run(program, |stream, bytes| self.output(stream, bytes))?;
        let log = agent.kernel_log(before)?;
        self.ended(&test.name, &ended, &log.records);
        Ok(())
    }

    fn started(&mut self, name: &str) {
        self.summarised = false;
        self.line.clear();
        anstream::println!("\n     Running tests/{name}.rs on {}", self.board.name);
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout(bytes),
            Stream::Stderr => {
                // What cannot be shown is lost, not the test's result.
                let _ = std::io::stderr().write_all(bytes);
            }
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

    fn ended(&mut self, name: &str, ended: &Ended, kernel_log: &[Record]) {
        // One that was ended by a signal has no summary, and its tests are not counted.
        if !self.summarised || ended.code.is_none_or(|code| code != 0 && code != 101) {
            let how = match (ended.timed_out, ended.code, ended.signal) {
                (true, ..) => format!("killed after {} s", LIMIT.as_secs()),
                (_, _, Some(signal)) => format!("signal {signal}"),
                (_, code, _) => format!("exit code {}", code.unwrap_or(-1)),
            };
            anstream::println!("test {name} ended properly ... FAILED ({how})");
            self.counts = self.counts.plus(Counts::one(false));
        }
        if !health::complaints(kernel_log).is_empty() {
            anstream::println!("test the kernel kept quiet during {name} ... FAILED");
            for record in kernel_log {
                anstream::println!("    {record}");
            }
            self.counts = self.counts.plus(Counts::one(false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered \
                           out; finished in 0.02s\n";

    const QUIET: &str = "dmacopy0: software engine";

    #[derive(Clone, Debug)]
    struct End(Ended, Vec<Record>);

    fn ended(code: Option<i32>, signal: Option<i32>, text: &str) -> End {
        let ended = Ended {
            code,
            signal,
            ..Ended::default()
        };
        let record = Record {
            sequence: 0,
            time_us: 0,
            level: 4,
            text: text.to_owned(),
        };
        End(ended, vec![record])
    }

    /// What is counted when one program after the other prints this and ends so.
    fn counted(programs: &[(&str, End)]) -> (u64, u64, u64) {
        let boards = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let boards = board_spec::Boards::find(&boards).unwrap();
        let board = boards.board(boards.default_name()).unwrap();
        let mut listener = Listener::new(&board);
        for (stdout, End(ended, log)) in programs {
            listener.started("ioctl");
            // A line may come in two parts.
            for half in stdout.as_bytes().chunks(stdout.len() / 2 + 1) {
                listener.output(Stream::Stdout, half);
            }
            listener.ended("ioctl", ended, log);
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
        let good = (SUMMARY, ended(Some(0), None, QUIET));
        assert_eq!(counted(std::slice::from_ref(&good)), (3, 0, 1));
        assert_eq!(counted(&[good.clone(), good]), (6, 0, 2));
    }

    #[test]
    fn tests_that_failed_are_not_counted_twice() {
        let failed = SUMMARY.replace("ok. 3 passed; 0 failed", "FAILED. 2 passed; 1 failed");
        let end = ended(Some(101), None, QUIET);
        assert_eq!(counted(&[(&failed, end)]), (2, 1, 1));
    }

    #[test]
    fn a_complaint_of_the_kernel_fails_a_program_that_passed() {
        let end = ended(Some(0), None, "WARNING: CPU: 0 PID: 1 at mm/slub.c:1");
        assert_eq!(counted(&[(SUMMARY, end)]), (3, 1, 1));
    }

    #[test]
    fn a_program_that_does_not_end_properly_has_failed() {
        for end in [
            ended(None, Some(11), QUIET),
            ended(Some(1), None, QUIET),
            ended(None, None, QUIET),
        ] {
            assert_eq!(counted(&[(SUMMARY, end.clone())]), (3, 1, 1), "{end:?}");
        }
    }

    #[test]
    fn a_program_without_a_summary_has_failed_even_after_one_that_had_it() {
        let silent = ("running 3 tests\n", ended(Some(0), None, QUIET));
        assert_eq!(counted(std::slice::from_ref(&silent)), (0, 1, 0));
        let good = (SUMMARY, ended(Some(0), None, QUIET));
        assert_eq!(counted(&[good, silent]), (3, 1, 1));
    }
}
