// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a board and its kernel have said since a moment.

use std::time::{Duration, SystemTime};

use agent_wire::Record;
use hil_report::Line;

use super::Transcript;
use crate::{Agent, Error};

/// Where the kernel's log and its taint were before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    next: u64,
    taint: u64,
}

/// What the kernel has said meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) lines: Vec<Line>,
    /// What it is tainted with that it was not before.
    pub(super) taint: u64,
}

impl Evidence {
    /// As it was before the boot.
    pub(super) const POWER_ON: Self = Self { next: 0, taint: 0 };

    /// As it is now.
    ///
    /// # Errors
    ///
    /// When the board is lost.
    pub fn begin(agent: &Agent) -> Result<Self, Error> {
        let log = agent.kernel_log(u64::MAX)?;
        Ok(Self {
            next: log.next,
            taint: log.taint,
        })
    }

    /// What the kernel has said since. The next one begins here.
    pub(super) fn take(&mut self, agent: &Agent) -> Result<Said, Error> {
        let log = agent.kernel_log(self.next)?;
        let clock = Clock::of(agent);
        let said = Said {
            lines: log.records.iter().map(|r| clock.line(r)).collect(),
            taint: log.taint & !self.taint,
        };
        *self = Self {
            next: log.next,
            taint: log.taint | self.taint,
        };
        Ok(said)
    }
}

impl Said {
    pub(super) fn texts(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line.text.as_str()).collect()
    }
}

/// What a console has said since a mark, for a report.
pub fn console_lines(console: &dyn Transcript, mark: u64) -> Vec<Line> {
    console.since(mark).into_iter().map(console_line).collect()
}

fn console_line(line: crate::console::Line) -> Line {
    let text = match (line.target, line.text.split_once("] ")) {
        (Some(_), Some((_, text))) => text.to_owned(),
        _ => line.text,
    };
    Line {
        host: line.host,
        target: line.target,
        text,
    }
}

/// When a moment of the kernel's clock was, by this PC's.
struct Clock {
    kernel_started: SystemTime,
}

impl Clock {
    fn of(agent: &Agent) -> Self {
        let uptime = agent.about().started.elapsed();
        let now = SystemTime::now();
        Self {
            kernel_started: now.checked_sub(uptime).unwrap_or(now),
        }
    }

    fn line(&self, record: &Record) -> Line {
        let time = Duration::from_micros(record.time_us);
        Line {
            host: self.kernel_started + time,
            target: Some(time),
            text: record.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Said(Vec<crate::console::Line>);

    impl Transcript for Said {
        fn mark(&self) -> u64 {
            0
        }

        fn since(&self, mark: u64) -> Vec<crate::console::Line> {
            let mark = usize::try_from(mark).unwrap();
            self.0[mark..].to_vec()
        }
    }

    #[test]
    fn the_boards_clock_is_taken_out_of_a_line_that_has_it_and_of_no_other() {
        let host = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let line = |target, text: &str| crate::console::Line {
            host,
            target,
            text: text.to_owned(),
        };
        let time = Some(Duration::from_millis(2500));
        let said = Said(vec![
            line(None, "before"),
            line(time, "[    2.500000] usb 1-1: [new] device"),
            line(None, "[ OK ] Started sshd"),
        ]);
        let found = console_lines(&said, 1);
        let expected = [
            (time, "usb 1-1: [new] device"),
            (None, "[ OK ] Started sshd"),
        ];
        let expected = expected.map(|(target, text)| Line {
            host,
            target,
            text: text.to_owned(),
        });
        assert_eq!(found, expected);
    }
}
