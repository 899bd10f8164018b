// SPDX-License-Identifier: MIT OR Apache-2.0

//! A program that serves until it is dropped, and says when it is ready.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// How long it may take to be ready; a loaded PC needs several times the usual second.
const READY: Duration = Duration::from_secs(30);

/// How often it is looked whether it is.
const LOOK: Duration = Duration::from_millis(20);

/// A program that is running.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it and waits for a line that begins like this; returns what follows in that line.
    /// What it says goes to a file. Its sandbox must end all that it starts.
    pub(super) fn start(command: &mut Command, log: &Path, ready: &str) -> Result<(Self, String)> {
        let unwritable = || format!("cannot write {}", log.display());
        let output = File::create(log).or_environment(unwritable)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().or_environment(unwritable)?)
            .stderr(output)
            .spawn()
            .or_environment(|| "cannot start a server in the toolbox")?;
        let mut server = Self {
            child,
            log: log.to_owned(),
        };
        let said = server.wait(ready)?;
        Ok((server, said))
    }

    fn wait(&mut self, ready: &str) -> Result<String> {
        let deadline = Instant::now() + READY;
        loop {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            // A line that has just begun does not count.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if let Some(said) = whole.lines().find_map(|line| line.strip_prefix(ready)) {
                return Ok(said.to_owned());
            }
            let ended = self.child.try_wait().or_environment(|| "cannot wait")?;
            if ended.is_some() || Instant::now() >= deadline {
                let lines: Vec<_> = text.lines().map(str::to_owned).collect();
                let what = format!("{} does not say that it is ready", self.log.display());
                return Err(Failure::new(Exit::Infrastructure, what).evidence(lines));
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
