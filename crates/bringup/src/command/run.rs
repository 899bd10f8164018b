// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup run`: runs a program of the PC on a board, as cargo's runner does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write as _};
use std::path::Path;
use std::time::Duration;

use agent_wire::message::{Ended, Program, Stream};
use hil::agent::{Event, Input, Process};
use hil::{Agent, Bench, TargetDescription, health};
use nix::errno::Errno;

use crate::benches::{self, Chosen};
use crate::cli::Run;
use crate::elf;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::target_environment;
use crate::warm;

/// How long is waited at once for what the program does.
const LOOK: Duration = Duration::from_secs(60);

/// What the variables begin with that go to the board: what cargo, its tests and nextest set.
/// Others, as `PATH` and `HOME`, are about this PC.
const PASSED: [&str; 6] = ["CARGO_", "RUST_", "NEXTEST", "BRINGUP_", "NO_COLOR", "TERM"];

/// What of these is about this PC all the same.
const KEPT: [&str; 4] = [
    Bench::VARIABLE,
    Bench::LOAN,
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
];

/// How a run ends: with an exit code of this program, or with the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunEnd {
    Exit(Exit),
    Code(u8),
}

pub(super) fn run(options: &Run, progress: &Progress) -> Result<RunEnd> {
    let repository = Repository::find()?;
    let (local, arguments) = match options.command.split_first() {
        Some((program, arguments)) => (Path::new(program), arguments),
        None => return Err(Failure::new(Exit::Refused, "no program is named")),
    };
    if !local.is_file() {
        let what = format!("there is no program {}", local.display());
        return Err(Failure::new(Exit::Refused, what));
    }
    elf::require_for_board(local)?;
    let (chosen, mut bench) = match std::env::var_os(Bench::VARIABLE) {
        Some(socket) => hold_served(Path::new(&socket), &repository, options, progress)?,
        None => {
            let chosen = benches::choose(&repository, &options.choice)?;
            let choices = options.set_up.choices();
            let ready = warm::hold(&chosen, vec![local.to_path_buf()], choices, progress)?;
            (chosen, ready.bench)
        }
    };
    let mut environment = environment(std::env::vars_os());
    // Whoever has made a bench ready knows more of it than its server does.
    let known = environment.get(TargetDescription::VARIABLE);
    let known = known.filter(|_| std::env::var_os(Bench::VARIABLE).is_some());
    let known = known.and_then(|json| target_environment::moved(json, hil::Place::Target));
    environment.extend(match known {
        Some(known) => known,
        None => target_environment::of(&repository, &chosen, hil::Place::Target)?,
    });
    let result = bench
        .agent()
        .and_then(|agent| run_on(&agent, local, arguments, environment, progress));
    let ran = match result {
        Ok(ran) => ran,
        // The board is well: it stays on for the next run.
        Err(error @ hil::Error::Refused(_)) => {
            let failure = refused(&chosen, local, error);
            let released = bench.release(true);
            return released
                .map_err(|error| warm::trouble(&chosen, error))
                .and(Err(failure));
        }
        Err(error) => {
            let error = bench.explain(error);
            return Err(warm::trouble(&chosen, error));
        }
    };
    let end = ran.verdict();
    bench
        .release(end != RunEnd::Code(0))
        .map_err(|error| warm::trouble(&chosen, error))?;
    if let Some(lost) = ran.lost {
        return Err(lost).or_environment(|| "cannot write what the program has written");
    }
    Ok(end)
}

/// Holds a board that somebody has made ready, without any set-up.
fn hold_served(
    socket: &Path,
    repository: &Repository,
    options: &Run,
    progress: &Progress,
) -> Result<(Chosen, Bench)> {
    let who = format!("pid {}, bringup run", std::process::id());
    let mut waiting = warm::waiting(progress);
    let loan = std::env::var(Bench::LOAN).ok();
    let held = match loan.and_then(|loan| loan.parse().ok()) {
        Some(loan) => Bench::borrow(socket, loan, &who, &mut waiting),
        None => Bench::hold(socket, &who, &mut waiting),
    };
    let unheld = || format!("cannot use the bench that {} names", Bench::VARIABLE);
    let bench = held.or_fail(Exit::Infrastructure, unheld)?;
    let about = bench.about().or_fail(Exit::Infrastructure, unheld)?;
    let chosen = benches::served(repository, &about, &options.choice)?;
    Ok((chosen, bench))
}

/// The board did not take the program.
fn refused(chosen: &Chosen, program: &Path, error: hil::Error) -> Failure {
    // What is not found is what would run it, a script's interpreter or a loader: execve(2).
    let is_not_found = matches!(&error, hil::Error::Refused(failure)
        if failure.errno == Some(Errno::ENOENT as i32));
    let failure = warm::trouble(chosen, error);
    if is_not_found {
        failure.help(what_it_needs(program))
    } else {
        failure
    }
}

/// What a board needs to run a program, and seems to lack.
fn what_it_needs(program: &Path) -> String {
    match elf::interpreter(program) {
        Some(interpreter) => format!(
            "the board has no {interpreter}, which the first line of {} names; an emulated board \
             has no shell and no interpreter of its own",
            program.display()
        ),
        None => {
            "is it static? A board has no libraries but those of its own system: build it with \
                 `-C target-feature=+crt-static`, or by `cargo bringup cargo`"
                .to_owned()
        }
    }
}

/// What came of a program.
struct Ran {
    ended: Ended,
    /// What the kernel has said meanwhile.
    log: Vec<agent_wire::Record>,
    /// How it is tainted since (`Documentation/admin-guide/tainted-kernels.rst`).
    taint: u64,
    /// Why some of its output is lost.
    lost: Option<std::io::Error>,
}

fn run_on(
    agent: &Agent,
    local: &Path,
    arguments: &[String],
    environment: BTreeMap<String, String>,
    progress: &Progress,
) -> std::result::Result<Ran, hil::Error> {
    let path = progress.install(agent, local)?;
    let before = agent.kernel_log(u64::MAX)?;
    let command = std::iter::once(path).chain(arguments.iter().cloned());
    let program = Program {
        command: command.collect(),
        environment,
        has_input: true,
        ..Program::default()
    };
    let process = agent.start(program)?;
    let (ended, lost) = attend(&process)?;
    let log = agent.kernel_log(before.next)?;
    Ok(Ran {
        ended,
        lost,
        taint: log.taint & !before.taint,
        log: log.records,
    })
}

/// Passes input and output on until the program has ended.
fn attend(process: &Process) -> std::result::Result<(Ended, Option<std::io::Error>), hil::Error> {
    let input = process.input();
    // The thread ends with this process: nothing else ends its read.
    std::thread::spawn(move || pass_on(std::io::stdin(), &input));
    let mut lost = None;
    loop {
        match process.next(LOOK)? {
            Some(Event::Output(Stream::Stdout, bytes)) => {
                let mut stdout = std::io::stdout().lock();
                let shown = stdout.write_all(&bytes).and_then(|()| stdout.flush());
                lost = lost.or(shown.err());
            }
            Some(Event::Output(Stream::Stderr, bytes)) => {
                lost = lost.or(std::io::stderr().write_all(&bytes).err());
            }
            Some(Event::Ended(ended)) => {
                // A screen that is gone shows nothing. Elsewhere output is not to be lost in silence.
                let lost = lost.filter(|error| error.kind() != ErrorKind::BrokenPipe);
                return Ok((ended, lost));
            }
            None => {}
        }
    }
}

/// Writes what is read to the program, and ends its input with it. A board that is lost is noticed
/// by whoever waits for the program.
fn pass_on(mut from: impl Read, to: &Input) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let sent = match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(length) => to.write(&buffer[..length]),
        };
        if sent.is_err() {
            return;
        }
    }
    let _ = to.end();
}

/// What of this PC's environment is not about this PC.
fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    let mut environment = target_environment::passed(variables, &PASSED);
    environment.retain(|name, _| !KEPT.contains(&name.as_str()));
    environment
}

impl Ran {
    /// What the end of the program means for this one. How a crash came about is said.
    fn verdict(&self) -> RunEnd {
        let tainted = health::unexpected_taint(self.taint);
        let complaints = !health::complaints(&self.log).is_empty() || tainted.is_some();
        if let Some(signal) = self.ended.signal {
            anstream::eprintln!("the program was ended on the board by signal {signal}");
        }
        if self.ended.signal.is_some() || complaints {
            for record in &self.log {
                anstream::eprintln!("    {record}");
            }
        }
        if let Some(tainted) = tainted {
            anstream::eprintln!("{tainted}");
        }
        match (self.ended.code, self.ended.signal) {
            (Some(0), _) if complaints => {
                anstream::eprintln!("the kernel complained while the program ran");
                RunEnd::Exit(Exit::TestFailed)
            }
            (Some(code), _) => RunEnd::Code(u8::try_from(code & 0xff).unwrap_or(1)),
            // As a shell says it.
            (_, Some(signal)) => RunEnd::Code(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
            (None, None) => {
                anstream::eprintln!(
                    "the program ended on the board, but the agent did not say how; the bench's \
                     console may: `cargo bringup console`"
                );
                RunEnd::Exit(Exit::Infrastructure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: Option<i32>, signal: Option<i32>) -> Ended {
        Ended {
            code,
            signal,
            ..Ended::default()
        }
    }

    fn ran(ended: Ended, log: &[agent_wire::Record]) -> Ran {
        Ran {
            ended,
            log: log.to_vec(),
            taint: 0,
            lost: None,
        }
    }

    fn record(text: &str) -> agent_wire::Record {
        agent_wire::Record {
            sequence: 0,
            time_us: 0,
            level: 4,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_script_needs_the_interpreter_that_it_names_and_a_program_perhaps_a_loader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let needs = |content: &str| {
            std::fs::write(&path, content).unwrap();
            what_it_needs(&path)
        };
        let script = needs("#! /usr/bin/env python3\nprint(1)\n");
        assert!(script.contains("no /usr/bin/env, "), "{script}");
        assert!(script.contains(&path.display().to_string()), "{script}");
        assert!(needs("\x7fELF").contains("is it static?"));
    }

    #[test]
    fn the_programs_end_is_this_ones_end() {
        assert_eq!(ran(ended(Some(0), None), &[]).verdict(), RunEnd::Code(0));
        assert_eq!(
            ran(ended(Some(101), None), &[]).verdict(),
            RunEnd::Code(101)
        );
        assert_eq!(ran(ended(None, Some(11)), &[]).verdict(), RunEnd::Code(139));
    }

    #[test]
    fn a_kernel_that_is_tainted_since_fails_a_program_that_succeeded() {
        let tainted = Ran {
            taint: 512,
            ..ran(ended(Some(0), None), &[])
        };
        assert_eq!(tainted.verdict(), RunEnd::Exit(Exit::TestFailed));
        // What loading the user's own module leaves.
        let loaded = Ran {
            taint: 1 << 12,
            ..ran(ended(Some(0), None), &[])
        };
        assert_eq!(loaded.verdict(), RunEnd::Code(0));
    }

    #[test]
    fn a_kernel_that_complains_fails_a_program_that_succeeded() {
        let log = [record("WARNING: CPU: 0 PID: 1 at mm/slub.c:1")];
        let failed = RunEnd::Exit(Exit::TestFailed);
        assert_eq!(ran(ended(Some(0), None), &log).verdict(), failed);
        assert_eq!(ran(ended(Some(3), None), &log).verdict(), RunEnd::Code(3));
    }

    #[test]
    fn what_is_about_this_pc_stays_here() {
        let variables = [
            "PATH",
            "HOME",
            "LD_LIBRARY_PATH",
            "RUST_BACKTRACE",
            "CARGO_PKG_NAME",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "BRINGUP_BENCH_SOCKET",
        ];
        let passed = environment(variables.map(|n| (n.into(), "x".into())).into_iter());
        let names: Vec<_> = passed.keys().map(String::as_str).collect();
        assert_eq!(names, ["CARGO_PKG_NAME", "RUST_BACKTRACE"]);
    }
}
