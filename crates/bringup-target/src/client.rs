// SPDX-License-Identifier: MIT OR Apache-2.0

//! `client`: this program once more, as a client in a process of its own, for rooms of the tour that
//! need one. What it has to say it prints, one number per line.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command as Process, ExitCode, Stdio};

use anyhow::Context as _;
use clap::Subcommand;
use dmacopy_client::{Device, Error};

use crate::exit;

/// What the client does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Open a session, and say with which error number that failed, or 0
    Open {
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
    exit::end(carry_out(command).map(|()| true))
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
        let mut child = Process::new(env::current_exe()?)
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
