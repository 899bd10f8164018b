// SPDX-License-Identifier: MIT OR Apache-2.0

//! A command that does something to a bench, within a bound of time.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{CommandFailure, Error};

/// How often it is looked whether the command has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How long to wait for its last words: what it left behind may keep its output open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a command to its end and returns what it has written to standard output. Whatever it
/// started is gone if it takes too long.
pub(crate) fn run(words: &[String], limit: Duration) -> Result<String, Error> {
    let mut words = words.iter();
    // A description without words has been refused.
    let mut command = Command::new(words.next().map_or("", String::as_str));
    finish(command.args(words), limit, &|| false)
}

/// The same with a command that has more than words. It is ended early if it becomes unwanted, as if
/// its time were up.
pub(super) fn finish(
    command: &mut Command,
    limit: Duration,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Error> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    let words = words.join(" ");
    let failed = |why| Error::Command {
        command: words.clone(),
        why,
    };
    let unrun = |error| failed(CommandFailure::Unrun(error));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| unrun(unstarted(command.get_program(), &error)))?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let ended = wait(&mut child, limit, is_unwanted).map_err(unrun)?;
    let Some(status) = ended else {
        return Err(Error::CommandTimeout {
            command: words,
            limit,
        });
    };
    if status.success() {
        return Ok(text(stdout));
    }
    let said = text(stderr).trim().to_owned();
    Err(failed(CommandFailure::Ended { status, said }))
}

/// Why a program was not started, and what to do (`execve(2)`).
fn unstarted(program: &OsStr, error: &io::Error) -> io::Error {
    let name = program.to_string_lossy();
    let why = match error.kind() {
        io::ErrorKind::NotFound if !name.contains('/') => format!(
            "there is no program {name} in PATH; install it, or write its whole path in bench.toml"
        ),
        io::ErrorKind::NotFound if Path::new(program).exists() => {
            format!("{name} is there, but not the interpreter that its first line names")
        }
        io::ErrorKind::NotFound => format!("there is no program {name}"),
        io::ErrorKind::PermissionDenied => {
            format!("{name} may not be executed; is it a program? `chmod +x` makes it one")
        }
        _ => format!("{name} was not started: {error}"),
    };
    io::Error::new(error.kind(), why)
}

/// How it has ended, or that it had to be killed.
fn wait(
    child: &mut Child,
    limit: Duration,
    is_unwanted: &dyn Fn() -> bool,
) -> io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline || is_unwanted() {
            kill_group(child);
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// Kills a command and what it has started.
fn kill_group(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // A group that has gone just now is as good as killed.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Hands on what is read, piece by piece, until the end of it or of who wants it.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // What cannot be read only costs the explanation.
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What has come by now, or comes soon: all of it, unless somebody else keeps the pipe open.
fn text(output: Option<Receiver<Vec<u8>>>) -> String {
    let deadline = Instant::now() + LAST_WORDS;
    let mut bytes = Vec::new();
    if let Some(output) = output {
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(piece) = output.recv_timeout(left()) {
            bytes.extend(piece);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, Error> {
        let words = ["sh", "-c", script].map(str::to_owned);
        run(&words, limit)
    }

    const PLENTY: Duration = Duration::from_secs(20);

    #[test]
    fn what_a_command_says_is_returned_and_why_it_fails_is_told() {
        assert_eq!(shell("echo on", PLENTY).unwrap(), "on\n");
        let error = shell("echo no such port >&2; exit 3", PLENTY).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3: no such port"), "{text}");
        let error = shell("exit 3", PLENTY).unwrap_err().to_string();
        assert!(error.ends_with("failed: exit status: 3"), "{error}");
    }

    #[test]
    fn a_program_that_cannot_be_started_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("switch");
        let told = |program: &str| {
            run(&[program.to_owned(), "on".to_owned()], PLENTY)
                .unwrap_err()
                .to_string()
        };
        let missing = told("no-such-uhubctl");
        assert!(missing.contains("`no-such-uhubctl on` failed"), "{missing}");
        assert!(missing.contains("in PATH; install it, or"), "{missing}");
        let elsewhere = told("/no/such/uhubctl");
        let words = "there is no program /no/such/uhubctl";
        assert!(elsewhere.ends_with(words), "{elsewhere}");
        std::fs::write(&script, "#!/no/such/shell\n").unwrap();
        let script = script.to_str().unwrap();
        assert!(told(script).contains("chmod +x"), "{}", told(script));
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(told(script).contains("the interpreter"), "{}", told(script));
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("alive");
        let script = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        let begun = Instant::now();
        let error = shell(&script, Duration::from_millis(100)).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(1500));
        assert!(!mark.exists(), "what it started goes on");
    }

    #[test]
    fn what_a_command_leaves_running_does_not_hold_it_up() {
        let begun = Instant::now();
        assert_eq!(shell("sleep 30 & echo on", PLENTY).unwrap(), "on\n");
        assert!(begun.elapsed() < PLENTY);
    }
}
