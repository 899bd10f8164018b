// SPDX-License-Identifier: MIT OR Apache-2.0

//! Clients in processes of their own, which a test can stop and kill.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::{Result, in_thread};

/// How a test learns that it is to be the client, and which.
const ROLE: &str = "ON_TARGET_ROLE";

/// What a client says when it has done what the test waits for.
const READY: &str = "ready";

/// How long a client may take for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// The role of this process, if it is a client. Each of the tests that need one begins by asking.
pub fn role() -> Option<Role> {
    env::var(ROLE).ok().map(|name| Role { name })
}

/// The client's end.
#[derive(Debug)]
pub struct Role {
    /// Which client to be, as the test has said.
    pub name: String,
}

impl Role {
    /// Tells the test that all is prepared.
    ///
    /// # Errors
    ///
    /// When the test has gone.
    pub fn ready(&self) -> Result<()> {
        Ok(writeln!(io::stderr(), "{READY}")?)
    }

    /// Waits for the test to say that it is time.
    ///
    /// # Errors
    ///
    /// When the test has gone.
    pub fn wait(&self) -> Result<()> {
        Ok(io::stdin().read_exact(&mut [0])?)
    }
}

/// The test's end. The client is killed when this is dropped.
#[derive(Debug)]
pub struct Client {
    child: Child,
}

impl Client {
    /// Starts the same test as a client, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it ends before that or takes too long.
    pub fn start(test: &str, role: &str) -> Result<Self> {
        let child = Command::new(env::current_exe()?)
            .args(["--include-ignored", "--nocapture", "--exact", test])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut client = Self { child };
        let errors = client.child.stderr.take().ok_or("no pipe")?;
        let said = in_thread(move || {
            let mut lines = BufReader::new(errors).lines().map_while(io::Result::ok);
            let mut said = Vec::new();
            let ready = lines.any(|line| {
                said.push(line);
                said.last().is_some_and(|line| line == READY)
            });
            // What follows is not of interest, but the client must be able to say it.
            in_thread(move || lines.count());
            if ready { Ok(()) } else { Err(said.join("\n")) }
        });
        said.recv_timeout(PATIENCE)??;
        Ok(client)
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells the client that it is time.
    ///
    /// # Errors
    ///
    /// When it has gone.
    pub fn go(&mut self) -> Result<()> {
        let pipe = self.child.stdin.as_mut().ok_or("no pipe")?;
        Ok(pipe.write_all(b"\n")?)
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// What `kill(2)` returned.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(self.process()?, signal)?)
    }

    /// Waits until the client has been stopped by `SIGSTOP`.
    ///
    /// # Errors
    ///
    /// When it has ended instead.
    pub fn stopped(&self) -> Result<()> {
        match waitpid(self.process()?, Some(WaitPidFlag::WUNTRACED))? {
            WaitStatus::Stopped(..) => Ok(()),
            other => Err(format!("not stopped: {other:?}").into()),
        }
    }

    /// Waits for the client's end.
    ///
    /// # Errors
    ///
    /// When it takes too long.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let status = crate::wait_until(|| Ok(self.child.try_wait()?), Option::is_some)?;
        status.ok_or_else(|| "no status".into())
    }

    fn process(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
