// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent's orders for one boot, packed into the initramfs.

use serde::{Deserialize, Serialize};

use crate::link::Line;

/// Where the agent finds its [`Plan`], a JSON document.
pub const PLAN_PATH: &str = "/bringup/plan.json";

/// What the agent does at boot, before it waits for requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where it is to be reached, unless only its services are.
    pub port: Option<Port>,
    /// Kernel modules, in the order in which they must be loaded.
    pub modules: Vec<Module>,
    /// Commands, each an absolute path with arguments, that run as long as the board is on and are
    /// no business of any test: a network, a server of remote logins.
    pub services: Vec<Vec<String>>,
}

/// Where the agent is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// A character device such as `ttyAMA0`, or the name of a virtio-serial port as
    /// `/sys/class/virtio-ports/*/name` shows it.
    pub name: String,
    /// What it can bear.
    pub kind: PortKind,
}

/// What a port can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortKind {
    /// [`Line::SERIAL`].
    Serial,
    /// [`Line::STREAM`].
    Stream,
}

impl PortKind {
    /// The line's properties.
    pub fn line(self) -> Line {
        match self {
            Self::Serial => Line::SERIAL,
            Self::Stream => Line::STREAM,
        }
    }
}

/// A kernel module of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Absolute path of its file.
    pub path: String,
    /// Whether it is what is being developed: between two runs it is unloaded and loaded anew.
    pub is_under_test: bool,
}
