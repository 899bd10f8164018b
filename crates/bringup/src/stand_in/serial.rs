// SPDX-License-Identifier: MIT OR Apache-2.0

//! A serial port as an adapter makes one, played by a pseudo-terminal.
//!
//! It is there whether the board has power or not, and whether anybody listens or not; what nobody
//! takes in time is lost, as on a wire.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use hil::wiring::Duplex;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

use super::wire::{Harm, Wire};
use crate::failure::{OrFail, Result};

/// How long a byte waits for somebody to take it.
const LOST: Duration = Duration::from_millis(300);

/// How often a port that nothing comes from looks whether it has been pulled.
const LOOK: Duration = Duration::from_millis(50);

/// Where what is sent to the board goes, while it has power.
type ToBoard = Arc<Mutex<Option<Box<dyn Write + Send>>>>;

/// The adapter's side of a port that is plugged in.
type Adapter = Arc<Mutex<Option<Arc<File>>>>;

/// A serial port.
pub(super) struct SerialPort {
    path: PathBuf,
    harm: Option<Harm>,
    adapter: Adapter,
    /// The PC's side. As long as it is open, the other knows no hangup.
    pc: Option<File>,
    to_board: ToBoard,
}

impl std::fmt::Debug for SerialPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SerialPort")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SerialPort {
    /// A port of this name, plugged in, on a good line or one that does harm.
    pub(super) fn new(path: &Path, harm: Option<Harm>) -> Result<Self> {
        let mut port = Self {
            path: path.to_owned(),
            harm,
            adapter: Adapter::default(),
            pc: None,
            to_board: ToBoard::default(),
        };
        port.plug(true)?;
        Ok(port)
    }

    /// Its name on this PC.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Connects it with a board that has been switched on.
    pub(super) fn connect(&self, board: Duplex) {
        let Duplex { reader, writer } = board;
        *lock(&self.to_board) = Some(writer);
        let (adapter, wire) = (self.adapter.clone(), Wire::new(self.harm.clone(), 2));
        thread::spawn(move || carry_from_board(reader, &adapter, wire));
    }

    /// The board is without power.
    pub(super) fn disconnect(&self) {
        *lock(&self.to_board) = None;
    }

    /// Plugs it into the PC, or pulls it, unless that is so already.
    pub(super) fn plug(&mut self, is_in: bool) -> Result<()> {
        if is_in == self.pc.is_some() {
            return Ok(());
        }
        let failed = || format!("cannot make the serial port {}", self.path.display());
        if self.path.is_symlink() {
            std::fs::remove_file(&self.path).or_environment(failed)?;
        }
        if !is_in {
            *lock(&self.adapter) = None;
            self.pc = None;
            return Ok(());
        }
        let (adapter, pc, name) = pseudo_terminal().or_environment(failed)?;
        std::os::unix::fs::symlink(name, &self.path).or_environment(failed)?;
        let adapter = Arc::new(adapter);
        let (from_pc, board) = (Arc::downgrade(&adapter), self.to_board.clone());
        let wire = Wire::new(self.harm.clone(), 1);
        thread::spawn(move || carry_to_board(&from_pc, &board, wire));
        *lock(&self.adapter) = Some(adapter);
        self.pc = Some(pc);
        Ok(())
    }
}

impl Drop for SerialPort {
    fn drop(&mut self) {
        // Its name would soon be that of another terminal.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both sides and the name of the PC's, which changes no byte. The adapter's never waits.
fn pseudo_terminal() -> nix::Result<(File, File, PathBuf)> {
    let pair = openpty(None, None)?;
    let mut settings = tcgetattr(&pair.slave)?;
    cfmakeraw(&mut settings);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
    fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    for side in [&pair.master, &pair.slave] {
        // An emulator that inherits it would keep a port that was pulled.
        fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    let name = ttyname(&pair.slave)?;
    Ok((pair.master.into(), pair.slave.into(), name))
}

/// Waits until the port is ready for something; whether it is.
fn wait(port: &File, what: PollFlags, limit: PollTimeout) -> bool {
    let mut asked = [PollFd::new(port.as_fd(), what)];
    poll(&mut asked, limit).is_ok_and(|ready| ready > 0)
}

/// Carries until the port is pulled.
fn carry_to_board(from: &Weak<File>, board: &ToBoard, mut wire: Wire) {
    let look = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
    let mut buffer = [0; 4096];
    while let Some(from) = from.upgrade() {
        if !wait(&from, PollFlags::POLLIN, look) {
            continue;
        }
        match (&*from).read(&mut buffer) {
            Ok(length) => {
                let arrived = wire.carry(&buffer[..length]);
                let mut board = lock(board);
                let written = board.as_mut().map(|board| board.write_all(&arrived));
                if matches!(written, Some(Err(_))) {
                    *board = None;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

/// Carries until the board is off. Where no port is plugged in, it goes nowhere.
fn carry_from_board(mut from: Box<dyn Read + Send>, adapter: &Adapter, mut wire: Wire) {
    let mut buffer = [0; 4096];
    let limit = PollTimeout::try_from(LOST).unwrap_or(PollTimeout::ZERO);
    // Once somebody has not listened, nobody waits for him any more.
    let mut patience = limit;
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => length,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let arrived = wire.carry(&buffer[..length]);
        let Some(to) = lock(adapter).clone() else {
            continue;
        };
        let mut left = arrived.as_slice();
        while !left.is_empty() && wait(&to, PollFlags::POLLOUT, patience) {
            patience = limit;
            match (&*to).write(left) {
                Ok(written) => left = &left[written..],
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => break,
            }
        }
        if !left.is_empty() {
            patience = PollTimeout::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// The board at the other end of a port.
    fn connected(port: &SerialPort) -> std::io::Result<UnixStream> {
        let (board, wire) = UnixStream::pair()?;
        port.connect(Duplex {
            reader: Box::new(wire.try_clone()?),
            writer: Box::new(wire),
        });
        Ok(board)
    }

    #[test]
    fn what_is_said_on_one_side_is_heard_on_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let port = SerialPort::new(&folder.path().join("console"), None).unwrap();
        let mut board = connected(&port).unwrap();
        let name = port.path().to_string_lossy();
        let pc = serialport::new(name, 115_200).timeout(Duration::from_secs(10));
        let mut pc = pc.open_native().unwrap();
        let mut heard = [0; 6];
        board.write_all(b"Linux\n").unwrap();
        pc.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"Linux\n");
        pc.write_all(b"\x03~\r\nx").unwrap();
        let mut heard = [0; 5];
        board.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"\x03~\r\nx");
    }

    #[test]
    fn a_board_that_nobody_listens_to_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let port = SerialPort::new(&folder.path().join("console"), None).unwrap();
        let mut board = connected(&port).unwrap();
        board
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        board.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }

    #[test]
    fn a_port_that_was_pulled_is_gone_and_another_one_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut port = SerialPort::new(&folder.path().join("agent"), None).unwrap();
        let mut board = connected(&port).unwrap();
        let open = |port: &SerialPort| {
            let name = port.path().to_string_lossy().into_owned();
            let pc = serialport::new(name, 115_200).timeout(Duration::from_secs(10));
            pc.open_native()
        };
        let mut pc = open(&port).unwrap();
        // A program that is started meanwhile has nothing of it.
        let mut other = std::process::Command::new("sleep")
            .arg("20")
            .spawn()
            .unwrap();
        port.plug(false).unwrap();
        // Whoever has it open is told.
        let told = pc.read(&mut [0]);
        let timed_out = |error: &std::io::Error| error.kind() == ErrorKind::TimedOut;
        assert!(told.is_err_and(|error| !timed_out(&error)));
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(open(&port).is_err());
        board.write_all(b"nobody hears that").unwrap();
        thread::sleep(Duration::from_millis(100));
        port.plug(true).unwrap();
        let mut pc = open(&port).unwrap();
        board.write_all(b"again").unwrap();
        let mut heard = [0; 5];
        pc.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"again");
        pc.write_all(b"yes").unwrap();
        let mut heard = [0; 3];
        board.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"yes");
    }
}
