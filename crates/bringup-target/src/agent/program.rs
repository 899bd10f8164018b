// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs a program and sends what it writes.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::message::{Ended, Program, Reply, Stream};
use anyhow::Context as _;
use kernel_channels::{Interest, poll};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::replies::Replies;

/// Where programs find others. The kernel passes no `PATH` to its first program.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of the output goes into one reply, in bytes.
const CHUNK: usize = 8192;

/// How long to wait for output after a program has ended, whose children may still hold its pipes.
const GRACE: Duration = Duration::from_millis(100);

/// How long to listen to those children when they are not silent.
const LINGER: Duration = Duration::from_secs(2);

/// How long a program may take to end that has been killed. One that a driver holds in a system call
/// never does.
const DEATH: Duration = Duration::from_secs(5);

/// A program that runs, in a process group of its own, and whatever it has started.
#[derive(Debug)]
pub(super) struct Running {
    pid: Pid,
    input: Option<Sender<Vec<u8>>>,
}

impl Running {
    /// The process, which is also its process group.
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Hands bytes to its standard input; none ends that.
    pub(super) fn input(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.input = None;
        } else if let Some(input) = &self.input {
            // Who has closed its input does not want it.
            let _ = input.send(bytes);
        }
    }

    /// Sends a signal to it and to what it has started.
    pub(super) fn signal(&self, signal: Signal) {
        // It may have ended, but nobody has taken its status, so the number is still its own.
        let _ = killpg(self.pid, signal);
    }
}

/// Starts a program. Its end is told by the second value that is returned, once nothing of its
/// output is left.
pub(super) fn start(program: &Program) -> anyhow::Result<(Running, Attendance)> {
    let mut child = spawn(program)?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let input = child.stdin.take().map(|mut pipe| {
        let (sender, receiver): (_, Receiver<Vec<u8>>) = channel();
        thread::spawn(move || {
            for bytes in receiver {
                if pipe.write_all(&bytes).is_err() {
                    return;
                }
            }
        });
        sender
    });
    let attendance = Attendance {
        child,
        pid,
        started: Instant::now(),
        limit: program.limit_ms.map(Duration::from_millis),
    };
    Ok((Running { pid, input }, attendance))
}

fn spawn(program: &Program) -> anyhow::Result<Child> {
    let (path, arguments) = program
        .command
        .split_first()
        .context("the command is empty")?;
    let input = if program.has_input {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    Command::new(path)
        .args(arguments)
        .env("PATH", PATH)
        .envs(&program.environment)
        .current_dir(program.folder.as_deref().unwrap_or("/"))
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Of its own, so that it can be killed with all that it has started.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {path}"))
}

/// What is left to do for a program that runs.
#[derive(Debug)]
pub(super) struct Attendance {
    child: Child,
    pid: Pid,
    started: Instant,
    limit: Option<Duration>,
}

impl Attendance {
    /// Sends what the program writes until it has ended, and returns how. Its status is taken with
    /// `forget`, after which its number may belong to another.
    pub(super) fn attend(mut self, replies: &Replies, forget: impl FnOnce()) -> io::Result<Ended> {
        let ended = &OnceLock::new();
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let timed_out = thread::scope(|scope| {
            if let Some(pipe) = stdout {
                scope.spawn(move || forward(pipe, ended, |b| output(replies, Stream::Stdout, b)));
            }
            if let Some(pipe) = stderr {
                scope.spawn(move || forward(pipe, ended, |b| output(replies, Stream::Stderr, b)));
            }
            let timed_out = self.wait();
            // Nobody else sets it.
            let _ = ended.set(Instant::now());
            timed_out
        });
        let duration = ended
            .get()
            .map_or(Duration::ZERO, |end| *end - self.started);
        forget();
        let status = self.child.try_wait()?;
        Ok(Ended {
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            timed_out,
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// Waits for the end, which is brought about when the time is up; whether it was.
    fn wait(&self) -> bool {
        let pid = self.pid;
        let (sender, ended) = channel();
        thread::spawn(move || {
            // Its status is left to be taken, so that its number stays its own.
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            while waitid(Id::Pid(pid), flags) == Err(nix::errno::Errno::EINTR) {}
            // Nobody waits any more when it took too long to die.
            let _ = sender.send(());
        });
        let Some(limit) = self.limit else {
            // The thread sends, or is gone.
            let _ = ended.recv();
            return false;
        };
        if ended.recv_timeout(limit).is_ok() {
            return false;
        }
        // It may have ended in this moment.
        let _ = killpg(pid, Signal::SIGKILL);
        let _ = ended.recv_timeout(DEATH);
        true
    }
}

fn output(replies: &Replies, stream: Stream, bytes: Vec<u8>) -> bool {
    replies.send(Reply::Output { stream, bytes })
}

/// Passes on what comes from a pipe, in chunks, until nobody can write to it any more; or until
/// the program has ended and those who still can are silent or do not stop.
fn forward(mut pipe: impl Read + AsFd, ended: &OnceLock<Instant>, relay: impl Fn(Vec<u8>) -> bool) {
    // What the program itself has written before its end is no more than the pipe holds, and there
    // is no waiting for it. It is passed on however long that takes on a slow line.
    let mut its_own =
        fcntl(&pipe, FcntlArg::F_GETPIPE_SZ).map_or(0, |size| size.unsigned_abs() as usize);
    let mut waited = Duration::ZERO;
    loop {
        // Looked up first: what was written before the end is in the pipe by then.
        let ended = ended.get();
        let is_over = its_own == 0 || waited >= LINGER;
        if is_over && ended.is_some_and(|ended| ended.elapsed() >= LINGER) {
            return;
        }
        let asked = Instant::now();
        match poll(&pipe, Interest::READABLE, Some(GRACE)) {
            Ok(found) if found.is_none() && ended.is_some() => return,
            Ok(found) if found.is_none() => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        if ended.is_some() {
            waited += asked.elapsed();
        }
        let mut bytes = vec![0; CHUNK];
        match pipe.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => {
                bytes.truncate(length);
                if ended.is_some() {
                    its_own = its_own.saturating_sub(length);
                }
                // Without a listener it is still read, so that the program does not wait for one.
                relay(bytes);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::pipe;

    use super::*;

    #[test]
    fn what_a_program_wrote_before_its_end_is_passed_on_however_slow_the_line_is() {
        let (reader, writer) = pipe().unwrap();
        let written = vec![7; 64 << 10];
        let mut writer = std::fs::File::from(writer);
        writer.write_all(&written).unwrap();
        // A child of the program has it still.
        let ended = OnceLock::from(Instant::now());
        let total = std::sync::atomic::AtomicUsize::new(0);
        let slow = LINGER.mul_f64(1.3) / u32::try_from(written.len() / CHUNK).unwrap();
        forward(std::fs::File::from(reader), &ended, |bytes| {
            thread::sleep(slow);
            total.fetch_add(bytes.len(), std::sync::atomic::Ordering::Relaxed);
            true
        });
        assert_eq!(total.into_inner(), written.len());
        drop(writer);
    }

    #[test]
    fn a_child_that_never_stops_writing_is_not_listened_to_for_ever() {
        let (reader, writer) = pipe().unwrap();
        let mut writer = std::fs::File::from(writer);
        let child = thread::spawn(move || while writer.write_all(&[1; 4096]).is_ok() {});
        let ended = OnceLock::from(Instant::now());
        let begun = Instant::now();
        forward(std::fs::File::from(reader), &ended, |_| true);
        // Not for ever, that is; a PC that is busy takes its time.
        assert!(begun.elapsed() >= LINGER && begun.elapsed() < Duration::from_secs(60));
        child.join().unwrap();
    }
}
