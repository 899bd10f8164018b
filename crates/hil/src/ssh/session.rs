// SPDX-License-Identifier: MIT OR Apache-2.0

//! One ssh process, from its start to its end.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::script::{MARK, READY, STORED, WANTED};
use crate::Console;

/// How many of ssh's last lines are kept.
const KEPT: usize = 40;

/// The longest line of the shell's that is looked at, in bytes.
const LONGEST: usize = 4096;

/// How long ssh may take to end when it has closed its output.
const END: Duration = Duration::from_secs(2);

/// What comes from the board.
#[derive(Debug)]
pub(super) enum Heard {
    /// The agent talks from here on.
    Ready(ChildStdout),
    /// Its file is wanted.
    Wanted,
    /// Its file is there.
    Stored,
    /// Nothing more will come.
    Ended,
}

/// A running ssh. Dropping it ends the process and whatever that has started on this PC; on the
/// board the end of its input ends the agent.
#[derive(Debug)]
pub(super) struct Session {
    child: Child,
    heard: Receiver<Heard>,
    words: Arc<Mutex<Words>>,
}

/// What ssh says on standard error.
#[derive(Debug, Default)]
struct Words {
    last: VecDeque<String>,
    /// Where the agent's words go that come that way too.
    log: Option<Console>,
    ended: bool,
}

impl Session {
    /// Starts ssh.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Of its own, so that it goes with all that it has started, and not by a Ctrl-C
            // before the board has been left in order.
            .process_group(0)
            .spawn()?;
        let (sender, heard) = channel();
        let words = Arc::new(Mutex::new(Words::default()));
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || listen(stdout, &sender));
        }
        if let Some(stderr) = child.stderr.take() {
            let words = words.clone();
            thread::spawn(move || collect(stderr, &words));
        }
        Ok(Self {
            child,
            heard,
            words,
        })
    }

    /// What the board says next. None when it says nothing in time.
    pub(super) fn next(&self, limit: Duration) -> Option<Heard> {
        use std::sync::mpsc::RecvTimeoutError;

        match self.heard.recv_timeout(limit) {
            Ok(heard) => Some(heard),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Heard::Ended),
        }
    }

    /// What goes to the board.
    pub(super) fn take_input(&mut self) -> io::Result<ChildStdin> {
        let input = self.child.stdin.take();
        input.ok_or_else(|| io::Error::other("ssh's input has been taken"))
    }

    /// Sends bytes and ends the input, in a thread of its own: only ssh's end ends a write to a
    /// board that takes nothing.
    pub(super) fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let mut input = self.take_input()?;
        thread::spawn(move || {
            // The board says what it makes of what has come.
            let _ = input.write_all(&bytes);
        });
        Ok(())
    }

    /// From now on, what comes on standard error is the agent's too, and is told in the log.
    pub(super) fn tell(&self, log: Console) {
        lock(&self.words).log = Some(log);
    }

    /// How ssh has ended, and what it said. Waits for a process that is about to.
    pub(super) fn end(&mut self) -> (Option<ExitStatus>, Vec<String>) {
        let deadline = Instant::now() + END;
        let status = loop {
            let status = self.child.try_wait().ok().flatten();
            if status.is_some() || Instant::now() >= deadline {
                break status;
            }
            thread::sleep(Duration::from_millis(5));
        };
        // Its last words may be read a moment after its end.
        while !lock(&self.words).ended && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let words = lock(&self.words).last.iter().cloned().collect();
        (status, words)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // Its status has not been taken, or all of its group may be gone: either is fine.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(words: &Mutex<Words>) -> MutexGuard<'_, Words> {
    words.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the shell's lines; what else it says, as a greeting, is passed over. Byte by byte, so
/// that none of the agent's is taken.
fn listen(mut stdout: ChildStdout, heard: &Sender<Heard>) {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match stdout.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => {}
            Ok(_) => {
                if line.len() < LONGEST {
                    line.push(byte[0]);
                }
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        line.clear();
        let said = text.trim_end().strip_prefix(MARK).map(str::trim);
        let next = match said {
            Some(READY) => {
                // Nobody listens any more when it took too long.
                let _ = heard.send(Heard::Ready(stdout));
                return;
            }
            Some(WANTED) => Heard::Wanted,
            Some(STORED) => Heard::Stored,
            _ => continue,
        };
        if heard.send(next).is_err() {
            return;
        }
    }
    let _ = heard.send(Heard::Ended);
}

fn collect(stderr: ChildStderr, words: &Mutex<Words>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(stderr.read_until(b'\n', &mut line), Ok(length) if length > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        let mut words = lock(words);
        if let Some(log) = &words.log {
            log.push(format!("{text}\n").as_bytes());
        }
        if words.last.len() == KEPT {
            words.last.pop_front();
        }
        words.last.push_back(text);
    }
    lock(words).ended = true;
}
