// SPDX-License-Identifier: MIT OR Apache-2.0

//! One bench.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Commands, Labgrid, Port, VALUE, words};
use crate::ssh;
use crate::stimulus::Point;

/// How long a board may take to boot, unless its bench says otherwise: seconds.
const BOOT_SECONDS: u64 = 120;

/// How long it is without power before it gets it again: capacitors keep it up for a while.
const OFF_SECONDS: u64 = 1;

/// How long it stays on without a user: seconds.
const IDLE_SECONDS: u64 = 60;

/// How long it may take to write a card: seconds.
const WRITE_SECONDS: u64 = 1800;

/// How long a command may take: seconds.
const COMMAND_SECONDS: u64 = 60;

/// A board of this PC, and what connects them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchDescription {
    /// The name of the board's type.
    pub board: String,
    /// How it is switched on and off. Without it, it is on, and who wants it off pulls the plug.
    pub power: Option<Power>,
    /// The place of a labgrid coordinator that the board is at: it has the power switch and the
    /// console, unless they are named here too.
    pub labgrid: Option<Labgrid>,
    /// Where the kernel's console ends.
    pub console: Option<Port>,
    /// How the agent is reached.
    pub agent: AgentPath,
    /// The card or disk that it boots from, where this PC can write it.
    pub storage: Option<Storage>,
    /// What can be done to the board while it runs, by name.
    #[serde(default)]
    pub stimulus: BTreeMap<String, Commands>,
    /// How long the board may take from power-on until its agent answers, seconds.
    #[serde(default = "boot_seconds")]
    pub boot_seconds: u64,
    /// How long it stays on, and is kept from others, without a run: seconds.
    #[serde(default = "idle_seconds")]
    pub idle_seconds: u64,
}

/// Commands that switch a board: words, run without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Gives it power.
    #[serde(deserialize_with = "words")]
    pub on: Vec<String>,
    /// Takes it away.
    #[serde(deserialize_with = "words")]
    pub off: Vec<String>,
    /// How long it stays without power before it is switched on again, seconds.
    #[serde(default = "off_seconds")]
    pub off_seconds: u64,
    /// How long either command may take, seconds.
    #[serde(default = "command_seconds")]
    pub command_seconds: u64,
}

/// Commands that write the card or disk that a board boots from: words, run without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Connects it with this PC, where a multiplexer does that.
    #[serde(default, deserialize_with = "words")]
    pub to_pc: Vec<String>,
    /// Writes it, as `bmaptool copy` does; `{}` is the image.
    #[serde(deserialize_with = "words")]
    pub write: Vec<String>,
    /// Connects it with the board.
    #[serde(default, deserialize_with = "words")]
    pub to_board: Vec<String>,
    /// How long writing may take, seconds.
    #[serde(default = "write_seconds")]
    pub write_seconds: u64,
}

/// How the agent is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AgentTable", into = "AgentTable")]
pub enum AgentPath {
    /// By the console, which it shares with the kernel: `on_console = true`.
    Console,
    /// By a port of its own.
    Port(Port),
    /// By a serial resource of its labgrid place: `resource = "agent"`.
    Resource(String),
    /// By a remote login: `ssh = { host = "pi.local", user = "root" }`.
    Ssh(ssh::Settings),
}

/// The table as written: exactly one way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentTable {
    #[serde(default)]
    on_console: bool,
    serial: Option<std::path::PathBuf>,
    baud: Option<u32>,
    socket: Option<String>,
    resource: Option<String>,
    ssh: Option<ssh::Settings>,
}

impl TryFrom<AgentTable> for AgentPath {
    type Error = String;

    fn try_from(table: AgentTable) -> Result<Self, String> {
        let baud = table.baud;
        let ways = [
            table.on_console.then_some(Self::Console),
            table
                .serial
                .map(|serial| Self::Port(Port::Serial { serial, baud })),
            table
                .socket
                .map(|socket| Self::Port(Port::Socket { socket })),
            table.resource.map(Self::Resource),
            table.ssh.map(Self::Ssh),
        ];
        let mut ways = ways.into_iter().flatten();
        match (ways.next(), ways.next()) {
            (Some(way), None) => Ok(way),
            (None, _) => {
                Err("names no way to the agent: on_console, serial, socket, resource or ssh".into())
            }
            (Some(_), Some(_)) => Err("names more than one way to the agent".into()),
        }
    }
}

impl From<AgentPath> for AgentTable {
    fn from(path: AgentPath) -> Self {
        let table = Self::default();
        match path {
            AgentPath::Console => Self {
                on_console: true,
                ..table
            },
            AgentPath::Port(Port::Serial { serial, baud }) => Self {
                serial: Some(serial),
                baud,
                ..table
            },
            AgentPath::Port(Port::Socket { socket }) => Self {
                socket: Some(socket),
                ..table
            },
            AgentPath::Resource(resource) => Self {
                resource: Some(resource),
                ..table
            },
            AgentPath::Ssh(settings) => Self {
                ssh: Some(settings),
                ..table
            },
        }
    }
}

impl BenchDescription {
    /// How long the board may take from power-on until its agent answers.
    pub fn boot(&self) -> Duration {
        Duration::from_secs(self.boot_seconds)
    }

    /// How long it stays on without a run.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// One word for what kind of bench it is.
    pub fn kind(&self) -> &'static str {
        if self.labgrid.is_some() {
            return "labgrid";
        }
        match &self.agent {
            AgentPath::Console => "console",
            AgentPath::Port(Port::Serial { .. }) => "serial",
            AgentPath::Port(Port::Socket { .. }) => "socket",
            AgentPath::Resource(_) => "labgrid",
            AgentPath::Ssh(_) => "ssh",
        }
    }

    /// What nobody else may use at the same time.
    pub fn resources(&self) -> Vec<String> {
        let agent = match &self.agent {
            AgentPath::Console | AgentPath::Resource(_) => None,
            AgentPath::Port(port) => Some(port.resource()),
            AgentPath::Ssh(settings) => Some(settings.resource()),
        };
        let console = self.console.iter().map(Port::resource);
        let place = self.labgrid.as_ref().and_then(Labgrid::resource);
        let mut all: Vec<_> = console.chain(agent).chain(place).collect();
        all.sort();
        all.dedup();
        all
    }

    /// What can be done to the board while it runs.
    pub fn stimulus(&self) -> Vec<Point> {
        let point = |(name, commands): (&String, &Commands)| Point {
            name: name.clone(),
            kind: commands.kind(),
        };
        self.stimulus.iter().map(point).collect()
    }

    /// What the types cannot rule out.
    pub(super) fn contradiction(&self) -> Option<String> {
        let labgrid = self.labgrid.as_ref();
        let has_console = self.console.is_some() || labgrid.is_some_and(|l| l.console.is_some());
        if self.agent == AgentPath::Console && !has_console {
            return Some("agent.on_console is true, but there is no console".into());
        }
        if matches!(self.agent, AgentPath::Resource(_)) && labgrid.is_none() {
            return Some(
                "agent.resource is one of a labgrid place, but there is no labgrid".into(),
            );
        }
        if let Some(contradiction) = labgrid.and_then(Labgrid::contradiction) {
            return Some(contradiction.into());
        }
        let words = self.power.iter().flat_map(|power| [&power.on, &power.off]);
        if words.into_iter().any(Vec::is_empty) {
            return Some("power.on and power.off must name a program".into());
        }
        if let Some(storage) = &self.storage {
            if !storage.write.iter().any(|word| word.contains(VALUE)) {
                return Some("has no {} in storage.write where the image goes".into());
            }
        }
        let stimulus = self.stimulus.iter();
        let of_stimulus = stimulus.filter_map(|(name, commands)| commands.contradiction(name));
        if let Some(what) = of_stimulus.into_iter().next() {
            return Some(what);
        }
        match &self.agent {
            AgentPath::Ssh(settings) => settings.contradiction().map(Into::into),
            AgentPath::Console | AgentPath::Port(_) | AgentPath::Resource(_) => None,
        }
    }
}

const fn boot_seconds() -> u64 {
    BOOT_SECONDS
}

const fn off_seconds() -> u64 {
    OFF_SECONDS
}

const fn idle_seconds() -> u64 {
    IDLE_SECONDS
}

const fn write_seconds() -> u64 {
    WRITE_SECONDS
}

const fn command_seconds() -> u64 {
    COMMAND_SECONDS
}
