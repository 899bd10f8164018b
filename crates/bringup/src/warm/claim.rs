// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps a described bench from everyone else on this PC, whichever user and checkout they are:
//! its ports are claimed by locks that all of them know.
//!
//! The server of the bench takes the locks over as messages, not as descriptors that it inherits:
//! what it starts itself inherits none of them.
//!
//! # References
//!
//! - `unix(7)`, `SCM_RIGHTS`; `recvmsg(2)`, `MSG_CMSG_CLOEXEC`

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use hil::description::BenchDescription;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::lock::Lock;
use crate::progress::Progress;

/// Where programs keep locks on devices (Filesystem Hierarchy Standard 3.0, 5.9), and where it is
/// missing.
const FOLDERS: [&str; 3] = ["/run/lock", "/var/lock", "/tmp"];

/// How many claims one message carries at most (`SCM_MAX_FD` in `include/net/scm.h`).
const MOST: usize = 253;

/// Claims all that a bench uses; says so if that means waiting.
pub(super) fn all(
    name: &str,
    description: &BenchDescription,
    progress: &Progress,
) -> Result<Vec<Lock>> {
    let mut folders = FOLDERS.iter().map(Path::new);
    let folder = folders.find(|folder| folder.is_dir());
    let folder = folder.unwrap_or(Path::new("."));
    // In one order for all, so that nobody waits for each other.
    let resources = description.resources();
    let claim = |resource: &String| {
        let what = format!("bench {name} ({resource})");
        Lock::take_from_all_users(&path(folder, resource), &what, progress)
    };
    resources.iter().map(claim).collect()
}

/// The lock of a resource.
fn path(folder: &Path, resource: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = resource
        .trim_start_matches('/')
        .chars()
        .map(plain)
        .collect();
    folder.join(format!("bringup-{name}.lock"))
}

/// What the server gets as its standard input: a socket in which the claims are waiting. They are
/// held until it has fetched them, or nobody can any more.
pub(super) fn hand_on(claims: &[Lock]) -> Result<OwnedFd> {
    let locks = claims.iter().map(Lock::inheritable);
    let locks: Vec<OwnedFd> = locks.collect::<Result<_>>()?;
    send(&locks).or_environment(|| "cannot hand on the claims on the bench")
}

fn send(locks: &[OwnedFd]) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    let locks: Vec<_> = locks.iter().map(AsFd::as_fd).collect();
    let message = SendAncillaryMessage::ScmRights(&locks);
    let mut space = vec![MaybeUninit::uninit(); message.size()];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // A message without descriptors says that there is nothing to claim.
    if !locks.is_empty() && !control.push(message) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Descriptors travel with bytes only.
    sendmsg(
        ours,
        &[IoSlice::new(b"\n")],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(theirs.into())
}

/// The claims that whoever has started this server left in its standard input. They are held as
/// long as they are kept.
pub(super) fn take_over() -> Result<Vec<OwnedFd>> {
    receive(io::stdin()).or_fail(
        Exit::Refused,
        || "cannot take over the claims on the bench: it is not for users to start this",
    )
}

fn receive(socket: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // What was sent before this process began is there, or never will be.
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut byte = [0];
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )?;
    let mut claims = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            claims.extend(descriptors);
        }
    }
    // This process may not have as many open.
    if received.bytes == 0 || received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::fs::{FlockOperation, flock};

    use super::*;
    use crate::lock::Mode;

    fn is_free(path: &Path) -> bool {
        let file = File::open(path).unwrap();
        flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    #[test]
    fn claims_are_the_servers_and_not_of_what_it_starts() {
        let folder = tempfile::tempdir().unwrap();
        let progress = Progress::new(false, folder.path().join("logs"));
        let paths = ["console", "agent"].map(|name| folder.path().join(name));
        let locks: Vec<_> = paths
            .iter()
            .map(|path| Lock::take(path, Mode::Exclusive, &progress).unwrap())
            .collect();
        let socket = hand_on(&locks).unwrap();
        drop(locks);
        let are_free = || paths.iter().all(|path| is_free(path));
        assert!(paths.iter().all(|path| !is_free(path)), "not on the way");
        let claims = receive(&socket).unwrap();
        assert_eq!(claims.len(), 2);
        assert!(paths.iter().all(|path| !is_free(path)), "not by the server");
        // What a command that switches the power leaves running.
        let mut daemon = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        drop(claims);
        // What another test starts in this process shares all until it becomes another program.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !are_free() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let freed = are_free();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        assert!(freed, "what the server has started keeps the claims");
        // One who starts it by hand has none.
        assert!(receive(&socket).is_err());
        assert!(receive(File::open("/dev/null").unwrap()).is_err());
        let nothing = hand_on(&[]).unwrap();
        assert!(receive(nothing).unwrap().is_empty());
    }

    #[test]
    fn a_resource_has_one_lock_whoever_asks() {
        let folder = Path::new("/run/lock");
        assert_eq!(
            path(folder, "/dev/ttyUSB0"),
            Path::new("/run/lock/bringup-dev_ttyUSB0.lock")
        );
        assert_eq!(
            path(folder, "farm.lab:2001"),
            Path::new("/run/lock/bringup-farm_lab_2001.lock")
        );
    }
}
