// SPDX-License-Identifier: MIT OR Apache-2.0

//! Does what the PC asks, one request after the other; what takes long, in a thread of its own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use agent_wire::Content;
use agent_wire::connection::{Inbox, Incoming, Outbox};
use agent_wire::message::{Call, ModuleRefused, PROTOCOL, Program, Reply, Request, decode};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};

use super::files::{self, Arriving, Known, Wanted};
use super::kernel_log::KernelLog;
use super::program::{self, Running};
use super::replies::{Replies, failed};
use super::restore::Baseline;
use super::{complain, modules, power, processes};

/// How often orphans are looked for when nothing is asked.
const IDLE: Duration = Duration::from_millis(500);

/// How long the last reply may take before the board is switched off.
const LAST_REPLY: Duration = Duration::from_secs(2);

/// What all requests share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) baseline: Arc<Baseline>,
    pub(super) refused: Option<ModuleRefused>,
    pub(super) kernel_log: KernelLog,
    pub(super) is_init: bool,
}

/// What belongs to whoever calls now.
#[derive(Debug, Default)]
struct Session {
    programs: Arc<Programs>,
    arriving: HashMap<u32, Arriving>,
    known: Known,
}

/// The programs that run, by the number of their call.
#[derive(Debug, Default)]
struct Programs(Mutex<HashMap<u32, Running>>);

impl Programs {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        for running in self.lock().values() {
            running.signal(Signal::SIGKILL);
        }
    }
}

/// Why there is nothing more to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The line has ended.
    Closed,
    PowerOff,
    Restart,
}

impl Server {
    /// Serves whoever calls until the line ends or the board is to be switched off.
    pub(super) fn serve(&mut self, outbox: &Outbox, inbox: &Inbox) -> End {
        let mut session = Session::default();
        loop {
            match inbox.receive(IDLE) {
                Ok(Incoming::Message(bytes)) => match decode::<Call>(&bytes) {
                    Ok(call) => {
                        let replies = Replies::new(outbox, call.number);
                        if let Some(end) = self.answer(call, replies, &mut session) {
                            outbox.flush(LAST_REPLY);
                            session.programs.kill();
                            return end;
                        }
                    }
                    Err(error) => complain(&format!("the PC sends nonsense: {error}")),
                },
                // What was started for the one before is no business of the next.
                Ok(Incoming::Connected | Incoming::Restarted) => {
                    session.programs.kill();
                    session = Session::default();
                }
                Ok(Incoming::Text(_)) => {}
                Ok(Incoming::Closed(_)) | Err(RecvTimeoutError::Disconnected) => {
                    session.programs.kill();
                    return End::Closed;
                }
                Err(RecvTimeoutError::Timeout) => self.reap(&session),
            }
        }
    }

    fn reap(&self, session: &Session) {
        if self.is_init {
            let awaited: Vec<_> = session.programs.lock().values().map(Running::pid).collect();
            processes::reap_orphans(&awaited);
        }
    }

    fn answer(&mut self, call: Call, replies: Replies, session: &mut Session) -> Option<End> {
        match call.request {
            Request::Hello { .. } => {
                replies.send(self.welcome());
            }
            Request::Ping => {
                replies.send(Reply::Pong);
            }
            Request::Run(program) => {
                self.reap(session);
                run(call.number, &program, replies, &session.programs);
            }
            Request::Input { bytes } => {
                if let Some(running) = session.programs.lock().get_mut(&call.number) {
                    running.input(bytes);
                }
            }
            Request::Signal { signal } => {
                let running = session.programs.lock();
                if let (Some(running), Ok(signal)) =
                    (running.get(&call.number), Signal::try_from(signal))
                {
                    running.signal(signal);
                }
            }
            Request::Put {
                path,
                mode,
                length,
                sha256,
            } => {
                let path = PathBuf::from(path);
                let wanted = Wanted {
                    path,
                    mode,
                    length,
                    sha256,
                };
                put(call.number, wanted, &replies, session);
            }
            Request::Data { offset, content } => {
                data(call.number, offset, content, &replies, session)
            }
            Request::Get { path, offset } => {
                thread::spawn(move || {
                    let sent = files::send(path.as_ref(), offset, &replies);
                    replies.done(format_args!("cannot send {path}"), sent);
                });
            }
            Request::LoadModule { path, parameters } => {
                thread::spawn(move || {
                    let loaded = modules::load_in_time(path.as_ref(), &parameters);
                    replies.done(format_args!("cannot load {path}"), loaded);
                });
            }
            Request::UnloadModule { name } => {
                thread::spawn(move || {
                    let unloaded = modules::unload_in_time(&name);
                    replies.done(format_args!("cannot unload {name}"), unloaded);
                });
            }
            Request::KernelLog { from } => {
                replies.send(self.kernel_log(from));
            }
            Request::Restore { reload_modules } => {
                session.arriving.clear();
                session.programs.kill();
                let baseline = self.baseline.clone();
                thread::spawn(move || {
                    let report = baseline.restore(reload_modules);
                    replies.send(Reply::Restored {
                        done: report.done,
                        left: report.left,
                    });
                });
            }
            Request::PowerOff => {
                replies.send(Reply::Done);
                return Some(End::PowerOff);
            }
            Request::Restart => {
                replies.send(Reply::Done);
                return Some(End::Restart);
            }
            Request::UnderTest { modules } => {
                let names = modules.join(", ");
                Arc::make_mut(&mut self.baseline).put_under_test(modules);
                let baseline = self.baseline.clone();
                thread::spawn(move || {
                    let loaded = baseline.load_under_test();
                    replies.done(format_args!("cannot put {names} under test"), loaded);
                });
            }
            request => {
                let error = anyhow::anyhow!("this agent is too old for it");
                replies.send(failed(format_args!("cannot do {request:?}"), &error));
            }
        }
        None
    }

    fn welcome(&self) -> Reply {
        Reply::Welcome {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: nix::sys::utsname::uname()
                .map(|name| name.release().to_string_lossy().into_owned())
                .unwrap_or_default(),
            uptime_us: uptime_us(),
            boot: line("/proc/sys/kernel/random/boot_id"),
            compatible: compatible(Path::new("/proc/device-tree/compatible")),
            is_init: self.is_init,
            refused: self.refused.clone(),
        }
    }

    fn kernel_log(&mut self, from: u64) -> Reply {
        let part = self.kernel_log.part(from);
        Reply::KernelLog {
            records: part.records,
            next: part.next,
            lost: part.lost,
            taint: line("/proc/sys/kernel/tainted").parse().unwrap_or(0),
            uptime_us: uptime_us(),
        }
    }
}

fn run(number: u32, program: &Program, replies: Replies, programs: &Arc<Programs>) {
    // Held until it is registered, so that what comes for it next finds it.
    let mut running = programs.lock();
    let (started, attendance) = match program::start(program) {
        Ok(started) => started,
        Err(error) => {
            let command = program.command.join(" ");
            replies.send(failed(format_args!("cannot start {command:?}"), &error));
            return;
        }
    };
    replies.send(Reply::Started {
        pid: started.pid().unsigned_abs(),
    });
    running.insert(number, started);
    drop(running);
    let programs = programs.clone();
    thread::spawn(move || {
        let forget = || drop(programs.lock().remove(&number));
        let reply = match attendance.attend(&replies, forget) {
            Ok(ended) => Reply::Ended(ended),
            Err(error) => failed("cannot take the program's status", &error.into()),
        };
        replies.send(reply);
    });
}

fn put(number: u32, wanted: Wanted, replies: &Replies, session: &mut Session) {
    let path = wanted.path.clone();
    match wanted.begin(&mut session.known) {
        Ok(None) => {
            replies.send(Reply::Done);
        }
        Ok(Some(arriving)) => {
            let offset = arriving.here();
            session.arriving.insert(number, arriving);
            replies.send(Reply::Continue { offset });
        }
        Err(error) => {
            replies.send(failed(
                format_args!("cannot put {}", path.display()),
                &error,
            ));
        }
    }
}

fn data(number: u32, offset: u64, content: Content, replies: &Replies, session: &mut Session) {
    // What is still coming of one that has failed is passed over.
    let Some(arriving) = session.arriving.get_mut(&number) else {
        return;
    };
    let bytes = content.unpack().map_err(anyhow::Error::from);
    let taken = bytes.and_then(|bytes| arriving.take(offset, &bytes));
    if let Ok(false) = taken {
        return;
    }
    let attempt = format!("cannot put {}", arriving.path().display());
    session.arriving.remove(&number);
    replies.done(attempt, taken.map(drop));
}

/// Time since the kernel started, by the clock that its log uses.
fn uptime_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    let micros = now.unwrap_or_default().as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX)
}

fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim_end().to_owned()
}

/// The strings of a device tree's property, each with a zero at its end.
fn compatible(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let strings = bytes.split(|byte| *byte == 0).filter(|s| !s.is_empty());
    strings
        .map(|s| String::from_utf8_lossy(s).into_owned())
        .collect()
}

/// Carries out what is left to do when there is nothing more to serve.
pub(super) fn finish(end: End) {
    match end {
        End::Closed => {}
        End::PowerOff => power::off(),
        End::Restart => power::restart(),
    }
}
