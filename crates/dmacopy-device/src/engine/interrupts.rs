// SPDX-License-Identifier: MIT OR Apache-2.0

//! When a message is sent: causes, enables, coalescing.

use std::time::{Duration, Instant};

use crate::registers::{COALESCE_MAX, interrupt};

/// The interrupt registers, and what coalescing holds back.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupts {
    status: u32,
    enable: u32,
    count: u32,
    microseconds: u32,
    /// Completions that no message was sent for.
    held: u32,
    /// When the first of them was written.
    since: Option<Instant>,
    /// Messages that are to be sent.
    messages: u32,
}

impl Interrupts {
    pub(super) fn status(&self) -> u32 {
        self.status
    }

    pub(super) fn enable(&self) -> u32 {
        self.enable
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn microseconds(&self) -> u32 {
        self.microseconds
    }

    pub(super) fn clear(&mut self, bits: u32) {
        self.status &= !bits;
    }

    pub(super) fn set_enable(&mut self, bits: u32) {
        self.enable = bits & interrupt::ALL;
        if self.enable & self.status != 0 {
            self.messages += 1;
        }
    }

    pub(super) fn set_count(&mut self, count: u32) {
        self.count = count.min(COALESCE_MAX);
        self.check_held();
    }

    pub(super) fn set_microseconds(&mut self, microseconds: u32) {
        self.microseconds = microseconds.min(COALESCE_MAX);
    }

    /// Something has happened.
    pub(super) fn cause(&mut self, bit: u32) {
        self.status |= bit;
        if self.enable & bit != 0 {
            self.messages += 1;
        }
    }

    /// A completion that asks for an interrupt was written.
    pub(super) fn completed(&mut self, is_error: bool, now: Instant) {
        self.held += 1;
        self.since.get_or_insert(now);
        if is_error {
            self.flush();
        } else {
            self.check_held();
        }
    }

    /// Sends what has been held back for too long.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.flush();
        }
    }

    /// When something must be sent at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let microseconds = u64::from(self.microseconds);
        Some(self.since? + Duration::from_micros(microseconds))
    }

    /// Holds nothing back any longer.
    pub(super) fn flush(&mut self) {
        if self.held > 0 {
            self.held = 0;
            self.since = None;
            self.cause(interrupt::COMPLETION);
        }
    }

    /// The messages that are to be sent, once.
    pub(super) fn take_messages(&mut self) -> u32 {
        std::mem::take(&mut self.messages)
    }

    /// Sends what are enough completions. Those that may wait for no time go with the next tick.
    fn check_held(&mut self) {
        if self.held >= self.count {
            self.flush();
        }
    }
}
