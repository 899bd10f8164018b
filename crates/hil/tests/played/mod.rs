// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board that misbehaves as told: a thread at the other end of two sockets.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use agent_wire::connection::{Inbox, Incoming, Outbox, start};
use agent_wire::link::{Line, Side};
use agent_wire::message::{Answer, Call, ModuleRefused, Reply, Request, decode, encode};
use board_spec::{Board, Boards};
use hil::wiring::{AgentLine, Duplex, Wiring};
use hil::{Console, Error, Fate, Fixture};

/// How long it may take to boot.
pub(crate) const BOOT: Duration = Duration::from_millis(1500);

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The board's end of its lines.
pub(crate) struct Lines {
    #[allow(dead_code, reason = "not every program that shares this needs it")]
    pub(crate) console: UnixStream,
    pub(crate) agent: UnixStream,
}

impl Lines {
    /// Prints on the console.
    #[allow(dead_code, reason = "not every program that shares this needs it")]
    pub(crate) fn print(&mut self, text: &str) {
        // Nobody reads it once the PC has given up.
        let _ = self.console.write_all(text.as_bytes());
    }

    /// An agent that says who it is and leaves the rest to `answer`, until that says no.
    pub(crate) fn serve(
        self,
        protocol: u32,
        answer: impl Fn(&Call, &dyn Fn(Reply)) -> bool,
    ) -> Self {
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

pub(crate) fn welcome(protocol: u32, refused: Option<ModuleRefused>) -> Reply {
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

    fn power_on(&mut self, _: &Fate) -> std::result::Result<(), Error> {
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

/// A board, and the log of its power.
pub(crate) struct Played {
    pub(crate) fixture: Fixture,
    #[allow(dead_code, reason = "not every program that shares this needs it")]
    pub(crate) log: Arc<Mutex<Vec<&'static str>>>,
}

fn board() -> Result<Board> {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
    let boards = Boards::find(&boards)?;
    Ok(boards.board(boards.default_name())?)
}

/// A board that does this at its first, second … boot.
pub(crate) fn play(behaviour: impl Fn(u32, Lines) + Send + Sync + 'static) -> Result<Played> {
    play_within(BOOT, behaviour)
}

/// The same with more or less time for a boot.
pub(crate) fn play_within(
    limit: Duration,
    behaviour: impl Fn(u32, Lines) + Send + Sync + 'static,
) -> Result<Played> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let wires = Wires {
        behaviour: Arc::new(behaviour),
        boots: 0,
        ours: None,
        log: log.clone(),
    };
    let console = Console::new(Fate::default(), None);
    let fixture = Fixture::new(board()?, Box::new(wires), limit, console);
    Ok(Played { fixture, log })
}

/// A board whose agent answers as `answer` does.
#[allow(dead_code, reason = "not every program that shares this needs it")]
pub(crate) fn answering(
    answer: impl Fn(&Call, &dyn Fn(Reply)) -> bool + Send + Sync + 'static,
) -> Result<Played> {
    play(move |_, lines| drop(lines.serve(agent_wire::message::PROTOCOL, &answer)))
}
