// SPDX-License-Identifier: MIT OR Apache-2.0

//! A visit of one room or of all: one at a time on a board, and however it ends, the board is as it
//! was before.
//!
//! It is made in a process of its own. That one puts back what it changes itself; when it is
//! interrupted or dies, this one does, which has looked at everything before. What is left when both
//! are killed is in the file of the [`lock`], for the next visit and for `doctor`.

mod lock;
mod settings;

use std::env;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

pub(crate) use self::lock::{Left, PATH as LOCK, left};
pub(crate) use self::settings::{INSTANCES, Setting, TRACE};

use self::lock::Lock;
use crate::{exit, output, tour};

/// What asks the program to end, unless whoever has started it said that it is to be ignored.
const ENDINGS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGHUP,
];

/// How long a killed process may take to end. One that a driver holds in a system call never does.
const DEATH: Duration = Duration::from_secs(5);

/// How the visit has ended.
enum End {
    /// By itself, with this exit code.
    Exited(u8),
    /// By a signal to it.
    Died(String),
    /// Not yet: somebody has asked this program to end.
    Asked(Signal),
}

/// Has a room visited, or all.
pub(crate) fn run(room: Option<&str>, json: bool) -> ExitCode {
    attend(room, json).unwrap_or_else(|error| exit::report(json, &error))
}

fn attend(room: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    if is_ignored(Signal::SIGCHLD) {
        // The kernel would not say when the visit has ended.
        let help = "start it from a shell that does not ignore it";
        return Err(anyhow!(
            "cannot make a visit while SIGCHLD is ignored: {help}"
        ));
    }
    let mut lock = Lock::take()?;
    let mut owed = Vec::new();
    if let Some(record) = lock.left() {
        let back = settings::put_back(&record.settings);
        let process = record.process;
        for one in back.done {
            output::tell(&format!("put back what process {process} has left: {one}"));
        }
        for one in back.failed {
            output::tell(&format!("process {process} has left: {one}"));
        }
        owed = record.settings;
    }
    // What could not be put back is still owed after this visit.
    let before = settings::remember(&owed);
    lock.note(&before)?;

    let awaited: SigSet = ENDINGS
        .into_iter()
        .filter(|one| !is_ignored(*one))
        .collect();
    let awaited = awaited | SigSet::from(Signal::SIGCHLD);
    awaited.thread_block().context("cannot block signals")?;
    let mut child = match start(room, json) {
        Ok(child) => child,
        Err(error) => {
            lock.clear()?;
            return Err(error.context("cannot start the visit"));
        }
    };
    let (why, code) = match wait(&mut child, &awaited) {
        Ok(End::Exited(code)) => ("the visit has ended".to_owned(), Some(code)),
        Ok(End::Died(by)) => (format!("the visit was ended by {by}"), None),
        Ok(End::Asked(signal)) => (format!("interrupted by {signal}"), None),
        Err(error) => (format!("{error:#}"), None),
    };
    let has_ended = code.is_some() || kill(&mut child, &before);
    // Without the lock, what is another way may be the doing of who has it.
    let back = match code {
        Some(_) if !lock.is_held() => settings::Back::default(),
        _ => settings::put_back(&before),
    };
    let mut failed = back.failed;
    if !has_ended {
        failed.push(format!("process {}, which does not end", child.id()));
    }
    if !failed.is_empty() {
        let failed = failed.join(", ");
        return Err(anyhow!(
            "{why}, and this is left, see `bringup-target doctor`: {failed}"
        ));
    }
    lock.clear()?;
    match code {
        Some(code) => Ok(code.into()),
        None => Err(anyhow!("{why}; the board is as it was before")),
    }
}

/// Starts the process that makes the visit, and the leader of a group: Ctrl-C is for this one.
fn start(room: Option<&str>, json: bool) -> anyhow::Result<Child> {
    let mut command = Command::new(env::current_exe().context("cannot find this program")?);
    command.arg("visit").args(room).process_group(0);
    if json {
        command.arg("--json");
    }
    Ok(command.spawn()?)
}

/// Makes the visit, in that process.
pub(crate) fn make(room: Option<&str>, json: bool) -> ExitCode {
    if let Err(error) = begin() {
        return exit::report(json, &error);
    }
    match room {
        Some(room) => tour::channel(room, json),
        None => tour::run(json),
    }
}

fn begin() -> anyhow::Result<()> {
    let set = prctl::set_pdeathsig(Signal::SIGKILL);
    set.context("cannot ask to end with the parent")?;
    // The mask is inherited.
    let all = ENDINGS.into_iter().chain([Signal::SIGCHLD]);
    let all: SigSet = all.collect();
    all.thread_unblock().context("cannot unblock signals")?;
    // It is no foreground process of the terminal, and writes to it all the same.
    let writing = SigSet::from(Signal::SIGTTOU);
    writing.thread_block().context("cannot block signals")
}

/// Waits until the visit has ended, or somebody wants that.
fn wait(child: &mut Child, awaited: &SigSet) -> anyhow::Result<End> {
    loop {
        match awaited.wait().context("cannot wait for a signal")? {
            Signal::SIGCHLD => {
                let status = child.try_wait();
                if let Some(status) = status.context("cannot wait for the visit")? {
                    return Ok(ended(status));
                }
            }
            signal => return Ok(End::Asked(signal)),
        }
    }
}

fn ended(status: ExitStatus) -> End {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let signal = status.signal().and_then(|one| Signal::try_from(one).ok());
    match (code, signal) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Died(signal.to_string()),
        (None, None) => End::Died(status.to_string()),
    }
}

/// Ends the visit and all that it has started, and says whether it has ended.
fn kill(child: &mut Child, before: &[Setting]) -> bool {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may have ended by itself.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    // While the engine is stalled, the driver may hold it.
    settings::put_back(before);
    let deadline = Instant::now() + DEATH;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Whether a signal is ignored, as `nohup` has it for `SIGHUP`. Blocked, it would come all the same.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    let bit = 1 << (signal as i32 - 1);
    set.unwrap_or_default() & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_does_not_end_a_visit() {
        // Rust's runtime has it so.
        assert!(is_ignored(Signal::SIGPIPE));
        assert!(!is_ignored(Signal::SIGTERM));
    }
}
