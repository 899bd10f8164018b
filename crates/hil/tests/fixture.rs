// SPDX-License-Identifier: MIT OR Apache-2.0

//! A fixture keeps its bounds and says why, whatever its board does.
//!
//! The board here is a thread at the other end of two sockets: every misbehaviour of a board can
//! be played to the fixture.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::FATAL;
use agent_wire::connection::{Inbox, Incoming, Outbox, start};
use agent_wire::link::{Line, Side};
use agent_wire::message::{
    Answer, Call, Ended, Failure, ModuleRefused, PROTOCOL, Program, Reply, Request, Stream, decode,
    encode,
};
use board_spec::{Board, Boards};
use hil::wiring::{AgentLine, Duplex, Wiring};
use hil::{Console, Error, Fate, Fixture, Lost, State};

const BOOT: Duration = Duration::from_millis(1500);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The board's end of its lines.
struct Lines {
    console: UnixStream,
    agent: UnixStream,
}

impl Lines {
    fn print(&mut self, text: &str) {
        // Nobody reads it once the PC has given up.
        let _ = self.console.write_all(text.as_bytes());
    }

    /// An agent that says who it is and leaves the rest to `answer`, until that says no.
    fn serve(self, protocol: u32, answer: impl Fn(&Call, &dyn Fn(Reply)) -> bool) -> Self {
        let reader = self.agent.try_clone();
        let Ok(reader) = reader else { return self };
        let Ok(writer) = self.agent.try_clone() else {
            return self;
        };
        let (outbox, inbox): (Outbox, Inbox) = start(reader, writer, Line::STREAM, Side::Answerer);
        while let Some(incoming) = inbox.next() {
            let Incoming::Message(bytes) = incoming else {
                if matches!(incoming, Incoming::Closed(_)) {
                    break;
                }
                continue;
            };
            let Ok(call) = decode::<Call>(&bytes) else {
                break;
            };
            let number = call.number;
            let reply = |reply| {
                let bytes = encode(&Answer { number, reply }).unwrap_or_default();
                // The PC may have given up.
                let _ = outbox.send(bytes);
            };
            match &call.request {
                Request::Hello { .. } => reply(welcome(protocol, None)),
                _ if answer(&call, &reply) => {}
                _ => break,
            }
        }
        outbox.flush(Duration::from_secs(1));
        self
    }
}

fn welcome(protocol: u32, refused: Option<ModuleRefused>) -> Reply {
    Reply::Welcome {
        protocol,
        version: "0.0.7".into(),
        kernel: "7.3.4-test".into(),
        uptime_us: 5_000_000,
        boot: "boot".into(),
        compatible: vec!["test,board".into()],
        is_init: true,
        refused,
    }
}

type Behaviour = Arc<dyn Fn(u32, Lines) + Send + Sync>;

/// Wires to a board that behaves as told, at its first, second … boot.
struct Wires {
    behaviour: Behaviour,
    boots: u32,
    ours: Option<(UnixStream, UnixStream)>,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wires")
    }
}

fn duplex(stream: UnixStream) -> std::result::Result<Duplex, Error> {
    Ok(Duplex {
        reader: Box::new(stream.try_clone().map_err(Error::Channel)?),
        writer: Box::new(stream),
    })
}

impl Wiring for Wires {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn power_on(&mut self) -> std::result::Result<(), Error> {
        let (console, their_console) = UnixStream::pair().map_err(Error::Channel)?;
        let (agent, their_agent) = UnixStream::pair().map_err(Error::Channel)?;
        self.ours = Some((console, agent));
        self.boots += 1;
        self.note("on");
        let (behaviour, boot) = (self.behaviour.clone(), self.boots);
        let lines = Lines {
            console: their_console,
            agent: their_agent,
        };
        thread::spawn(move || behaviour(boot, lines));
        Ok(())
    }

    fn power_off(&mut self) -> std::result::Result<(), Error> {
        if let Some((console, agent)) = self.ours.take() {
            // As when a cable is pulled: whoever has it open learns that it has ended.
            let _ = console.shutdown(std::net::Shutdown::Both);
            let _ = agent.shutdown(std::net::Shutdown::Both);
            self.note("off");
        }
        Ok(())
    }

    fn console(&mut self) -> std::result::Result<Option<Duplex>, Error> {
        let ours = self.ours.as_ref().ok_or(Error::Unconnected)?;
        duplex(ours.0.try_clone().map_err(Error::Channel)?).map(Some)
    }

    fn agent(&mut self) -> std::result::Result<AgentLine, Error> {
        let ours = self.ours.as_ref().ok_or(Error::Unconnected)?;
        let agent = duplex(ours.1.try_clone().map_err(Error::Channel)?)?;
        Ok(AgentLine::Own(agent, Line::STREAM))
    }
}

impl Wires {
    fn note(&self, what: &'static str) {
        if let Ok(mut log) = self.log.lock() {
            log.push(what);
        }
    }
}

struct Played {
    fixture: Fixture,
    log: Arc<Mutex<Vec<&'static str>>>,
}

fn board() -> Result<Board> {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
    let boards = Boards::find(&boards)?;
    Ok(boards.board(boards.default_name())?)
}

fn play(behaviour: impl Fn(u32, Lines) + Send + Sync + 'static) -> Result<Played> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let wires = Wires {
        behaviour: Arc::new(behaviour),
        boots: 0,
        ours: None,
        log: log.clone(),
    };
    let console = Console::new(Fate::default(), None);
    let fixture = Fixture::new(board()?, Box::new(wires), BOOT, console);
    Ok(Played { fixture, log })
}

/// A board whose agent answers as `answer` does.
fn answering(
    answer: impl Fn(&Call, &dyn Fn(Reply)) -> bool + Send + Sync + 'static,
) -> Result<Played> {
    play(move |_, lines| drop(lines.serve(PROTOCOL, &answer)))
}

fn lost(error: &Error) -> &Lost {
    match error {
        Error::Lost { lost, .. } => lost,
        other => panic!("not lost: {other}"),
    }
}

#[test]
fn a_board_is_brought_to_a_state_from_wherever_it_is() {
    let mut played = answering(|call, reply| {
        reply(Reply::Done);
        call.request != Request::PowerOff
    })
    .unwrap();
    let fixture = &mut played.fixture;
    assert_eq!(fixture.state(), State::Off);
    fixture.reach(State::Booting).unwrap();
    assert_eq!(fixture.state(), State::Booting);
    let about = fixture.agent().unwrap().about().clone();
    assert_eq!(fixture.state(), State::Ready);
    assert_eq!(about.kernel, "7.3.4-test");
    assert!(about.started < Instant::now());
    fixture.reach(State::Ready).unwrap();
    fixture.reach(State::Off).unwrap();
    assert_eq!(fixture.state(), State::Off);
    fixture.reach(State::Off).unwrap();
    fixture.reach(State::Ready).unwrap();
    let boots: Vec<_> = fixture
        .boots()
        .iter()
        .map(|b| b.duration.is_some())
        .collect();
    assert_eq!(boots, [true, true]);
    assert_eq!(*played.log.lock().unwrap(), ["on", "off", "on"]);
}

#[test]
fn a_dropped_fixture_is_off() {
    let mut played = answering(|_, _| true).unwrap();
    played.fixture.reach(State::Ready).unwrap();
    drop(played.fixture);
    assert_eq!(*played.log.lock().unwrap(), ["on", "off"]);
}

#[test]
fn a_board_that_says_nothing_is_given_up_in_time_and_switched_off() {
    let mut played = play(|_, mut lines| {
        lines.print("[    0.000000] Booting Linux\r\nU-Boot stuck");
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let begun = Instant::now();
    let error = played.fixture.agent().unwrap_err();
    assert!(matches!(error, Error::BootTimeout { .. }), "{error}");
    assert!(error.is_timeout());
    assert_eq!(
        error.evidence(),
        ["[    0.000000] Booting Linux", "U-Boot stuck"]
    );
    assert!((BOOT..BOOT * 2).contains(&begun.elapsed()));
    assert_eq!(played.fixture.state(), State::Off);
}

#[test]
fn a_panic_during_boot_is_told_at_once() {
    let mut played = play(|_, mut lines| {
        lines.print("[ 1.0] Kernel panic - not syncing: VFS: no root\r\n[ 1.1] the end\n");
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let begun = Instant::now();
    let error = played.fixture.agent().unwrap_err();
    let line = "Kernel panic - not syncing: VFS: no root".to_owned();
    assert_eq!(*lost(&error), Lost::Panic { line });
    assert!(!error.evidence().is_empty());
    assert!(begun.elapsed() < BOOT);
}

#[test]
fn an_agent_that_gives_up_is_told_from_a_panic() {
    let mut played = play(|_, mut lines| {
        lines.print(&format!("{FATAL} no port \"ttyX\"\n"));
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let error = played.fixture.agent().unwrap_err();
    let line = "no port \"ttyX\"".to_owned();
    assert_eq!(*lost(&error), Lost::GaveUp { line });
}

#[test]
fn a_module_that_the_kernel_refuses_is_named_with_the_kernels_log() {
    let mut played = play(|_, lines| {
        let refused = ModuleRefused {
            module: "/lib/x.ko".into(),
            error: "ENOEXEC".into(),
            kernel_log: vec![agent_wire::Record {
                sequence: 1,
                time_us: 1_500_000,
                level: 3,
                text: "x: disagrees about version".into(),
            }],
        };
        let Ok(reader) = lines.agent.try_clone() else {
            return;
        };
        let (outbox, inbox) = start(reader, lines.agent, Line::STREAM, Side::Answerer);
        while let Some(incoming) = inbox.next() {
            if matches!(incoming, Incoming::Message(_)) {
                let reply = welcome(PROTOCOL, Some(refused.clone()));
                let bytes = encode(&Answer { number: 1, reply }).unwrap_or_default();
                let _ = outbox.send(bytes);
            }
        }
    })
    .unwrap();
    let error = played.fixture.agent().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the kernel refused module /lib/x.ko: ENOEXEC"
    );
    assert_eq!(
        error.evidence(),
        ["[    1.500000] x: disagrees about version"]
    );
}

#[test]
fn an_agent_of_another_version_is_refused_with_both_versions() {
    let mut played = play(|_, lines| drop(lines.serve(PROTOCOL + 1, |_, _| true))).unwrap();
    let error = played.fixture.agent().unwrap_err();
    assert!(matches!(error, Error::OtherVersion { .. }), "{error}");
    assert!(error.to_string().contains("0.0.7"), "{error}");
}

#[test]
fn a_panic_while_a_program_runs_ends_the_wait_and_a_ready_board_is_booted_anew() {
    let mut played = play(|boot, lines| {
        let mut lines = lines.serve(PROTOCOL, |call, reply| {
            if boot > 1 {
                reply(Reply::Pong);
                return true;
            }
            reply(Reply::Started { pid: 7 });
            let stream = Stream::Stdout;
            let bytes = b"before".to_vec();
            reply(Reply::Output { stream, bytes });
            !matches!(call.request, Request::Run(_))
        });
        // The line to the agent ends first: the panic explains that.
        drop(lines.agent.shutdown(std::net::Shutdown::Both));
        thread::sleep(Duration::from_millis(100));
        lines.print("[ 9.0] Kernel panic - not syncing: Oops\n");
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    let mut heard = Vec::new();
    let program = Program::default();
    let error = agent.run(program, |_, bytes| heard.extend(bytes.to_vec()));
    let line = "Kernel panic - not syncing: Oops".to_owned();
    assert_eq!(*lost(&error.unwrap_err()), Lost::Panic { line });
    assert_eq!(heard, b"before");
    assert!(agent.ping().is_err(), "what is lost stays lost");
    assert_eq!(played.fixture.state(), State::Booting);
    played.fixture.agent().unwrap().ping().unwrap();
    assert_eq!(*played.log.lock().unwrap(), ["on", "off", "on"]);
}

#[test]
fn a_board_that_starts_anew_by_itself_is_noticed() {
    let mut played = play(|_, lines| {
        let lines = lines.serve(PROTOCOL, |_, _| false);
        drop(lines.serve(PROTOCOL, |_, _| true));
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    let error = agent.ping().unwrap_err();
    assert_eq!(*lost(&error), Lost::Restarted);
}

#[test]
fn power_that_is_cut_ends_every_wait() {
    let mut played = answering(|_, _| true).unwrap();
    let agent = played.fixture.agent().unwrap();
    let waits = thread::spawn(move || agent.ping());
    thread::sleep(Duration::from_millis(100));
    played.fixture.cut_power().unwrap();
    let error = waits.join().unwrap().unwrap_err();
    assert_eq!(*lost(&error), Lost::SwitchedOff);
}

#[test]
fn what_the_agent_cannot_do_is_an_error_with_its_reason() {
    let mut played = answering(|_, reply| {
        reply(Reply::Failed(Failure {
            attempt: "cannot load x.ko".into(),
            reason: "ENOEXEC".into(),
            errno: Some(8),
        }));
        true
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    let error = agent.load_module("/x.ko", "").unwrap_err();
    assert_eq!(error.to_string(), "cannot load x.ko: ENOEXEC");
}

#[test]
fn an_answer_to_something_else_is_refused() {
    let mut played = answering(|_, reply| {
        reply(Reply::Ended(Ended::default()));
        true
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    assert!(matches!(
        agent.ping().unwrap_err(),
        Error::OutOfOrder { .. }
    ));
}

#[test]
fn many_ask_at_the_same_time_and_each_gets_his_own_answer() {
    let mut played = answering(|call, reply| {
        let Request::KernelLog { from } = call.request else {
            return false;
        };
        reply(Reply::KernelLog {
            records: Vec::new(),
            next: from,
            lost: 0,
            taint: 0,
            uptime_us: 0,
        });
        true
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let agent = agent.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    let from = thread * 1000 + number;
                    assert_eq!(agent.kernel_log(from).unwrap().next, from);
                }
            });
        }
    });
}

#[test]
fn the_console_is_logged_with_both_clocks() {
    let mut played = play(|_, mut lines| {
        lines.print("[    1.250000] hello\n");
        drop(lines.serve(PROTOCOL, |_, _| true));
    })
    .unwrap();
    played.fixture.agent().unwrap();
    let lines = played.fixture.console().since(0);
    assert_eq!(lines[0].text, "[    1.250000] hello");
    assert_eq!(lines[0].target, Some(Duration::from_millis(1250)));
    assert!(lines[0].host.elapsed().unwrap() < Duration::from_secs(60));
}
