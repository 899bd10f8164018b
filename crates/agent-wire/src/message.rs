// SPDX-License-Identifier: MIT OR Apache-2.0

//! The messages that frames carry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One message from the agent to the PC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// The agent runs and the port is open.
    Ready {
        /// `uname -r` on the board.
        kernel: String,
        /// Time since the kernel started, milliseconds.
        uptime_ms: u64,
    },
    /// A module was not loaded; nothing is run after this.
    ModuleRefused {
        /// Path of the module.
        module: String,
        /// The error of `finit_module(2)`, or that it did not return.
        error: String,
        /// The kernel's messages since the agent began to load modules.
        kernel_log: String,
    },
    /// A program has been started.
    Started {
        /// Index into [`crate::Plan::programs`].
        program: usize,
    },
    /// A program has written something.
    Output {
        /// Index into [`crate::Plan::programs`].
        program: usize,
        /// Where to.
        stream: Stream,
        /// What, exactly as written.
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
    },
    /// A program has ended, or could not be started.
    Ended {
        /// Index into [`crate::Plan::programs`].
        program: usize,
        /// Its exit status, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Why it could not be started, or that it was killed because it ran for too long.
        error: Option<String>,
        /// The kernel's messages while it ran.
        kernel_log: String,
    },
    /// All programs have ended; the board powers off or stays idle.
    Finished {
        /// `/proc/sys/kernel/tainted`.
        taint: u64,
    },
}

/// One of a program's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Bytes as base64 text: output need not be UTF-8.
mod bytes {
    use super::{Deserialize, Deserializer, Engine, STANDARD, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
