// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where a line ends, and how it is opened.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_wire::link;
use serialport::{ClearBuffer, SerialPort};

use super::telnet;
use crate::description::Port;
use crate::wiring::Duplex;

/// How long a reader waits before it looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// How long a line may take no byte before what was to be sent is given up.
const WRITE: Duration = Duration::from_secs(5);

/// How long another computer may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// Where a line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Serial {
        path: PathBuf,
        baud: u32,
    },
    Socket(String),
    /// Behind a telnet server.
    Telnet(String),
}

impl Address {
    pub(super) fn new(port: &Port, baud_of_board: u32) -> Self {
        match port {
            Port::Serial { serial, baud } => Self::Serial {
                path: serial.clone(),
                baud: baud.unwrap_or(baud_of_board),
            },
            Port::Socket { socket } => Self::Socket(socket.clone()),
        }
    }

    /// What the line bears: behind a socket too there is a serial port.
    pub(super) fn line(&self) -> link::Line {
        link::Line::SERIAL
    }

    /// Opens it. What had come before is gone.
    pub(super) fn open(&self) -> io::Result<Duplex> {
        match self {
            Self::Serial { path, baud } => {
                refuse_other_terminal(path)?;
                let path = path.to_string_lossy();
                let reader = serialport::new(path, *baud).timeout(LOOK).open_native()?;
                reader.clear(ClearBuffer::All)?;
                let mut writer = reader.try_clone_native()?;
                writer.set_timeout(WRITE)?;
                Ok(Duplex {
                    reader: Box::new(reader),
                    writer: Box::new(writer),
                })
            }
            Self::Telnet(address) => telnet::open(connect(address)?),
            Self::Socket(address) => {
                let reader = connect(address)?;
                let writer = reader.try_clone()?;
                Ok(Duplex {
                    reader: Box::new(reader),
                    writer: Box::new(writer),
                })
            }
        }
    }
}

/// Refuses a link to a pseudo-terminal that is younger than itself: what the link was made for is
/// gone, and its number has become somebody else's terminal (`pts(4)`).
fn refuse_other_terminal(path: &Path) -> io::Result<()> {
    let place = path.canonicalize()?;
    if place == path || !place.starts_with("/dev/pts") {
        return Ok(());
    }
    let changed = |metadata: Metadata| (metadata.ctime(), metadata.ctime_nsec());
    let link = changed(path.symlink_metadata()?);
    if changed(place.metadata()?) > link {
        let what = format!("{} has become another terminal", place.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    Ok(())
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let found = address.to_socket_addrs()?.next();
    let found = found.ok_or_else(|| io::Error::other("it has no address"))?;
    let stream = TcpStream::connect_timeout(&found, CONNECT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(WRITE))?;
    Ok(stream)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { path, .. } => write!(f, "{}", path.display()),
            Self::Socket(address) | Self::Telnet(address) => f.write_str(address),
        }
    }
}
