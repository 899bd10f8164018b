// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench check`: whether what `bench.toml` says is there.

use anstyle::{AnsiColor, Style};
use hil::description::{AgentPath, BenchDescription, Labgrid, Port};
use hil::{Bench, Described};
use serde::Serialize;

use super::super::{print_json, print_line};
use crate::benches::{self, Chosen};
use crate::cli::BenchCheck;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::host;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::warm::{self, Ready};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    bench: String,
    what: String,
    ok: bool,
    /// What was found, or what is wrong and how to mend it.
    detail: String,
}

impl Finding {
    fn new(bench: &Chosen, what: &str, result: std::result::Result<String, String>) -> Self {
        Self {
            bench: bench.name.clone(),
            what: what.to_owned(),
            ok: result.is_ok(),
            detail: result.unwrap_or_else(|wrong| wrong),
        }
    }
}

pub(super) fn run(options: &BenchCheck, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let mut findings = Vec::new();
    for chosen in chosen(&repository, options.bench.as_deref())? {
        if let Some(description) = &chosen.description {
            findings.extend(look(&chosen, description));
        }
        if options.boot {
            findings.push(boot(&chosen, options, progress));
        }
    }
    if options.json.json {
        print_json(&findings)?;
    } else {
        for finding in &findings {
            show(finding)?;
        }
    }
    Ok(verdict(&findings))
}

fn verdict(findings: &[Finding]) -> Exit {
    if findings.iter().all(|finding| finding.ok) {
        Exit::Ok
    } else {
        Exit::Infrastructure
    }
}

fn chosen(repository: &Repository, name: Option<&str>) -> Result<Vec<Chosen>> {
    if let Some(name) = name {
        return benches::described(repository, name).map(|chosen| vec![chosen]);
    }
    let Some(all) = benches::all()? else {
        return Err(
            Failure::new(Exit::Refused, "there is no bench.toml to check")
                .help("emulated boards need none; README says what stands in it"),
        );
    };
    let named = all.all().map(|(name, _)| name);
    let chosen: Vec<_> = named
        .map(|name| benches::described(repository, name))
        .collect::<Result<_>>()?;
    if chosen.is_empty() {
        let what = format!("{} describes no bench to check", all.path().display());
        return Err(Failure::new(Exit::Refused, what)
            .help("a table [bench.NAME] would be one; README says what stands in it"));
    }
    Ok(chosen)
}

/// What can be looked at while the board stays as it is.
fn look(chosen: &Chosen, description: &BenchDescription) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(labgrid) = &description.labgrid {
        findings.push(Finding::new(chosen, "labgrid", place(labgrid)));
    }
    if let Some(power) = &description.power {
        for (what, words) in [("power.on", &power.on), ("power.off", &power.off)] {
            findings.push(Finding::new(chosen, what, program(words)));
        }
    } else if description.labgrid.is_none() {
        let by_hand = "none: a board that hangs is switched off by hand".to_owned();
        findings.push(Finding::new(chosen, "power", Ok(by_hand)));
    }
    if let Some(console) = &description.console {
        findings.push(Finding::new(chosen, "console", port(console)));
    }
    match &description.agent {
        // Where a resource is, labgrid tells whoever has the place.
        AgentPath::Console | AgentPath::Resource(_) => {}
        AgentPath::Port(own) => {
            let found = match port(own) {
                // A port that the board itself brings is not there before it has booted. A board that
                // nobody switches has booted.
                Err(wrong) if can_be_off(description) && is_missing(own) => {
                    Ok(format!("{wrong} (it may come with the board)"))
                }
                found => found,
            };
            findings.push(Finding::new(chosen, "agent", found));
        }
        AgentPath::Ssh(settings) => {
            let found = program(&settings.program).map(|words| format!("{words} to {settings}"));
            findings.push(Finding::new(chosen, "agent", found));
        }
    }
    if let Some(storage) = &description.storage {
        let steps = [
            ("storage.to_pc", &storage.to_pc),
            ("storage.write", &storage.write),
            ("storage.to_board", &storage.to_board),
        ];
        for (what, words) in steps.into_iter().filter(|(_, words)| !words.is_empty()) {
            findings.push(Finding::new(chosen, what, program(words)));
        }
    }
    for (name, commands) in &description.stimulus {
        for (what, words) in commands.all() {
            let what = format!("{name}.{what}");
            findings.push(Finding::new(chosen, &what, program(words)));
        }
    }
    findings
}

/// Whether the bench switches its board, which then need not be on.
fn can_be_off(description: &BenchDescription) -> bool {
    description.power.is_some() || description.labgrid.is_some()
}

/// Whether a port is not there at all, which is another thing than one that may not be opened.
fn is_missing(port: &Port) -> bool {
    matches!(port, Port::Serial { serial, .. } if !serial.exists())
}

fn program(words: &[String]) -> std::result::Result<String, String> {
    let program = words.first().map_or("", String::as_str);
    if program.contains('/') {
        return if std::path::Path::new(program).is_file() {
            Ok(words.join(" "))
        } else {
            Err(format!("there is no program {program}"))
        };
    }
    if host::has_program(program) {
        Ok(words.join(" "))
    } else {
        Err(format!("there is no program {program} in PATH; install it"))
    }
}

/// Asks labgrid who has a place, which changes nothing.
fn place(labgrid: &Labgrid) -> std::result::Result<String, String> {
    let client = labgrid.client.display().to_string();
    program(&[client])?;
    Described::ask_labgrid(labgrid).map_err(|error| error.to_string())
}

fn port(port: &Port) -> std::result::Result<String, String> {
    match port {
        Port::Socket { socket } => Ok(socket.clone()),
        Port::Serial { serial, .. } => {
            let opened = std::fs::File::options().read(true).write(true).open(serial);
            match opened.map_err(|error| error.kind()) {
                Ok(_) => Ok(serial.display().to_string()),
                Err(std::io::ErrorKind::NotFound) => Err(format!(
                    "there is no {}; is the adapter plugged in? `ls /dev/serial/by-id` shows those \
                     that are",
                    serial.display()
                )),
                Err(std::io::ErrorKind::PermissionDenied) => Err(format!(
                    "{} may not be opened; `sudo usermod --append --groups dialout $USER`, and \
                     log in again",
                    serial.display()
                )),
                Err(other) => Err(format!("cannot open {}: {other}", serial.display())),
            }
        }
    }
}

/// Switches the board off and on, and calls its agent.
fn boot(chosen: &Chosen, options: &BenchCheck, progress: &Progress) -> Finding {
    let booted = warm::hold(chosen, Vec::new(), options.set_up.choices(), progress);
    booted_as(chosen, booted.map(|Ready { bench }| bench))
}

/// Whether what was booted is the board, and answers.
fn booted_as(chosen: &Chosen, booted: Result<Bench>) -> Finding {
    let answered = booted.and_then(|mut bench| {
        let said = answer(chosen, &mut bench).map_err(|error| warm::trouble(chosen, error));
        bench
            .release(false)
            .map_err(|error| warm::trouble(chosen, error))?;
        said
    });
    let result = match answered {
        Ok(result) => result,
        Err(failure) => Err(failure.summary()),
    };
    Finding::new(chosen, "boot", result)
}

fn answer(
    chosen: &Chosen,
    bench: &mut Bench,
) -> std::result::Result<std::result::Result<String, String>, hil::Error> {
    let agent = bench.agent()?;
    let round_trip = agent.ping()?;
    let about = agent.about();
    let is_this_board = |name: &String| chosen.board.compatible.contains(name);
    if !about.compatible.iter().any(is_this_board) {
        return Ok(Err(format!(
            "the board that answered is no {}: its device tree says {}",
            chosen.board.title,
            about.compatible.join(", ")
        )));
    }
    Ok(Ok(format!(
        "kernel {}, agent {}, round trip {:.1} ms",
        about.kernel,
        about.version,
        round_trip.as_secs_f64() * 1000.0
    )))
}

fn show(finding: &Finding) -> Result<()> {
    let (mark, colour) = if finding.ok {
        ("ok", AnsiColor::Green)
    } else {
        ("WRONG", AnsiColor::Red)
    };
    let style = Style::new().fg_color(Some(colour.into()));
    print_line(&format!(
        "{:<16} {:<10} {style}{mark:<5}{style:#} {}",
        finding.bench, finding.what, finding.detail
    ))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use agent_wire::connection::{Incoming, start};
    use agent_wire::link::{Line, Side};
    use agent_wire::message::{Answer, Call, PROTOCOL, Reply, Request, decode, encode};
    use board_spec::Board;
    use hil::server::{self, Settings, socket};
    use hil::{Console, Fate, Fixture, bench};

    use super::*;

    /// An agent on a board that is compatible with this.
    fn play(stream: TcpStream, compatible: &str) {
        let reader = stream.try_clone().unwrap();
        let (outbox, inbox) = start(reader, stream, Line::SERIAL, Side::Answerer);
        while let Some(incoming) = inbox.next() {
            let Incoming::Message(bytes) = incoming else {
                if matches!(incoming, Incoming::Closed(_)) {
                    break;
                }
                continue;
            };
            let Call { number, request } = decode(&bytes).unwrap();
            let reply = match request {
                Request::Hello { .. } => Reply::Welcome {
                    protocol: PROTOCOL,
                    version: "0.0.7".into(),
                    kernel: "7.3.4-test".into(),
                    uptime_us: 5_000_000,
                    boot: "boot".into(),
                    compatible: vec![compatible.into()],
                    is_init: true,
                    refused: None,
                },
                Request::Ping => Reply::Pong,
                _ => Reply::Done,
            };
            // The PC may have gone.
            let _ = outbox.send(encode(&Answer { number, reply }).unwrap());
        }
    }

    /// What `--boot` finds when an agent on a board that is compatible with this answers.
    fn found(compatible: &'static str) -> Finding {
        let folder = tempfile::tempdir().unwrap();
        let board = "title = \"Some Board\"\ncompatible = [\"some,board\"]\n[kernel]\n\
                     [console]\ndevice = \"ttyS0\"\nbaud = 115200\n[agent]\nport = \"ttyS1\"\n";
        std::fs::write(folder.path().join("board.toml"), board).unwrap();
        let board = Board::read(folder.path()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let description = serde_json::json!({
            "board": board.name,
            "agent": {"socket": port.local_addr().unwrap().to_string()},
            "boot_seconds": 10,
        });
        let description: BenchDescription = serde_json::from_value(description).unwrap();
        thread::spawn(move || {
            port.incoming()
                .for_each(|line| play(line.unwrap(), compatible))
        });
        let chosen = Chosen {
            name: "desk".to_owned(),
            board: board.clone(),
            description: Some(description.clone()),
        };
        let console = Console::new(Fate::default(), None);
        let wiring = Described::new(&board, description, PathBuf::new(), console.clone());
        let limit = Duration::from_secs(10);
        let fixture = Fixture::new(board, Box::new(wiring), limit, console);
        let path = folder.path().join("bench.socket");
        let listener = socket::listen(&path).unwrap();
        let settings = Settings {
            name: "desk".to_owned(),
            key: String::new(),
            idle: limit,
        };
        let server =
            thread::spawn(move || server::serve(fixture, &listener, settings, Arc::default()));
        let held = Bench::hold(&path, "a test", &mut |_| {}).unwrap();
        let finding = booted_as(&chosen, Ok(held));
        bench::stop(&path).unwrap();
        server.join().unwrap().unwrap();
        finding
    }

    #[test]
    fn another_board_than_the_described_one_is_a_failure_of_the_bench() {
        let right = found("some,board");
        assert!(right.detail.contains("kernel 7.3.4-test"), "{right:?}");
        assert_eq!(verdict(&[right]), Exit::Ok);
        let wrong = found("other,board");
        let told = "the board that answered is no Some Board: its device tree says other,board";
        assert_eq!(wrong.detail, told);
        let others = Finding {
            ok: true,
            ..found("some,board")
        };
        assert_eq!(verdict(&[wrong, others]), Exit::Infrastructure);
    }
}
