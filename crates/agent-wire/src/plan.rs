// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent's orders for one boot, packed into the initramfs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where the agent finds its [`Plan`], a JSON document.
pub const PLAN_PATH: &str = "/bringup/plan.json";

/// What the agent does after boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name of the port for frames: a character device such as `ttyAMA0`, or the name of a
    /// virtio-serial port as `/sys/class/virtio-ports/*/name` shows it.
    pub port: String,
    /// Absolute paths of kernel modules, in the order in which they must be loaded.
    pub modules: Vec<String>,
    /// Run one after the other; a failing program does not keep the next from running.
    pub programs: Vec<Program>,
    /// Leave the board running after the last program instead of powering it off.
    pub keep_running: bool,
}

/// One program to run on the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Absolute path and arguments.
    pub command: Vec<String>,
    /// Environment, added to the agent's own.
    pub environment: BTreeMap<String, String>,
    /// How long it may run, in seconds; then it is killed, with all of its process group.
    pub limit_seconds: u64,
}
