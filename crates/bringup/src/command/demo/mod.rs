// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup demo`: boots a board and shows what each mechanism exchanged with the driver.

mod report;
mod table;

use std::time::Duration;

use agent_wire::{Message, Stream};
use hil::Observer;

use super::print_json;
use crate::cli::Demo;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::{Progress, Step};
use crate::repository::Repository;
use crate::run::{self, Job};
use crate::setup::Setup;
use crate::{module, target_programs};
use report::{Document, Tour};

pub(super) fn run(options: &Demo, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    // A wrong name is refused before minutes are spent.
    let board = repository.board_or_default(options.board.as_deref())?;
    let setup = Setup::new(options.set_up.choices(), progress)?;
    let built = module::build(&setup, progress)?;
    let agent = target_programs::build_program(&setup, progress)?;
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
    let boot = seconds(outcome.boot);
    if options.keep_running {
        step.done(&format!("booted in {boot} and left on"));
        table::print(&board.title, &outcome.kernel, &tour);
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
    Ok(if tour.passed() {
        Exit::Ok
    } else {
        Exit::TestFailed
    })
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Collects what the tour prints, and keeps the console in the step's log.
struct Listener<'a> {
    step: &'a Step,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    end: Option<Message>,
}

impl<'a> Listener<'a> {
    fn new(step: &'a Step) -> Self {
        Self {
            step,
            stdout: Vec::new(),
            stderr: Vec::new(),
            end: None,
        }
    }

    fn tour(&self) -> Result<Tour> {
        let stderr = String::from_utf8_lossy(&self.stderr).into_owned();
        let ended = match &self.end {
            Some(Message::Ended {
                code,
                signal,
                error,
                ..
            }) => match (code, signal, error) {
                (Some(code), ..) => format!("exit code {code}"),
                (_, Some(signal), _) => format!("signal {signal}"),
                (.., error) => error.clone().unwrap_or_default(),
            },
            _ => "it did not end".to_owned(),
        };
        serde_json::from_slice(&self.stdout)
            .or_fail(Exit::TestFailed, || {
                format!("the tour printed no report ({ended})")
            })
            .map_err(|failure: Failure| {
                let log = match &self.end {
                    Some(Message::Ended { kernel_log, .. }) => kernel_log.as_str(),
                    _ => "",
                };
                let lines = stderr.lines().chain(log.lines());
                failure.evidence(lines.map(str::to_owned).collect::<Vec<_>>())
            })
    }
}

impl Observer for Listener<'_> {
    fn console(&mut self, line: &str) {
        self.step.line(line);
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Output {
                stream: Stream::Stdout,
                bytes,
                ..
            } => {
                self.stdout.extend_from_slice(bytes);
            }
            Message::Output {
                stream: Stream::Stderr,
                bytes,
                ..
            } => {
                self.stderr.extend_from_slice(bytes);
            }
            Message::Ended { .. } => self.end = Some(message.clone()),
            _ => {}
        }
    }
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
