// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent on a board, as the PC talks to it.

mod calls;
mod files;
mod forwarded;
mod process;

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_wire::Record;
use agent_wire::link::Quality;
use agent_wire::message::{Ended, ModuleRefused, PROTOCOL, Program, Reply, Request, Stream};

pub use self::calls::Ends;
use self::calls::{Call, Calls};
pub use self::files::place_in_initramfs;
pub(crate) use self::forwarded::{Answers, Asking};
pub use self::process::{Event, Input, Output, Process};
use crate::{Console, Error, Fate};

/// How long the agent may take for what is done in a moment.
const MOMENT: Duration = Duration::from_secs(20);

/// How long it may take to load or unload a module, which it bounds itself.
const MODULE: Duration = Duration::from_secs(45);

/// A connection to the agent on a board that is on. All clones are of the same connection, and
/// what they ask is done at the same time.
#[derive(Clone, Debug)]
pub struct Agent {
    calls: Arc<Calls>,
    about: Arc<About>,
}

/// What the agent says of itself and its board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Version of the agent's package.
    pub version: String,
    /// `uname -r`.
    pub kernel: String,
    /// Another one for each boot, from `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// `compatible` of the device tree's root node.
    pub compatible: Vec<String>,
    /// Whether the agent is the board's first program.
    pub is_init: bool,
    /// The module that was not loaded at boot, if one was not.
    pub refused: Option<ModuleRefused>,
    /// When the kernel started, by this PC's clock.
    pub started: Instant,
}

/// A part of the kernel's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelLog {
    /// The messages, oldest first.
    pub records: Vec<Record>,
    /// The number that the next message will have.
    pub next: u64,
    /// How many were overwritten before they could be read.
    pub lost: u64,
    /// `/proc/sys/kernel/tainted`.
    pub taint: u64,
}

/// What had to be done to make a board as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// What was done, one sentence each.
    pub done: Vec<String>,
    /// What could not be undone, one sentence each; if there is any, the board should be restarted.
    pub left: Vec<String>,
}

impl Agent {
    /// Calls the agent at the other end of a line, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it does not answer in time, its fate is decided before, or it is of another version.
    pub fn call(
        ends: Ends<impl Read + Send + 'static, impl Write + Send + 'static>,
        console: Console,
        fate: Fate,
        limit: Duration,
    ) -> Result<Self, Error> {
        let calls = Calls::start(ends, console, fate);
        let hello = Request::Hello { protocol: PROTOCOL };
        let begun = Instant::now();
        let call = calls.begin(hello)?;
        let reply = call.reply_however_silent(limit).map_err(|e| match e {
            Error::Unanswered { .. } => Error::BootTimeout {
                limit,
                console: calls.console(),
            },
            other => other,
        })?;
        let Reply::Welcome {
            protocol,
            version,
            kernel,
            uptime_us,
            boot,
            compatible,
            is_init,
            refused,
        } = reply
        else {
            return Err(Error::unexpected("greeting the agent", &reply));
        };
        if protocol != PROTOCOL {
            return Err(Error::OtherVersion {
                agent: version,
                speaks: protocol,
                wanted: PROTOCOL,
            });
        }
        let uptime = Duration::from_micros(uptime_us);
        let now = Instant::now();
        let about = About {
            version,
            kernel,
            boot,
            compatible,
            is_init,
            refused,
            started: now.checked_sub(uptime).unwrap_or(begun),
        };
        Ok(Self {
            calls,
            about: Arc::new(about),
        })
    }

    /// Ends the connection for all who have it.
    pub(crate) fn hang_up(&self) {
        self.calls.hang_up();
    }

    /// What it has said of itself and its board.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// How long it takes to answer.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn ping(&self) -> Result<Duration, Error> {
        let begun = Instant::now();
        match self.ask(Request::Ping, MOMENT)? {
            Reply::Pong => Ok(begun.elapsed()),
            other => Err(Error::unexpected(
                "asking whether the agent is there",
                &other,
            )),
        }
    }

    /// Starts a program.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(&self, program: Program) -> Result<Process, Error> {
        Process::start(self, program)
    }

    /// Runs a program to its end and hands on what it writes as it comes.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or the board is lost meanwhile.
    pub fn run(
        &self,
        program: Program,
        mut write: impl FnMut(Stream, &[u8]),
    ) -> Result<Ended, Error> {
        self.start(program)?.attend(&mut write)
    }

    /// Runs a command, an absolute path with arguments, to its end and returns what it has written.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or the board is lost meanwhile. That it fails is none: the output
    /// says so.
    pub fn output(&self, command: &[&str]) -> Result<Output, Error> {
        let program = Program {
            command: command.iter().map(ToString::to_string).collect(),
            ..Program::default()
        };
        self.start(program)?.output()
    }

    /// Loads a module from a file on the board.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn load_module(&self, path: &str, parameters: &str) -> Result<(), Error> {
        let request = Request::LoadModule {
            path: path.to_owned(),
            parameters: parameters.to_owned(),
        };
        self.do_it(request, MODULE)
    }

    /// Unloads a module by its name in `/proc/modules`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses that.
    pub fn unload_module(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.do_it(Request::UnloadModule { name }, MODULE)
    }

    /// The kernel's messages from a number on. One in the future, as `u64::MAX`, asks for where the
    /// log ends now.
    ///
    /// # Errors
    ///
    /// When the agent does not answer.
    pub fn kernel_log(&self, from: u64) -> Result<KernelLog, Error> {
        match self.ask(Request::KernelLog { from }, MOMENT)? {
            Reply::KernelLog {
                records,
                next,
                lost,
                taint,
                ..
            } => Ok(KernelLog {
                records,
                next,
                lost,
                taint,
            }),
            other => Err(Error::unexpected("reading the kernel's log", &other)),
        }
    }

    /// Makes the board as it was when its agent had started: processes, mounts, modules, nodes,
    /// temporary files. The modules under test can be loaded anew.
    ///
    /// # Errors
    ///
    /// When the agent does not answer. What could not be undone is no error but returned.
    pub fn restore(&self, reload_modules: bool) -> Result<Restored, Error> {
        match self.ask(Request::Restore { reload_modules }, MODULE)? {
            Reply::Restored { done, left } => Ok(Restored { done, left }),
            other => Err(Error::unexpected("restoring the board", &other)),
        }
    }

    /// Puts modules under test in place of those that are, by the paths of their files on the board:
    /// they are loaded anew, now and by [`Agent::restore`]. For an agent that is not the board's
    /// first program, which had no modules to load.
    ///
    /// # Errors
    ///
    /// When one cannot be unloaded or loaded.
    pub fn put_under_test(&self, modules: Vec<String>) -> Result<(), Error> {
        self.do_it(Request::UnderTest { modules }, MODULE)
    }

    /// Tells the board to switch itself off.
    ///
    /// # Errors
    ///
    /// When the agent does not answer.
    pub fn power_off(&self) -> Result<(), Error> {
        self.do_it(Request::PowerOff, MOMENT)
    }

    /// Tells the board to restart itself. This connection is of no use after that.
    ///
    /// # Errors
    ///
    /// When the agent does not answer.
    pub fn restart(&self) -> Result<(), Error> {
        self.do_it(Request::Restart, MOMENT)
    }

    /// Whether it has not been lost.
    pub fn is_there(&self) -> bool {
        self.calls.is_open()
    }

    /// How the line to it has been so far.
    pub fn line_quality(&self) -> Quality {
        self.calls.quality()
    }

    fn begin(&self, request: Request) -> Result<Call, Error> {
        self.calls.begin(request)
    }

    fn ask(&self, request: Request, limit: Duration) -> Result<Reply, Error> {
        self.begin(request)?.reply(limit)
    }

    fn do_it(&self, request: Request, limit: Duration) -> Result<(), Error> {
        let attempt = format!("{request:?}");
        match self.ask(request, limit)? {
            Reply::Done => Ok(()),
            other => Err(Error::unexpected(attempt, &other)),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent {} on kernel {}", self.version, self.kernel)
    }
}
