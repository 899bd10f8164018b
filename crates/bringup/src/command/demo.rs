// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup demo`: boots a board and shows what each mechanism exchanged with the driver.

use std::time::Duration;

use agent_wire::{Message, Stream};
use anstyle::{AnsiColor, Style};
use hil::Observer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::print_json;
use crate::cli::Demo;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::{Progress, Step};
use crate::repository::Repository;
use crate::run::{self, Job};
use crate::setup::Setup;
use crate::{module, target_programs};

/// What the tour on the board prints.
#[derive(Debug, Deserialize)]
struct Tour {
    engine: String,
    rooms: Vec<Room>,
}

/// One mechanism.
#[derive(Debug, Serialize, Deserialize)]
struct Room {
    name: String,
    status: Status,
    /// What crossed the border, in order.
    evidence: Vec<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Passed,
    Failed,
    Ignored,
}

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    board: &'a str,
    kernel: &'a str,
    engine: &'a str,
    rooms: &'a [Room],
}

pub(super) fn run(options: &Demo, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    // A wrong name is refused before minutes are spent.
    let board = repository.board_or_default(options.board.as_deref())?;
    let setup = Setup::new(options.set_up.choices(), progress)?;
    let built = module::build(&setup, progress)?;
    let agent = target_programs::build_program(&setup, progress)?;
    let step = progress.step("boot", &format!("{} in QEMU", board.title))?;
    let mut listener = Listener::new(&step);
    let agent_on_board = "/init".to_owned();
    let job = Job {
        board: &board,
        module: &built.stripped,
        agent: &agent,
        programs: Vec::new(),
        commands: vec![
            [&agent_on_board, "tour", "--json"]
                .map(str::to_owned)
                .to_vec(),
        ],
        kernel_arguments: Vec::new(),
        keep_running: options.keep_running,
    };
    let running = run::boot(&setup, job, &step, &mut listener)?;
    let tour = listener.tour()?;
    let outcome = running.outcome.clone();
    let boot = seconds(outcome.boot);
    if options.keep_running {
        step.done(&format!("booted in {boot} and left on"));
        show(&board.title, &outcome.kernel, &tour);
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
            show(&board.title, &outcome.kernel, &tour);
        }
    }
    let all_passed = tour.rooms.iter().all(|room| room.status != Status::Failed);
    Ok(if all_passed && !tour.rooms.is_empty() {
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

/// The table.
fn show(board: &str, kernel: &str, tour: &Tour) {
    let bold = Style::new().bold();
    let dim = Style::new().dimmed();
    anstream::println!(
        "\n{bold}{board}{bold:#}, kernel {kernel}, engine {}\n",
        tour.engine
    );
    for room in &tour.rooms {
        let (mark, colour) = match room.status {
            Status::Passed => ("passed", AnsiColor::Green),
            Status::Failed => ("FAILED", AnsiColor::Red),
            Status::Ignored => ("ignored", AnsiColor::Yellow),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        anstream::println!("{bold}{:10}{bold:#} {style}{mark}{style:#}", room.name);
        for fact in &room.evidence {
            show_fact(fact, dim);
        }
        if let Some(error) = &room.error {
            anstream::println!("    {style}{error}{style:#}");
        }
    }
    let count = |status| {
        tour.rooms
            .iter()
            .filter(|room| room.status == status)
            .count()
    };
    anstream::println!(
        "\n{} rooms passed, {} failed, {} ignored",
        count(Status::Passed),
        count(Status::Failed),
        count(Status::Ignored)
    );
}

fn show_fact(fact: &Value, dim: Style) {
    let text = |key: &str| {
        fact.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    if let Some(what) = text("what") {
        anstream::println!("    {what}");
    }
    for (key, arrow) in [
        ("sent", "\u{2192}"),
        ("received", "\u{2190}"),
        ("verified", "\u{2713}"),
    ] {
        if let Some(value) = text(key) {
            anstream::println!("      {dim}{arrow}{dim:#} {value}");
        }
    }
}
