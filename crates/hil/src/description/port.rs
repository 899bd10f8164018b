// SPDX-License-Identifier: MIT OR Apache-2.0

//! A port of this PC that a board's line ends at.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A port of this PC, or of one that passes a line on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PortTable", into = "PortTable")]
pub enum Port {
    /// A serial port: `serial = "/dev/ttyUSB0"`.
    Serial {
        /// Its character device. The names in `/dev/serial/by-id` stay the same.
        serial: PathBuf,
        /// Bits per second; the board's own unless given.
        baud: Option<u32>,
    },
    /// A TCP port that carries the line's bytes and nothing else, as `ser2net` serves one with
    /// `accepter: tcp`: `socket = "host:port"`.
    Socket {
        /// Host and port.
        socket: String,
    },
}

/// The table as written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortTable {
    serial: Option<PathBuf>,
    baud: Option<u32>,
    socket: Option<String>,
}

impl TryFrom<PortTable> for Port {
    type Error = &'static str;

    fn try_from(table: PortTable) -> Result<Self, &'static str> {
        match (table.serial, table.socket, table.baud) {
            (Some(serial), None, baud) => Ok(Self::Serial { serial, baud }),
            (None, Some(socket), None) => Ok(Self::Socket { socket }),
            (None, Some(_), Some(_)) => Err("baud is said of a socket, which has none"),
            (None, None, _) => Err("names no port: serial or socket"),
            (Some(_), Some(_), _) => Err("names more than one port"),
        }
    }
}

impl From<Port> for PortTable {
    fn from(port: Port) -> Self {
        let table = Self::default();
        match port {
            Port::Serial { serial, baud } => Self {
                serial: Some(serial),
                baud,
                ..table
            },
            Port::Socket { socket } => Self {
                socket: Some(socket),
                ..table
            },
        }
    }
}

impl Port {
    /// What two users of the same port both call it.
    pub fn resource(&self) -> String {
        match self {
            Self::Serial { serial, .. } => {
                let path = serial.canonicalize().unwrap_or_else(|_| serial.clone());
                path.display().to_string()
            }
            Self::Socket { socket } => socket.clone(),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { serial, .. } => write!(f, "{}", serial.display()),
            Self::Socket { socket } => f.write_str(socket),
        }
    }
}
