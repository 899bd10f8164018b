// SPDX-License-Identifier: GPL-2.0

//! What an engine does wrong because a developer wants it to.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

/// The longest delay that can be asked for, in microseconds.
const MAX_DELAY_US: u32 = 1_000_000;

/// Faults to come; none at first.
pub(crate) struct Faults {
    fail_next: Atomic<u32>,
    delay_us: Atomic<u32>,
}

impl Faults {
    /// No faults.
    pub(crate) const fn new() -> Self {
        Self {
            fail_next: Atomic::new(0),
            delay_us: Atomic::new(0),
        }
    }

    /// How many of the next transfers end with `EIO`.
    pub(crate) fn fail_next(&self) -> u32 {
        self.fail_next.load(Relaxed)
    }

    /// Sets how many do.
    pub(crate) fn set_fail_next(&self, count: u32) -> Result {
        self.fail_next.store(count, Relaxed);
        Ok(())
    }

    /// How much longer each transfer takes, in microseconds.
    pub(crate) fn delay_us(&self) -> u32 {
        self.delay_us.load(Relaxed)
    }

    /// Sets how much longer each takes.
    pub(crate) fn set_delay_us(&self, microseconds: u32) -> Result {
        if microseconds > MAX_DELAY_US {
            return Err(EINVAL);
        }
        self.delay_us.store(microseconds, Relaxed);
        Ok(())
    }

    /// Waits as long as the next transfer takes longer, and fails if that is to fail.
    pub(super) fn meet(&self) -> Result {
        let delay_us = self.delay_us();
        if delay_us > 0 {
            fsleep(Delta::from_micros(i64::from(delay_us)));
        }
        let mut left = self.fail_next();
        while left > 0 {
            match self.fail_next.cmpxchg(left, left - 1, Relaxed) {
                Ok(_) => return Err(EIO),
                Err(other) => left = other,
            }
        }
        Ok(())
    }
}
