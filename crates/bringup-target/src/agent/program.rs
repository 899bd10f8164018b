// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs one program of the plan and sends what it writes.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use agent_wire::{Message, Program, Stream};
use anyhow::Context as _;
use kernel_channels::{Interest, poll};

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

/// Runs a program to its end.
pub(super) fn run<W: Write + Send>(index: usize, program: &Program, sender: &Sender<W>) {
    let mut log = KernelLog::from_now();
    let (status, error) = match start(program) {
        Ok(child) => {
            sender.send(Message::Started { program: index });
            match attend(index, child, sender) {
                Ok(status) => (Some(status), None),
                Err(error) => (None, Some(error)),
            }
        }
        Err(error) => (None, Some(error)),
    };
    power::reap();
    sender.send(Message::Ended {
        program: index,
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        error: error.map(|error| format!("{error:#}")),
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
        .spawn()
        .with_context(|| format!("cannot run {path}"))
}

/// Sends what a program writes until it has ended.
fn attend<W: Write + Send>(
    program: usize,
    mut child: Child,
    sender: &Sender<W>,
) -> anyhow::Result<ExitStatus> {
    let ended = &AtomicBool::new(false);
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
        let status = child.wait();
        ended.store(true, Ordering::Release);
        status.context("cannot wait for the program")
    })
}

fn output<W: Write>(sender: &Sender<W>, program: usize, stream: Stream, bytes: Vec<u8>) {
    sender.send(Message::Output {
        program,
        stream,
        bytes,
    });
}

/// Passes on what comes from a pipe, in chunks, until nobody can write to it any more; or until
/// the program has ended and those who still can are silent.
fn forward(mut pipe: impl Read + AsFd, ended: &AtomicBool, relay: impl Fn(Vec<u8>)) {
    loop {
        // Looked up first: what was written before the end is in the pipe by then.
        let last_look = ended.load(Ordering::Acquire);
        match poll(&pipe, Interest::READABLE, Some(GRACE)) {
            Ok(found) if found.is_none() && last_look => return,
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
        let program = Program {
            command: command.iter().map(ToString::to_string).collect(),
            environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
        };
        let sender = Sender::new(Vec::new());
        run(7, &program, &sender);
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
    fn an_empty_command_is_an_error() {
        assert_eq!(
            end(&messages(&[])),
            (None, None, Some("the command is empty"))
        );
    }

    #[test]
    fn a_child_left_behind_does_not_keep_its_parent_from_ending() {
        let start = std::time::Instant::now();
        let messages = messages(&["/bin/sh", "-c", "sleep 5 & echo parent"]);
        assert_eq!(written(&messages, Stream::Stdout), b"parent\n");
        assert_eq!(end(&messages), (Some(0), None, None));
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}
