// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test makes the hardware do wrong, from the host's side.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A command of the fault port. As JSON it is an object with one key, or just a name:
/// `{"lose_messages": 1}`, `"state"`.
///
/// A fault stays through resets and power cycles of the function, until it is used up or
/// [`Clear`](Self::Clear)ed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Changes nothing, and tells the state, as every command does.
    State,
    /// Ends all faults.
    Clear,
    /// The next so many messages (interrupts) are lost.
    LoseMessages(u32),
    /// So many messages are sent now, without a cause.
    SpuriousMessages(u32),
    /// The engine executes nothing, and stays busy if it has work. It can be reset.
    Stick(bool),
    /// The engine does nothing any more, not even reset itself: `CONTROL.RESET` stays 1.
    Freeze(bool),
    /// The function does not answer: all ones are read from its registers and its configuration
    /// space, it accesses no memory and sends nothing. What it was doing is forgotten, as by a reset.
    Die(bool),
    /// The next descriptors end with an error, and write nothing.
    Fail {
        /// How many.
        count: u32,
        /// One of [`completion`](crate::registers::completion).
        status: u32,
    },
    /// The next descriptor with this cookie ends with an error, and writes nothing.
    FailCookie {
        /// The descriptor's cookie.
        cookie: u64,
        /// One of [`completion`](crate::registers::completion).
        status: u32,
    },
    /// A range of addresses is refused although it is memory.
    Refuse {
        /// The first address.
        address: u64,
        /// How many bytes.
        length: u64,
    },
    /// From now on a descriptor takes at least so long, microseconds.
    Slow(u64),
    /// The next so many transfers change a byte of what they have moved.
    Corrupt(u32),
}

/// The faults that are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Messages that will be lost.
    pub lose_messages: u32,
    /// Nothing is executed.
    pub is_stuck: bool,
    /// Nothing is done.
    pub is_frozen: bool,
    /// Nothing is answered.
    pub is_dead: bool,
    /// How many descriptors will fail, and with what status.
    pub fail: (u32, u32),
    /// The cookies of descriptors that will fail, and with what status.
    pub fail_cookies: BTreeMap<u64, u32>,
    /// The least that a descriptor takes.
    pub slow: Duration,
    /// How many transfers will be corrupted.
    pub corrupt: u32,
}

impl Faults {
    /// The status that the next descriptor must end with, if a fault says so.
    pub(crate) fn take_failure(&mut self, cookie: u64) -> Option<u32> {
        if let Some(status) = self.fail_cookies.remove(&cookie) {
            return Some(status);
        }
        let (count, status) = &mut self.fail;
        take(count).then_some(*status)
    }

    /// Whether the next transfer is corrupted.
    pub(crate) fn take_corruption(&mut self) -> bool {
        take(&mut self.corrupt)
    }

    /// Whether the next message is lost.
    pub(crate) fn take_message(&mut self) -> bool {
        take(&mut self.lose_messages)
    }
}

/// Takes one of so many.
fn take(count: &mut u32) -> bool {
    let is_any = *count > 0;
    *count -= u32::from(is_any);
    is_any
}
