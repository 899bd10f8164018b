// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processes that are the agent's business, and their ends.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// How long killed processes may take to end. One that a driver holds in a system call never does.
const DEATH: Duration = Duration::from_secs(5);

/// The parent of all threads of the kernel.
const KTHREADD: i32 = 2;

/// What `/proc` tells of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) name: String,
    is_dead: bool,
}

/// All that descend from this process, whether through parents that live or not: it is the first
/// program or a subreaper. Threads of the kernel are not among them.
#[cfg(test)]
pub(super) fn descendants() -> Vec<Process> {
    descendants_but(&[])
}

/// The same, but some of them and what descends from those left out.
fn descendants_but(spared: &[i32]) -> Vec<Process> {
    let us = nix::unistd::getpid().as_raw();
    let all: BTreeMap<_, _> = all().into_iter().map(|p| (p.pid, p)).collect();
    let wanted = |process: &&Process| {
        let line: Vec<_> = lineage(process, &all).collect();
        let is_other = line
            .iter()
            .any(|pid| *pid == KTHREADD || spared.contains(pid));
        process.pid != us && line.contains(&us) && !is_other
    };
    all.values().filter(wanted).cloned().collect()
}

/// A process, its parent, its parent's parent, and so on.
fn lineage<'a>(
    process: &'a Process,
    all: &'a BTreeMap<i32, Process>,
) -> impl Iterator<Item = i32> + 'a {
    let mut next = Some(process);
    std::iter::from_fn(move || {
        let process = next?;
        next = all.get(&process.parent);
        Some(process.pid)
    })
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<i32>().ok()?;
        fs::read_to_string(entry.path().join("stat")).ok()
    });
    stats.filter_map(|stat| parse(&stat)).collect()
}

/// Reads `/proc/PID/stat`: `pid (name) state parent …`, where the name may hold
/// anything.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        name: name.to_owned(),
        is_dead: matches!(state, "Z" | "X"),
    })
}

/// Kills all descendants but some and what descends from those. Returns what was killed, and what
/// would not end.
pub(super) fn kill_all_but(spared: &[i32]) -> (Vec<Process>, Vec<Process>) {
    let living = || {
        let mut living = descendants_but(spared);
        living.retain(|process| !process.is_dead);
        living
    };
    let killed = living();
    let deadline = Instant::now() + DEATH;
    loop {
        let left = living();
        if left.is_empty() || Instant::now() >= deadline {
            return (killed, left);
        }
        for process in &left {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Takes the status of every orphan that has ended: those become children of the agent. The
/// statuses of processes that somebody waits for are left to them.
pub(super) fn reap_orphans(awaited: &[i32]) {
    loop {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let pid = match waitid(Id::All, flags) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            // Nobody has ended, or there is nobody.
            Ok(_) => return,
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        };
        if awaited.contains(&pid.as_raw()) {
            return;
        }
        // Anything else is one process less.
        let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let process = parse("77 (a) b (c) S 1 77 76 0 -1 4194560 101\n").unwrap();
        assert_eq!(process.name, "a) b (c");
        assert_eq!((process.pid, process.parent), (77, 1));
        assert!(!process.is_dead);
        assert!(parse("78 (x) Z 1 77 76 0\n").unwrap().is_dead);
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn children_and_their_children_are_descendants() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let grandchild: i32 = line.trim().parse().unwrap();
        let found: Vec<_> = descendants().iter().map(|p| p.pid).collect();
        assert!(found.contains(&i32::try_from(child.id()).unwrap()));
        assert!(found.contains(&grandchild));
        assert!(!found.contains(&1));
        kill(Pid::from_raw(grandchild), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
    }
}
