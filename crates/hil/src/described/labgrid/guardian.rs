// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gives a place back when it is no longer used, however this process ends.
//!
//! A shell waits for the end of a pipe that only this process can write to, and then has the client
//! release the place.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::client::{Client, forget_ambient};

/// Waits, then releases the place and cancels its reservation, if it has one.
const SCRIPT: &str = r#"
read -r _
"$@" --place "$bringup_place" release || failed=1
[ -z "$bringup_token" ] || "$@" cancel-reservation "$bringup_token" || failed=1
exit ${failed:-0}
"#;

/// What gives a place back when it is dropped.
#[derive(Debug)]
pub(super) struct Guardian(Option<Child>);

impl Guardian {
    pub(super) fn new(client: &Client, place: &str, token: Option<&str>) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]);
        command.args(client.words(None, None, &[]));
        forget_ambient(&mut command);
        let child = command
            .env("bringup_place", place)
            .env("bringup_token", token.unwrap_or_default())
            // Ctrl-C is for the process that it guards.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self(Some(child)))
    }

    /// Gives the place back now; what was said if that fails.
    pub(super) fn release(mut self, limit: Duration) -> Result<(), String> {
        let Some(mut child) = self.0.take() else {
            return Ok(());
        };
        drop(child.stdin.take());
        let (sender, ended) = channel();
        thread::spawn(move || {
            // Nobody waits any more if it has taken too long.
            let _ = sender.send(child.wait_with_output());
        });
        match ended.recv_timeout(limit) {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
        }
    }
}
