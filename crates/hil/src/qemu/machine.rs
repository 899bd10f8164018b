// SPDX-License-Identifier: MIT OR Apache-2.0

//! An emulated board that has been switched on.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use board_spec::Board;
use command_fds::{CommandFdExt, FdMapping};

use super::Images;
use super::arguments::{
    AGENT_FD, CONSOLE_FD, MONITOR_FD, PERIPHERAL_FD, QTEST_FD, STORAGE_FD, arguments,
};
use super::monitor::Monitor;
use super::qtest::Qtest;
use super::stimulus::{Channels, Running};
use crate::Error;

/// How long the emulator may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// A running emulator. Dropping it ends the process.
#[derive(Debug)]
pub struct Machine {
    process: Child,
    running: Running,
    stderr: Option<JoinHandle<String>>,
    console: Option<UnixStream>,
    agent: Option<UnixStream>,
    _anchor: Anchor,
}

/// Keeps the thread alive that has started a process: one that is to end with its parent
/// (`PR_SET_PDEATHSIG` of `prctl(2)`) ends with that thread.
#[derive(Debug)]
struct Anchor {
    _thread_waits_for_its_end: Sender<()>,
}

/// Starts a process from a thread that lives as long as the anchor.
fn spawn_anchored(mut program: Command) -> Result<(Child, Anchor), Error> {
    let (anchor, end) = channel();
    let (sender, started) = channel();
    thread::spawn(move || {
        let process = program.spawn();
        // The command owns the emulator's halves: without them the end would not be seen.
        drop(program);
        // It is awaited.
        let _ = sender.send(process);
        let _ = end.recv();
    });
    let process = started.recv().map_err(io::Error::other);
    let process = process.and_then(|process| process).map_err(Error::Start)?;
    let anchor = Anchor {
        _thread_waits_for_its_end: anchor,
    };
    Ok((process, anchor))
}

impl Machine {
    /// Switches `board` on. Who stimulates it finds its channels in `running`; `storage` is its card
    /// or disk, `peripherals` are the sockets of what is played for it, in the order of their names. `program` runs `qemu-system-aarch64`, wherever that is installed, and must hand on
    /// the file descriptors it inherits; the arguments are added here.
    ///
    /// # Errors
    ///
    /// When the board has no emulation or the process cannot be started.
    pub(super) fn start(
        mut program: Command,
        board: &Board,
        images: &Images,
        storage: Option<File>,
        peripherals: Vec<OwnedFd>,
        running: Running,
    ) -> Result<Self, Error> {
        let qemu = board.qemu.as_ref().ok_or_else(|| Error::NotEmulated {
            board: board.name.clone(),
        })?;
        let mut pairs = Vec::new();
        let mut mappings = Vec::new();
        for child_fd in [CONSOLE_FD, AGENT_FD, MONITOR_FD, QTEST_FD] {
            let (ours, theirs) = UnixStream::pair().map_err(Error::Channel)?;
            let parent_fd = OwnedFd::from(theirs);
            mappings.push(FdMapping {
                parent_fd,
                child_fd,
            });
            pairs.push(ours);
        }
        let has_storage = storage.is_some();
        mappings.extend(storage.map(|file| FdMapping {
            parent_fd: file.into(),
            child_fd: STORAGE_FD,
        }));
        let peripherals = (PERIPHERAL_FD..).zip(peripherals);
        mappings.extend(peripherals.map(|(child_fd, parent_fd)| FdMapping {
            parent_fd,
            child_fd,
        }));
        program
            .args(arguments(board, qemu, images, has_storage))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .fd_mappings(mappings)
            .map_err(|collision| Error::Channel(io::Error::other(collision)))?;
        let [console, agent, monitor, qtest] = <[UnixStream; 4]>::try_from(pairs)
            .map_err(|_| Error::Channel(io::Error::other("a channel is missing")))?;
        let channels = Channels {
            monitor: Monitor::new(monitor).map_err(Error::Channel)?,
            qtest: Qtest::new(qtest).map_err(Error::Channel)?,
        };
        let (mut process, anchor) = spawn_anchored(program)?;
        let stderr = process.stderr.take().map(|mut pipe| {
            thread::spawn(move || {
                let mut text = Vec::new();
                // An unreadable pipe only costs the explanation.
                let _ = pipe.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        *running.lock() = Some(channels);
        Ok(Self {
            process,
            running,
            stderr,
            console: Some(console),
            agent: Some(agent),
            _anchor: anchor,
        })
    }

    /// The process that was started: the emulator, or what runs it in a sandbox and ends with it.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Hands out the console; there is one reader.
    pub(super) fn take_console(&mut self) -> Option<UnixStream> {
        self.console.take()
    }

    /// Hands out the agent's port; there is one reader.
    pub(super) fn take_agent(&mut self) -> Option<UnixStream> {
        self.agent.take()
    }

    /// Whether the process has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }

    /// Ends the emulator: by its monitor, or, if that does not help, by killing it.
    ///
    /// # Errors
    ///
    /// When the process cannot be waited for.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        // Held until the process has ended: a channel that is closed is not read to its end.
        let mut channels = self.running.lock().take();
        if let Some(channels) = &mut channels {
            // A process that has ended already refuses the command, and that is fine.
            let _ = channels.monitor.quit();
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.process.kill()?;
        self.process.wait()
    }

    /// Stops the emulator and returns how it ended and what it said on standard error.
    pub(super) fn end(&mut self) -> (String, String) {
        let status = match self.stop() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
        (status, stderr.unwrap_or_default())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot even be waited for.
        let _ = self.stop();
    }
}
