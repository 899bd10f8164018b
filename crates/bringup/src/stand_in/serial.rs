// SPDX-License-Identifier: MIT OR Apache-2.0

//! A serial port as an adapter makes one, played by a pseudo-terminal.
//!
//! It is there whether the board has power or not, and whether anybody listens or not; what nobody
//! takes in time is lost, as on a wire.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hil::wiring::Duplex;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

use crate::failure::{OrFail, Result};

/// How long a byte waits for somebody to take it.
const LOST: Duration = Duration::from_millis(300);

/// Where what is sent to the board goes, while it has power.
type ToBoard = Arc<Mutex<Option<Box<dyn Write + Send>>>>;

/// A serial port.
pub(super) struct SerialPort {
    path: PathBuf,
    /// The adapter's side.
    adapter: File,
    /// The PC's side. As long as it is open, the other knows no hangup.
    _pc: File,
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
    /// A port of this name.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let failed = || format!("cannot make the serial port {}", path.display());
        let (adapter, pc, name) = pseudo_terminal().or_environment(failed)?;
        if path.is_symlink() {
            std::fs::remove_file(path).or_environment(failed)?;
        }
        std::os::unix::fs::symlink(name, path).or_environment(failed)?;
        let to_board = ToBoard::default();
        let from_pc = adapter.try_clone().or_environment(failed)?;
        let board = to_board.clone();
        thread::spawn(move || carry_to_board(from_pc, &board));
        Ok(Self {
            path: path.to_owned(),
            adapter,
            _pc: pc,
            to_board,
        })
    }

    /// Its name on this PC.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Connects it with a board that has been switched on.
    pub(super) fn connect(&self, board: Duplex) {
        let Duplex { reader, writer } = board;
        self.set(Some(writer));
        if let Ok(adapter) = self.adapter.try_clone() {
            thread::spawn(move || carry_from_board(reader, adapter));
        }
    }

    /// The board is without power.
    pub(super) fn disconnect(&self) {
        self.set(None);
    }

    fn set(&self, board: Option<Box<dyn Write + Send>>) {
        *self.to_board.lock().unwrap_or_else(PoisonError::into_inner) = board;
    }
}

/// Both sides and the name of the PC's, which changes no byte. The adapter's never waits.
fn pseudo_terminal() -> nix::Result<(File, File, PathBuf)> {
    let pair = openpty(None, None)?;
    let mut settings = tcgetattr(&pair.slave)?;
    cfmakeraw(&mut settings);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
    fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let name = ttyname(&pair.slave)?;
    Ok((pair.master.into(), pair.slave.into(), name))
}

/// Waits until the port is ready for something; whether it is.
fn wait(port: &File, what: PollFlags, limit: PollTimeout) -> bool {
    let mut asked = [PollFd::new(port.as_fd(), what)];
    poll(&mut asked, limit).is_ok_and(|ready| ready > 0)
}

fn carry_to_board(mut from: File, board: &ToBoard) {
    let mut buffer = [0; 4096];
    loop {
        wait(&from, PollFlags::POLLIN, PollTimeout::NONE);
        match from.read(&mut buffer) {
            Ok(length) => {
                let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
                let written = board
                    .as_mut()
                    .map(|board| board.write_all(&buffer[..length]));
                if matches!(written, Some(Err(_))) {
                    *board = None;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

fn carry_from_board(mut from: Box<dyn Read + Send>, mut to: File) {
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
        let mut left = &buffer[..length];
        while !left.is_empty() && wait(&to, PollFlags::POLLOUT, patience) {
            patience = limit;
            match to.write(left) {
                Ok(written) => left = &left[written..],
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return,
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
        let port = SerialPort::new(&folder.path().join("console")).unwrap();
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
        let port = SerialPort::new(&folder.path().join("console")).unwrap();
        let mut board = connected(&port).unwrap();
        board
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        board.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
}
