// SPDX-License-Identifier: MIT OR Apache-2.0

//! The time of a run that never happened.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hil_report::{Attempt, Line, Outcome};

/// The time of a run that never happened, and chance that is always the same.
#[derive(Debug)]
pub(crate) struct Clock {
    spent: Duration,
    longest: Duration,
    chance: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            spent: Duration::ZERO,
            longest: Duration::ZERO,
            chance: 0x5eed,
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_785_600_000) + self.spent
    }

    /// Goes back to the begin: benches work at the same time.
    pub(crate) fn rewind(&mut self) {
        self.spent = Duration::ZERO;
    }

    pub(crate) fn skip(&mut self, time: Duration) {
        self.spent += time;
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    pub(crate) fn spend(&mut self, milliseconds: u64) -> (SystemTime, Duration) {
        let (started, duration) = (self.now(), Duration::from_millis(milliseconds));
        self.spent += duration + Duration::from_millis(8);
        self.longest = self.longest.max(self.spent);
        (started, duration)
    }

    /// A number below another one.
    pub(crate) fn dice(&mut self, below: u64) -> u64 {
        let next = self.chance.wrapping_mul(6_364_136_223_846_793_005);
        self.chance = next.wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % below
    }

    pub(crate) fn attempt(&mut self, milliseconds: u64, outcome: Outcome) -> Attempt {
        let (started, duration) = self.spend(milliseconds);
        Attempt::new(started, duration, outcome)
    }

    /// Lines that come one after the other during an attempt.
    pub(crate) fn lines(&self, attempt: &Attempt, texts: &[&str]) -> Vec<Line> {
        let step = attempt.duration / 20;
        let booted = UNIX_EPOCH + Duration::from_secs(1_785_599_996);
        let line = |(number, text): (u32, &&str)| {
            let host = attempt.started + step * (number + 1);
            Line {
                host,
                target: host.duration_since(booted).ok(),
                text: (*text).to_owned(),
            }
        };
        (0..).zip(texts).map(line).collect()
    }
}
