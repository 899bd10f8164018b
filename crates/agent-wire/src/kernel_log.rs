// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One message of the kernel's log.
///
/// # References
///
/// - `Documentation/ABI/testing/dev-kmsg`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number; each boot counts from 0.
    pub sequence: u64,
    /// When, microseconds since the kernel started.
    pub time_us: u64,
    /// How bad it is, as in `syslog(3)`: 0 an emergency, 7 of interest to developers only.
    pub level: u8,
    /// What it says.
    pub text: String,
}

/// As `dmesg` shows it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, microseconds) = (self.time_us / 1_000_000, self.time_us % 1_000_000);
        write!(f, "[{seconds:5}.{microseconds:06}] {}", self.text)
    }
}
