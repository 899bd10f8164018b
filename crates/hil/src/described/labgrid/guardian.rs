// SPDX-License-Identifier: MIT OR Apache-2.0

//! Takes a place, and gives it back when it is no longer used, however this process ends.
//!
//! A shell has the client acquire the place, waits for the end of a pipe that only this process can
//! write to, and then has the client release it. So there is no moment at which this process could
//! end and leave the place acquired.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::client::{Client, forget_ambient};

/// How the client begins its only line when it has taken a place.
pub(super) const ACQUIRED: &str = "acquired place ";

/// Takes the place, says what the client has said, waits, then releases it and cancels its
/// reservation, if it has one.
const SCRIPT: &str = r#"
said=$("$@" --place "$bringup_place" acquire) || exit
name=$(printf '%s\n' "$said" | sed -n "s/^$bringup_acquired//p" | head -n 1)
printf '%s\n' "$said"
exec >&-
read -r _
[ -z "$name" ] || "$@" --place "$name" release || failed=1
[ -z "$bringup_token" ] || "$@" cancel-reservation "$bringup_token" || failed=1
exit ${failed:-0}
"#;

/// What gives a place back when it is dropped.
#[derive(Debug)]
pub(super) struct Guardian {
    child: Option<Child>,
    /// Whose end tells it to.
    _pipe: Option<ChildStdin>,
}

/// Why a place was not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// That could not even be tried, or nobody knows.
    Untried(io::Error),
    /// The client ended with this, or said nothing in time.
    Refused(String),
}

impl Guardian {
    /// Takes a place, by its name, alias or reservation; what the client said, too.
    pub(super) fn acquire(
        client: &Client,
        place: &str,
        token: Option<&str>,
    ) -> Result<(Self, String), NotTaken> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]);
        command.args(client.words(None, None, &[]));
        forget_ambient(&mut command);
        let mut child = command
            .env("bringup_place", place)
            .env("bringup_token", token.unwrap_or_default())
            .env("bringup_acquired", ACQUIRED)
            // Ctrl-C is for the process that it guards.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(NotTaken::Untried)?;
        let stdout = child.stdout.take();
        // From here on it gives back what it takes when this is dropped.
        let guardian = Self {
            _pipe: child.stdin.take(),
            child: Some(child),
        };
        let (sender, said) = channel();
        thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.map(|mut stdout| stdout.read_to_string(&mut text));
            // Nobody waits any more if it has taken too long.
            let _ = sender.send(read.transpose().map(|_| text));
        });
        match said.recv_timeout(client.limit()) {
            Ok(Ok(said)) if !said.is_empty() => Ok((guardian, said)),
            Ok(Err(error)) => Err(NotTaken::Untried(error)),
            Ok(Ok(_)) => Err(NotTaken::Refused(guardian.last_words())),
            Err(_) => Err(NotTaken::Refused(late(client.limit()))),
        }
    }

    /// What a client that has failed has said.
    fn last_words(mut self) -> String {
        let Some(child) = self.child.take() else {
            return String::new();
        };
        match child.wait_with_output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                format!("{}: {}", output.status, said.trim())
            }
            Err(error) => error.to_string(),
        }
    }

    /// Gives the place back now; what was said if that fails.
    pub(super) fn release(mut self, limit: Duration) -> Result<(), String> {
        let Some(child) = self.child.take() else {
            return Ok(());
        };
        drop(self);
        let (sender, ended) = channel();
        thread::spawn(move || {
            // Nobody waits any more if it has taken too long.
            let _ = sender.send(child.wait_with_output());
        });
        match ended.recv_timeout(limit) {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(late(limit)),
        }
    }
}

fn late(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}
