// SPDX-License-Identifier: MIT OR Apache-2.0

//! One boot: from power-on to the end of the agent's work.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use agent_wire::{FATAL, Message, Reader, Received};

use crate::qemu::Machine;
use crate::{Console, Error};

/// What the kernel prints last.
const PANIC: &str = "Kernel panic - not syncing";

/// How long the console is listened to after the kernel's last words.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long the board may take to power itself off.
const POWER_OFF: Duration = Duration::from_secs(2);

/// How many events may wait: a board that babbles is slowed down instead of filling the memory.
const BACKLOG: usize = 1024;

/// Bounds of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From power-on to the agent's first frame.
    pub boot: Duration,
    /// From then to the end of the last program.
    pub run: Duration,
}

/// Hears what happens, as it happens.
pub trait Observer {
    /// The board printed a line on its console.
    fn console(&mut self, line: &str) {
        let _ = line;
    }

    /// The agent said something.
    fn message(&mut self, message: &Message) {
        let _ = message;
    }
}

/// How a boot went that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// From power-on to the agent's first frame.
    pub boot: Duration,
    /// From power-on to the agent's last frame.
    pub total: Duration,
    /// `uname -r` on the board.
    pub kernel: String,
    /// `/proc/sys/kernel/tainted` at the end.
    pub taint: u64,
}

/// A board that is on, and what it has said so far.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    events: Receiver<Event>,
    console: Console,
    frames: Reader,
    started: Instant,
    ready: Option<(Duration, String)>,
}

#[derive(Debug)]
enum Event {
    Console(Vec<u8>),
    Agent(Vec<u8>),
    /// One of the two is at its end.
    Closed,
}

impl Session {
    /// Begins to listen to a machine that has just been started.
    pub fn new(mut machine: Machine) -> Self {
        let (sender, events) = sync_channel(BACKLOG);
        if let Some(console) = machine.take_console() {
            listen(console, sender.clone(), Event::Console);
        }
        if let Some(agent) = machine.take_agent() {
            listen(agent, sender, Event::Agent);
        }
        Self {
            machine,
            events,
            console: Console::default(),
            frames: Reader::new(),
            started: Instant::now(),
            ready: None,
        }
    }

    /// The emulator's process.
    pub fn pid(&self) -> u32 {
        self.machine.pid()
    }

    /// Follows the boot until the agent has finished; the board is still on then.
    ///
    /// # Errors
    ///
    /// When the board panics, hangs, ends, refuses a module, or garbles its frames. The board is
    /// off then.
    pub fn follow(
        &mut self,
        limits: Limits,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let result = self.follow_to_end(limits, observer);
        if result.is_err() {
            self.machine.end();
        }
        result
    }

    fn follow_to_end(
        &mut self,
        limits: Limits,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        // Console and agent are heard by two threads: when one has ended, the other may still have
        // something to say that came before.
        let mut end: Option<Instant> = None;
        loop {
            let limit = match &self.ready {
                None => limits.boot,
                Some((boot, _)) => *boot + limits.run,
            };
            // Looked at before every event: a board that never falls silent is bounded too.
            let left = limit.saturating_sub(self.started.elapsed());
            if left.is_zero() {
                return Err(self.timeout(limits));
            }
            let left = end.map_or(left, |end| {
                left.min(end.saturating_duration_since(Instant::now()))
            });
            match self.events.recv_timeout(left) {
                Ok(Event::Console(bytes)) => self.hear_console(&bytes, observer)?,
                Ok(Event::Agent(bytes)) => {
                    if let Some(outcome) = self.hear_agent(&bytes, observer)? {
                        return Ok(outcome);
                    }
                }
                Ok(Event::Closed) if end.is_none() => end = Some(Instant::now() + LAST_WORDS),
                Ok(Event::Closed) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.ended());
                }
                Err(RecvTimeoutError::Timeout) if end.is_some() => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) => return Err(self.timeout(limits)),
            }
        }
    }

    /// Waits for the board to power itself off, then ends the machine in any case.
    ///
    /// Some emulated boards halt without ending the emulator, so the end is brought about here.
    pub fn power_off(mut self, observer: &mut dyn Observer) {
        let deadline = Instant::now() + POWER_OFF;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Console(bytes)) => {
                    let lines = self.console.push(&bytes);
                    lines.iter().for_each(|line| observer.console(line));
                    if lines.iter().any(|line| line.contains("reboot: Power down")) {
                        break;
                    }
                }
                Ok(Event::Agent(_)) => {}
                Ok(Event::Closed) | Err(_) => break,
            }
        }
        self.machine.end();
    }

    /// Hands the console's lines to `observer` until the machine ends by itself.
    pub fn watch(&mut self, observer: &mut dyn Observer) {
        while let Ok(event) = self.events.recv() {
            match event {
                Event::Console(bytes) => {
                    let lines = self.console.push(&bytes);
                    lines.iter().for_each(|line| observer.console(line));
                }
                Event::Agent(_) => {}
                Event::Closed => return,
            }
        }
    }

    fn hear_console(&mut self, bytes: &[u8], observer: &mut dyn Observer) -> Result<(), Error> {
        for line in self.console.push(bytes) {
            observer.console(&line);
            if line.contains(PANIC) {
                self.hear_last_words(observer);
                return Err(Error::Panic {
                    line: line[line.find(PANIC).unwrap_or(0)..].to_owned(),
                    booted: self.ready.is_some(),
                    console: self.console.last(),
                });
            }
            if let Some(start) = line.find(FATAL) {
                self.hear_last_words(observer);
                return Err(Error::Agent {
                    line: line[start + FATAL.len()..].trim().to_owned(),
                    console: self.console.last(),
                });
            }
        }
        Ok(())
    }

    fn hear_last_words(&mut self, observer: &mut dyn Observer) {
        let deadline = Instant::now() + LAST_WORDS;
        while let Ok(event) = self
            .events
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            match event {
                Event::Console(bytes) => {
                    let lines = self.console.push(&bytes);
                    lines.iter().for_each(|line| observer.console(line));
                }
                // The board has failed already, whatever else its agent reports.
                Event::Agent(bytes) => drop(self.hear_agent(&bytes, observer)),
                Event::Closed => {}
            }
        }
        self.console.finish();
    }

    fn hear_agent(
        &mut self,
        bytes: &[u8],
        observer: &mut dyn Observer,
    ) -> Result<Option<Outcome>, Error> {
        for received in self.frames.push(bytes) {
            let message = match received {
                Received::Frame(frame) => frame.message,
                Received::Damaged(damage) => return Err(Error::Damaged(damage)),
                Received::Gap { expected, found } => return Err(Error::Lost { expected, found }),
            };
            observer.message(&message);
            match message {
                Message::Ready { kernel, .. } => {
                    self.ready = Some((self.started.elapsed(), kernel));
                }
                Message::ModuleRefused {
                    module,
                    error,
                    kernel_log,
                } => {
                    return Err(Error::ModuleRefused {
                        module,
                        error,
                        kernel_log,
                    });
                }
                Message::Finished { taint } => {
                    let (boot, kernel) = self.ready.clone().ok_or(Error::NeverReady)?;
                    return Ok(Some(Outcome {
                        boot,
                        total: self.started.elapsed(),
                        kernel,
                        taint,
                    }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn ended(&mut self) -> Error {
        self.console.finish();
        let (status, stderr) = self.machine.end();
        Error::Ended {
            status,
            stderr,
            console: self.console.last(),
        }
    }

    fn timeout(&mut self, limits: Limits) -> Error {
        self.console.finish();
        let console = self.console.last();
        if self.ready.is_some() {
            let limit = limits.run;
            Error::RunTimeout { limit, console }
        } else {
            let limit = limits.boot;
            Error::BootTimeout { limit, console }
        }
    }
}

/// Sends what `stream` brings until it ends.
fn listen(mut stream: UnixStream, sender: SyncSender<Event>, event: fn(Vec<u8>) -> Event) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    // Nobody listens any more once the session is dropped.
                    if sender.send(event(buffer[..length].to_vec())).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = sender.send(Event::Closed);
    });
}
