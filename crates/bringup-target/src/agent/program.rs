// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs one program of the plan and sends what it writes.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::{Message, Program, Stream};
use anyhow::{Context as _, bail};
use kernel_channels::{Interest, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::kernel_log::KernelLog;
use super::power;
use super::sender::Sender;

/// Where programs find others. The kernel passes no `PATH` to its first program.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of the output goes into one frame, in bytes: a line that a serial console loses is
/// not to cost more than that.
const CHUNK: usize = 2048;

/// How long to wait for output after a program has ended, whose children may still hold its pipes.
const GRACE: Duration = Duration::from_millis(100);

/// How long to listen to those children when they are not silent.
const LINGER: Duration = Duration::from_secs(2);

/// How long to wait between two looks whether a program has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a program may take to end that has been killed. One that a driver holds in a system call
/// never does.
const DEATH: Duration = Duration::from_secs(5);

/// Runs a program to its end. `log` tells what the kernel says meanwhile.
pub(super) fn run<W: Write + Send>(
    index: usize,
    program: &Program,
    mut log: KernelLog,
    sender: &Sender<W>,
) {
    let (status, error) = match start(program) {
        Ok(child) => {
            sender.send(Message::Started { program: index });
            let limit = Duration::from_secs(program.limit_seconds);
            match attend(index, child, limit, sender) {
                Ok(end) => (
                    end.status,
                    end.killed
                        .then(|| format!("killed after {} s", program.limit_seconds)),
                ),
                Err(error) => (None, Some(format!("{error:#}"))),
            }
        }
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    power::reap();
    sender.send(Message::Ended {
        program: index,
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        error,
        kernel_log: log.drain(),
    });
}

fn start(program: &Program) -> anyhow::Result<Child> {
    let (path, arguments) = program
        .command
        .split_first()
        .context("the command is empty")?;
    Command::new(path)
        .args(arguments)
        .env("PATH", PATH)
        .envs(&program.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Of its own, so that it can be killed with all that it has started.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {path}"))
}

/// How a program ended.
#[derive(Debug)]
struct End {
    /// None when it did not although it was killed.
    status: Option<ExitStatus>,
    /// Whether it was killed because its time was up.
    killed: bool,
}

/// Sends what a program writes until it has ended.
fn attend<W: Write + Send>(
    program: usize,
    mut child: Child,
    limit: Duration,
    sender: &Sender<W>,
) -> anyhow::Result<End> {
    let ended = &OnceLock::new();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        if let Some(pipe) = stdout {
            let relay = move |bytes| output(sender, program, Stream::Stdout, bytes);
            scope.spawn(move || forward(pipe, ended, relay));
        }
        if let Some(pipe) = stderr {
            let relay = move |bytes| output(sender, program, Stream::Stderr, bytes);
            scope.spawn(move || forward(pipe, ended, relay));
        }
        let end = wait(&mut child, limit);
        // Nobody else sets it.
        let _ = ended.set(Instant::now());
        end
    })
}

/// Waits for a program, which is killed when its time is up.
fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<End> {
    if let Some(status) = wait_for(child, limit)? {
        return Ok(End {
            status: Some(status),
            killed: false,
        });
    }
    // It has not been waited for, so the number is still its own.
    let group = Pid::from_raw(i32::try_from(child.id())?);
    if let Err(errno) = killpg(group, Signal::SIGKILL) {
        bail!("cannot kill the program, whose time is up: {errno}");
    }
    Ok(End {
        status: wait_for(child, DEATH)?,
        killed: true,
    })
}

/// The status of a program, if it ends in time.
fn wait_for(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        let status = child.try_wait().context("cannot wait for the program")?;
        if status.is_some() || start.elapsed() >= limit {
            return Ok(status);
        }
        thread::sleep(PAUSE);
    }
}

fn output<W: Write>(sender: &Sender<W>, program: usize, stream: Stream, bytes: Vec<u8>) {
    sender.send(Message::Output {
        program,
        stream,
        bytes,
    });
}

/// Passes on what comes from a pipe, in chunks, until nobody can write to it any more; or until
/// the program has ended and those who still can are silent or do not stop.
fn forward(mut pipe: impl Read + AsFd, ended: &OnceLock<Instant>, relay: impl Fn(Vec<u8>)) {
    loop {
        // Looked up first: what was written before the end is in the pipe by then.
        let ended = ended.get();
        if ended.is_some_and(|ended| ended.elapsed() >= LINGER) {
            return;
        }
        match poll(&pipe, Interest::READABLE, Some(GRACE)) {
            Ok(found) if found.is_none() && ended.is_some() => return,
            Ok(found) if found.is_none() => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        let mut bytes = vec![0; CHUNK];
        match pipe.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => {
                bytes.truncate(length);
                relay(bytes);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_wire::{Reader, Received};

    use super::*;

    fn messages(command: &[&str]) -> Vec<Message> {
        messages_within(60, command)
    }

    fn messages_within(limit_seconds: u64, command: &[&str]) -> Vec<Message> {
        let program = Program {
            limit_seconds,
            command: command.iter().map(ToString::to_string).collect(),
            environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
        };
        let sender = Sender::new(Vec::new());
        run(7, &program, KernelLog::from_now(), &sender);
        let received = Reader::new().push(&sender.into_port());
        let message = |received| match received {
            Received::Frame(frame) => frame.message,
            other => panic!("no frame: {other:?}"),
        };
        received.into_iter().map(message).collect()
    }

    fn written(messages: &[Message], wanted: Stream) -> Vec<u8> {
        let mut all = Vec::new();
        for message in messages {
            if let Message::Output { stream, bytes, .. } = message {
                assert!(bytes.len() <= CHUNK);
                if *stream == wanted {
                    all.extend_from_slice(bytes);
                }
            }
        }
        all
    }

    fn end(messages: &[Message]) -> (Option<i32>, Option<i32>, Option<&str>) {
        match messages.last() {
            Some(Message::Ended {
                program: 7,
                code,
                signal,
                error,
                ..
            }) => (*code, *signal, error.as_deref()),
            other => panic!("no end: {other:?}"),
        }
    }

    #[test]
    fn output_environment_and_status_are_reported() {
        let script = "echo $GREETING; echo $PATH >&2; cat; exit 3";
        let messages = messages(&["/bin/sh", "-c", script]);
        assert_eq!(messages[0], Message::Started { program: 7 });
        assert_eq!(written(&messages, Stream::Stdout), b"hello\n");
        assert_eq!(
            written(&messages, Stream::Stderr),
            format!("{PATH}\n").as_bytes()
        );
        assert_eq!(end(&messages), (Some(3), None, None));
    }

    #[test]
    fn long_output_is_cut_into_chunks_and_nothing_is_lost() {
        let messages = messages(&["/bin/sh", "-c", "head -c 100000 /dev/zero"]);
        assert_eq!(written(&messages, Stream::Stdout), vec![0; 100_000]);
        assert_eq!(end(&messages), (Some(0), None, None));
    }

    #[test]
    fn a_signal_is_told_from_a_status() {
        let messages = messages(&["/bin/sh", "-c", "kill -9 $$"]);
        assert_eq!(end(&messages), (None, Some(9), None));
    }

    #[test]
    fn a_program_that_cannot_be_started_was_not_started() {
        let messages = messages(&["/no/such/program"]);
        let [Message::Ended { error, .. }] = &messages[..] else {
            panic!("more than an end: {messages:?}");
        };
        assert!(
            error
                .as_deref()
                .is_some_and(|e| e.contains("/no/such/program"))
        );
    }

    #[test]
    fn what_the_kernel_said_meanwhile_comes_with_the_end() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let script = format!(
            "echo '4,1,1000000,-;WARNING: x' >> {}",
            log.path().display()
        );
        let program = Program {
            command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
            environment: std::collections::BTreeMap::new(),
            limit_seconds: 60,
        };
        let sender = Sender::new(Vec::new());
        run(0, &program, KernelLog::from_end_of(log.path()), &sender);
        let received = Reader::new().push(&sender.into_port());
        let Some(Received::Frame(frame)) = received.last() else {
            panic!("no frame: {received:?}");
        };
        let Message::Ended { kernel_log, .. } = &frame.message else {
            panic!("no end: {frame:?}");
        };
        assert_eq!(kernel_log, "[    1.000000] WARNING: x\n");
    }

    #[test]
    fn an_empty_command_is_an_error() {
        assert_eq!(
            end(&messages(&[])),
            (None, None, Some("the command is empty"))
        );
    }

    #[test]
    fn a_child_left_behind_that_does_not_stop_writing_is_not_listened_to_for_ever() {
        let start = Instant::now();
        let chatter = "echo parent; (for i in $(seq 400); do echo x; sleep 0.02; done) &";
        let messages = messages(&["/bin/sh", "-c", chatter]);
        assert!(written(&messages, Stream::Stdout).starts_with(b"parent\n"));
        assert_eq!(end(&messages), (Some(0), None, None));
        assert!(start.elapsed() < LINGER * 2, "{:?}", start.elapsed());
    }

    #[test]
    fn a_program_whose_time_is_up_is_killed_with_its_children() {
        let start = Instant::now();
        let script = "echo begun; sleep 60 & sleep 60";
        let messages = messages_within(1, &["/bin/sh", "-c", script]);
        assert_eq!(written(&messages, Stream::Stdout), b"begun\n");
        assert_eq!(end(&messages), (None, Some(9), Some("killed after 1 s")));
        // Had a child survived, its pipe would be open for longer.
        let limits = Duration::from_secs(1)..LINGER;
        assert!(limits.contains(&start.elapsed()), "{:?}", start.elapsed());
    }

    #[test]
    fn a_child_left_behind_does_not_keep_its_parent_from_ending() {
        let start = Instant::now();
        let messages = messages(&["/bin/sh", "-c", "sleep 5 & echo parent"]);
        assert_eq!(written(&messages, Stream::Stdout), b"parent\n");
        assert_eq!(end(&messages), (Some(0), None, None));
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}
