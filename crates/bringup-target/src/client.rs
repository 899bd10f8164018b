// SPDX-License-Identifier: MIT OR Apache-2.0

//! `client`: this program once more, as a client in a process of its own, for rooms of the tour that
//! need one. What it has to say it prints, one number per line.

mod sandbox;

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command as Process, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use dmacopy_client::{Device, Error};
use kernel_channels::Interest;

use crate::exit;
use crate::tour::pattern;

/// How many bytes a client moves, and which.
pub(crate) const LENGTH: usize = 1021;
pub(crate) const SEED: u64 = 17;
/// Longer than any transfer takes, on the slowest emulated board.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

/// What the client does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Open a session, and say with which error number that failed, or 0
    Open {
        /// The device's node
        node: PathBuf,
    },
    /// Open a session, write to its stream, say the number of its descriptor, and keep it
    Hold {
        /// The device's node
        node: PathBuf,
    },
    /// Give up all rights but to copy, copy, say what came of that and of an attempt to do more, and
    /// do more
    Sandbox {
        /// The device's node
        node: PathBuf,
    },
    /// Set an attribute, and say with which error number that failed, or 0
    Set {
        /// The device's node
        node: PathBuf,
        /// The attribute
        attribute: String,
        /// What to write
        value: String,
    },
}

pub(crate) fn run(command: &Command) -> ExitCode {
    exit::end(false, carry_out(command).map(|()| true))
}

fn carry_out(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Open { node } => {
            let session = Device::open(node)?.session();
            println!(
                "{}",
                number(session.as_ref().err().map(Error::raw_os_error))
            );
        }
        Command::Hold { node } => hold(&Device::open(node)?)?,
        Command::Sandbox { node } => sandbox::run(&Device::open(node)?)?,
        Command::Set {
            node,
            attribute,
            value,
        } => {
            let device = Device::open(node)?;
            let set = device.attributes().directory().set(attribute, value);
            println!("{}", number(set.err().map(|error| error.raw_os_error())));
        }
    }
    Ok(())
}

/// Waits for the other end to have seen enough.
fn wait() -> anyhow::Result<()> {
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn hold(device: &Device) -> anyhow::Result<()> {
    let session = device.session()?;
    let taken = session.write(&pattern(SEED, LENGTH))?;
    ensure!(taken == LENGTH, "the driver took {taken} of {LENGTH} bytes");
    session.poll(Interest::READABLE, PATIENCE)?;
    println!("{}", session.as_fd().as_raw_fd());
    wait()
}

/// The error number of an attempt; 0 if it has succeeded, and -1 if the kernel had no part in it.
fn number(errno: Option<Option<i32>>) -> i32 {
    errno.map_or(0, |errno| errno.unwrap_or(-1))
}

/// The tour's end. The client is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Client {
    /// Starts a client that does something on a device.
    pub(crate) fn start(what: &str, node: &Path, more: &[&str]) -> anyhow::Result<Self> {
        let mut child = Process::new(env::current_exe().context("cannot find this program")?)
            .args(["client", what])
            .arg(node)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a client")?;
        let said = child.stdout.take().map(BufReader::new);
        let said = said.context("no pipe")?;
        Ok(Self { child, said })
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to go on.
    pub(crate) fn go(&mut self) -> anyhow::Result<()> {
        let pipe = self.child.stdin.as_mut().context("no pipe")?;
        Ok(pipe.write_all(b"\n")?)
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Waits for the next number that it says.
    pub(crate) fn number(&mut self) -> anyhow::Result<i32> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        let number = line.trim().parse();
        number.with_context(|| format!("the client says {line:?}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
