// SPDX-License-Identifier: MIT OR Apache-2.0

//! A bench: a board that this process holds, while another process serves it.

mod connection;

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::link;

use self::connection::{answer, ask, connect, socket_error};
use crate::agent::Ends;
use crate::console::Line;
use crate::server::greeting::Wish;
use crate::server::{About, Answer, Hold, Request, Trouble, TroubleKind, receive, send, socket};
use crate::stimulus::{Action, Point};
use crate::{Agent, Console, Error, Fate, Level, State};

/// How long the server may take to hand out a line to the agent of a board that is ready.
const GREETING: Duration = Duration::from_secs(20);

/// How often a line is looked at that is expected to change.
const LOOK: Duration = Duration::from_millis(10);

/// A board that nobody else uses as long as this exists. When it is dropped without having been
/// [released](Self::release), the board is switched off: nobody knows in what state it is.
#[derive(Debug)]
pub struct Bench {
    path: PathBuf,
    control: UnixStream,
    hold: Hold,
    agent: Option<Agent>,
}

impl Bench {
    /// The environment variable that names the socket of a test's bench.
    pub const VARIABLE: &str = "BRINGUP_BENCH_SOCKET";

    /// The environment variable that lets a test use its bench within the hold of who runs it, see
    /// [`Bench::loan`].
    pub const LOAN: &str = "BRINGUP_BENCH_LOAN";

    /// Holds the board that is served at a socket. `waiting` is told who holds it as long as somebody
    /// else does; `who` is what others are told of this process.
    ///
    /// # Errors
    ///
    /// When nobody serves there.
    pub fn hold(path: &Path, who: &str, waiting: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let who = who.to_owned();
        Self::open(path, &Request::Hold { who }, waiting)
    }

    /// Uses a board within the hold of another, who has said what the [loan](Self::loan) is, and who
    /// goes on to hold it. One who has borrowed it before is waited for.
    ///
    /// # Errors
    ///
    /// When nobody serves there, or the board is not held any more.
    pub fn borrow(
        path: &Path,
        loan: u64,
        who: &str,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<Self, Error> {
        let (token, who) = (loan, who.to_owned());
        Self::open(path, &Request::Borrow { token, who }, waiting)
    }

    fn open(path: &Path, request: &Request, waiting: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let control = connect(path)?;
        send(&control, request).map_err(|source| socket_error(path, source))?;
        loop {
            match answer(path, &control)? {
                Answer::Held(hold) => {
                    return Ok(Self {
                        path: path.to_owned(),
                        control,
                        hold,
                        agent: None,
                    });
                }
                Answer::Waiting { holder } => waiting(&holder),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Holds the board whose server's socket the environment variable [`Bench::VARIABLE`] names, or
    /// borrows it if there is [`Bench::LOAN`] too, as there is for a test that the kit runs.
    ///
    /// # Errors
    ///
    /// When there is no such variable, or nobody serves there.
    pub fn from_environment() -> Result<Self, Error> {
        let path = std::env::var_os(Self::VARIABLE).ok_or(Error::NoBench)?;
        let path = Path::new(&path);
        let who = format!("pid {}, a test", std::process::id());
        let loan = std::env::var(Self::LOAN).ok();
        match loan.and_then(|loan| loan.parse().ok()) {
            Some(loan) => Self::borrow(path, loan, &who, &mut |_| {}),
            None => Self::hold(path, &who, &mut |_| {}),
        }
    }

    /// What others need to [borrow](Self::borrow) the board, one after the other, as long as this
    /// exists. One who does not give it back leaves it switched off.
    pub fn loan(&self) -> u64 {
        self.hold.token
    }

    /// Waits until who has borrowed the board has gone, and it has been restored or switched off.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn settle(&mut self) -> Result<(), Error> {
        // He may have booted it.
        self.agent = None;
        let mut answer = self.ask(&Request::Settle)?;
        while let Answer::Waiting { .. } = answer {
            answer = self.next()?;
        }
        match answer {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// What it is.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn about(&self) -> Result<About, Error> {
        match self.ask(&Request::About)? {
            Answer::About(about) => Ok(about),
            other => Err(unexpected(&other)),
        }
    }

    /// How far the board has come.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn state(&self) -> Result<State, Error> {
        match self.ask(&Request::State)? {
            Answer::State(state) => Ok(state),
            other => Err(unexpected(&other)),
        }
    }

    /// Brings the board so far, from wherever it is.
    ///
    /// # Errors
    ///
    /// When it cannot be brought there. It is off then.
    pub fn reach(&mut self, state: State) -> Result<(), Error> {
        if state != State::Ready {
            self.agent = None;
        }
        self.do_it(&Request::Reach(state))
    }

    /// Takes the power from the board, whatever it is doing.
    ///
    /// # Errors
    ///
    /// When that cannot be done.
    pub fn cut_power(&mut self) -> Result<(), Error> {
        self.agent = None;
        self.do_it(&Request::CutPower)
    }

    /// The agent of a board that is ready, which it is made if it is not.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub fn agent(&mut self) -> Result<Agent, Error> {
        if let Some(agent) = &self.agent {
            if agent.is_there() {
                return Ok(agent.clone());
            }
        }
        let agent = self.call_agent()?;
        self.agent = Some(agent.clone());
        Ok(agent)
    }

    fn call_agent(&self) -> Result<Agent, Error> {
        let line = connect(&self.path)?;
        let hold = self.hold;
        let failed = |source| self.socket(source);
        send(&line, &Request::Agent { hold }).map_err(failed)?;
        // The board may have to boot.
        match receive(&line).map_err(failed)? {
            Some(Answer::Done) => {}
            Some(Answer::Failed(trouble)) => return Err(Error::Trouble(trouble)),
            Some(other) => return Err(unexpected(&other)),
            None => return Err(self.socket(io::ErrorKind::UnexpectedEof.into())),
        }
        let (reader, writer) = socket::split(line).map_err(failed)?;
        let ends = Ends {
            reader,
            writer,
            line: link::Line::STREAM,
            is_console: false,
        };
        let fate = Fate::default();
        Agent::call(ends, Console::new(fate.clone(), None), fate, GREETING)
    }

    /// Says more of why a board was lost: what the server knows.
    pub fn explain(&self, error: Error) -> Error {
        if !matches!(error, Error::Lost { .. } | Error::Unconnected) {
            return error;
        }
        match self.ask(&Request::Explain) {
            Ok(Answer::Failed(trouble)) => Error::Trouble(trouble),
            _ => error,
        }
    }

    /// The number that the console's next line will have.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn mark(&self) -> Result<u64, Error> {
        match self.ask(&Request::Mark)? {
            Answer::Mark(mark) => Ok(mark),
            other => Err(unexpected(&other)),
        }
    }

    /// The console's lines from a number on, and the one that has begun.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn console(&self, since: u64) -> Result<Vec<Line>, Error> {
        let line = |line: crate::server::Line| Line {
            host: line.host,
            target: line.target,
            text: line.text,
        };
        match self.ask(&Request::Console { since })? {
            Answer::Lines(lines) => Ok(lines.into_iter().map(line).collect()),
            other => Err(unexpected(&other)),
        }
    }

    /// Types something at the console.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn type_text(&self, bytes: &[u8]) -> Result<(), Error> {
        self.do_it(&Request::Type(bytes.to_vec()))
    }

    /// Switches the board off and writes an image to the card or disk that it boots from.
    ///
    /// # Errors
    ///
    /// When there is no such image, the bench has no storage that it could write, or it cannot be
    /// written. The board does not get one that is half-written.
    pub fn write_storage(&mut self, image: &Path) -> Result<(), Error> {
        // The server is in another folder.
        let image = image.canonicalize().map_err(|source| Error::Storage {
            image: image.to_owned(),
            source,
        })?;
        self.agent = None;
        self.do_it(&Request::WriteStorage { image })
    }

    /// What can be done to the board while it runs, by name.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn points(&self) -> Result<Vec<Point>, Error> {
        match self.ask(&Request::Points)? {
            Answer::Points(points) => Ok(points),
            other => Err(unexpected(&other)),
        }
    }

    /// Drives a line from outside.
    ///
    /// # Errors
    ///
    /// When the bench has no such line, or the board is off.
    pub fn set_level(&self, line: &str, level: Level) -> Result<(), Error> {
        self.act(line, Action::Set(level)).map(drop)
    }

    /// The level that a line has, whoever drives it.
    ///
    /// # Errors
    ///
    /// When the bench has no such line, or the board is off.
    pub fn level(&self, line: &str) -> Result<Level, Error> {
        self.act(line, Action::Look)?
            .ok_or_else(|| unexpected(&Answer::Done))
    }

    /// Looks at a line until it has a level.
    ///
    /// # Errors
    ///
    /// When it does not have it in time, the bench has no such line, or the board is off.
    pub fn expect_level(&self, line: &str, level: Level, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        while self.level(line)? != level {
            if Instant::now() >= deadline {
                let name = line.to_owned();
                return Err(Error::Level { name, level, limit });
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Has a sensor measure something, in the sensor's own unit.
    ///
    /// # Errors
    ///
    /// When the bench has no such sensor, it refuses the value, or the board is off.
    pub fn set_sensor(&self, sensor: &str, value: i64) -> Result<(), Error> {
        self.act(sensor, Action::Measure(value)).map(drop)
    }

    /// Presses a button and lets it go.
    ///
    /// # Errors
    ///
    /// When the bench has no such button, or the board is off.
    pub fn press(&self, button: &str) -> Result<(), Error> {
        self.act(button, Action::Press).map(drop)
    }

    /// Asks the board to let go of a peripheral, and pulls it out.
    ///
    /// # Errors
    ///
    /// When the bench has no such peripheral, the board does not let go, or is off.
    pub fn unplug(&self, peripheral: &str) -> Result<(), Error> {
        self.act(peripheral, Action::Unplug).map(drop)
    }

    /// Puts in a peripheral that was pulled out.
    ///
    /// # Errors
    ///
    /// When the bench has no such peripheral, it is in, or the board is off.
    pub fn plug(&self, peripheral: &str) -> Result<(), Error> {
        self.act(peripheral, Action::Plug).map(drop)
    }

    /// Has a peripheral do something, in a language of its own, and returns its answer in that. What
    /// it was told is taken back when the bench is given back.
    ///
    /// # Errors
    ///
    /// When the bench has no such peripheral, or it does not understand.
    pub fn instruct(&self, peripheral: &str, instruction: &str) -> Result<String, Error> {
        let request = Request::Instruct {
            name: peripheral.to_owned(),
            instruction: instruction.to_owned(),
        };
        match self.ask(&request)? {
            Answer::Said(answer) => Ok(answer),
            other => Err(unexpected(&other)),
        }
    }

    fn act(&self, name: &str, action: Action) -> Result<Option<Level>, Error> {
        let name = name.to_owned();
        match self.ask(&Request::Act { name, action })? {
            Answer::Done => Ok(None),
            Answer::Level(level) => Ok(Some(level)),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives the board back for the next user, made as it was when its agent had started. When
    /// something went wrong, the modules under test had better be loaded anew.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn release(mut self, reload_modules: bool) -> Result<(), Error> {
        self.agent = None;
        self.do_it(&Request::Release { reload_modules })
    }

    fn ask(&self, request: &Request) -> Result<Answer, Error> {
        send(&self.control, request).map_err(|source| self.socket(source))?;
        self.next()
    }

    fn next(&self) -> Result<Answer, Error> {
        answer(&self.path, &self.control)
    }

    fn do_it(&self, request: &Request) -> Result<(), Error> {
        match self.ask(request)? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn socket(&self, source: io::Error) -> Error {
        socket_error(&self.path, source)
    }
}

fn unexpected(answer: &Answer) -> Error {
    match answer {
        Answer::Failed(trouble) => Error::Trouble(trouble.clone()),
        other => Error::Trouble(Trouble {
            what: format!("the bench answered out of order: {other:?}"),
            evidence: Vec::new(),
            kind: TroubleKind::Bench,
        }),
    }
}

/// What the bench at a socket is, without holding it.
///
/// # Errors
///
/// When nobody serves there.
pub fn about(path: &Path) -> Result<About, Error> {
    match ask(path, &Request::About)? {
        Answer::About(about) => Ok(about),
        other => Err(unexpected(&other)),
    }
}

/// What the console says from now on, until the bench ends.
///
/// # Errors
///
/// When nobody serves there.
pub fn watch(path: &Path) -> Result<impl Read + use<>, Error> {
    let line = connect(path)?;
    send(&line, &Request::Watch).map_err(|source| socket_error(path, source))?;
    Ok(line)
}

/// Types something at the console of a board, whoever holds it: a person may help.
///
/// # Errors
///
/// When nobody serves there.
pub fn type_text(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    ask(path, &Request::Type(bytes.to_vec())).map(drop)
}

/// Ends the bench at a socket, whoever holds it, and whichever build serves it. Its board is off
/// soon after.
///
/// # Errors
///
/// When nobody serves there.
pub fn stop(path: &Path) -> Result<(), Error> {
    connection::end(path, Wish::End).map(drop)
}

/// The same unless somebody holds the board; whether it ends.
///
/// # Errors
///
/// When nobody serves there.
pub fn stop_if_free(path: &Path) -> Result<bool, Error> {
    connection::end(path, Wish::EndIfFree)
}
