// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs other programs, keeps what they print, and explains how they failed.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Step;
use crate::toolbox::SOURCE;

/// How many of a failed program's last lines are shown.
const SHOWN: usize = 20;

/// How a message of cargo's for programs begins, which explains nothing to a person.
const CARGO_MESSAGE: &str = "{\"reason\":";

/// How apt and cargo say that there is no way to a server.
const UNREACHABLE: [&str; 5] = [
    "Could not connect to",
    "Could not resolve",
    "Temporary failure resolving",
    "Unable to connect to",
    "failed to download from",
];

/// What a shell would be given to run the same.
pub(crate) fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// The name of the program that matters: what runs in the sandbox, not the sandbox.
fn name(command: &Command) -> String {
    let inside = command
        .get_args()
        .skip_while(|argument| *argument != "--")
        .nth(1);
    let name = Path::new(inside.unwrap_or(command.get_program()));
    name.file_name()
        .unwrap_or(name.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a program to its end; a failure to succeed is a failure with this exit code.
pub(crate) fn run(command: &mut Command, step: &Step, exit: Exit) -> Result<()> {
    run_each_line(command, step, exit, &mut |_| {})
}

/// The same, and hands each line of standard output to `each`.
pub(crate) fn run_each_line(
    command: &mut Command,
    step: &Step,
    exit: Exit,
    each: &mut dyn FnMut(&str),
) -> Result<()> {
    step.line(&format!("$ {}", command_line(command)));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_environment(|| format!("cannot start {}", name(command)))?;
    let (sender, lines) = channel();
    read(child.stdout.take(), true, &sender);
    read(child.stderr.take(), false, &sender);
    drop(sender);
    let last = follow(lines, step, each);
    finish(child, command, &last, step, exit)
}

/// Runs two programs, the first one's standard output being the second one's input.
pub(crate) fn run_pipeline(
    producer: &mut Command,
    consumer: &mut Command,
    step: &Step,
    exit: Exit,
) -> Result<()> {
    let lines = [&*producer, &*consumer].map(command_line);
    step.line(&format!("$ {}", lines.join(" | ")));
    let mut first = producer
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_environment(|| format!("cannot start {}", name(producer)))?;
    let second = consumer
        .stdin(first.stdout.take().map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_environment(|| format!("cannot start {}", name(consumer)));
    let mut second = match second {
        Ok(second) => second,
        Err(failure) => {
            // Nobody reads what it writes; that it is gone already would be fine.
            let _ = first.kill();
            let _ = first.wait();
            return Err(failure);
        }
    };
    let (sender, lines) = channel();
    read(first.stderr.take(), false, &sender);
    read(second.stdout.take(), true, &sender);
    read(second.stderr.take(), false, &sender);
    drop(sender);
    let last = follow(lines, step, &mut |_| {});
    // When the second one fails, the first one's failure only follows from that.
    let second = finish(second, consumer, &last, step, exit);
    let first = finish(first, producer, &last, step, exit);
    second.and(first)
}

/// Hands on all lines and returns the last of them.
fn follow(
    lines: Receiver<(bool, String)>,
    step: &Step,
    each: &mut dyn FnMut(&str),
) -> VecDeque<String> {
    let mut last = VecDeque::new();
    for (is_stdout, line) in lines {
        step.line(&line);
        if is_stdout {
            each(&line);
        }
        if is_stdout && line.starts_with(CARGO_MESSAGE) {
            continue;
        }
        if last.len() == SHOWN {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

fn finish(
    mut child: Child,
    command: &Command,
    last: &VecDeque<String>,
    step: &Step,
    exit: Exit,
) -> Result<()> {
    let status = child
        .wait()
        .or_environment(|| format!("cannot wait for {}", name(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(explain(command, status, last, step, exit))
}

/// Sends each line that comes, whatever its encoding, until the pipe ends.
fn read<R: Read + Send + 'static>(
    pipe: Option<R>,
    is_stdout: bool,
    sender: &Sender<(bool, String)>,
) {
    let Some(pipe) = pipe else { return };
    let sender = sender.clone();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(pipe.read_until(b'\n', &mut line), Ok(length) if length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            // The receiver lives until all senders have ended.
            let _ = sender.send((is_stdout, text));
            line.clear();
        }
    });
}

fn explain(
    command: &Command,
    status: ExitStatus,
    last: &VecDeque<String>,
    step: &Step,
    exit: Exit,
) -> Failure {
    let program = name(command);
    let has = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    let said = |words: &[&str]| last.iter().any(|line| has(line, words));
    let (failure, shown) = if said(&["No space left on device"]) {
        let failure = Failure::new(
            Exit::Environment,
            format!("{program} ran out of disk space"),
        )
        .help("free some space, then run the same command again; nothing half-made is kept");
        (failure, last.iter().collect::<Vec<_>>())
    } else if said(&UNREACHABLE) {
        let failure = Failure::new(
            Exit::Environment,
            format!("{program} could not reach the network"),
        )
        .help("check the network, and http_proxy if there is one; then run the same command again");
        // apt says it again for every file; the log has all of it.
        let telling = last.iter().rfind(|line| has(line, &UNREACHABLE));
        (failure, telling.into_iter().collect())
    } else {
        let failure = Failure::new(exit, format!("{program} failed ({status})"));
        (failure, last.iter().collect())
    };
    failure
        .evidence(shown.into_iter().map(|line| from_toolbox(line)))
        .help(format!("all it printed is in {}", step.log().display()))
}

/// A compiler's message as the PC would say it: with paths from the checkout's top folder.
fn from_toolbox(line: &str) -> String {
    line.replace(&format!(" {SOURCE}/"), " ")
}

/// Runs a program that ends soon and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let program = name(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .or_environment(|| format!("cannot start {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(
        Exit::Environment,
        format!("{program} failed ({})", output.status),
    )
    .evidence(stderr.lines().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    /// How the failure of a shell script is explained.
    fn explained(script: &str) -> Failure {
        let folder = tempfile::tempdir().unwrap();
        let progress = Progress::new(false, folder.path().to_path_buf());
        let step = progress.step("test", "a test").unwrap();
        run(Command::new("sh").args(["-c", script]), &step, Exit::Build).unwrap_err()
    }

    #[test]
    fn a_program_that_fails_has_the_callers_exit_code_and_shows_its_last_lines() {
        let failure = explained("for i in $(seq 30); do echo $i; done; exit 1");
        assert_eq!(failure.exit(), Exit::Build);
        assert!(failure.summary().contains("sh failed"), "{failure}");
        assert_eq!(failure.evidence_lines().len(), SHOWN);
        assert_eq!(failure.evidence_lines().last().unwrap(), "30");
    }

    #[test]
    fn what_cargo_says_to_programs_explains_nothing_to_a_person() {
        let failure = explained("echo error: x >&2; echo '{\"reason\":\"y\"}'; exit 101");
        assert_eq!(failure.evidence_lines(), ["error: x"]);
    }

    #[test]
    fn a_full_disk_is_no_broken_build() {
        let failure = explained("echo 'ld: x: No space left on device' >&2; echo y; exit 1");
        assert_eq!(failure.exit(), Exit::Environment);
        assert!(failure.summary().contains("disk space"), "{failure}");
        assert_eq!(failure.evidence_lines().len(), 2);
    }

    #[test]
    fn an_unreachable_server_is_said_once() {
        let failure = explained(
            "for i in 1 2 3; do echo Ign:$i; echo \"W: $i Could not connect to x\"; done;\n\
             echo 'E: Some index files failed' >&2; exit 100",
        );
        assert_eq!(failure.exit(), Exit::Environment);
        assert!(failure.summary().contains("the network"), "{failure}");
        assert_eq!(failure.evidence_lines(), ["W: 3 Could not connect to x"]);
        let helps = failure.help_lines().iter();
        assert!(helps.into_iter().any(|line| line.contains("test.log")));
    }

    #[test]
    fn a_compilers_path_is_said_as_the_pc_has_it() {
        let failure = explained(&format!("echo ' --> {SOURCE}/kmod/x.rs:1'; exit 1"));
        assert_eq!(failure.evidence_lines(), [" --> kmod/x.rs:1"]);
    }
}
