// SPDX-License-Identifier: MIT OR Apache-2.0

//! What one bench did when.

use crate::{Attempt, Report, Verdict, moment};

/// The rows of a lane. What does not find a free one shares the last.
const ROWS: usize = 8;

/// Something that took time on a bench.
#[derive(Debug)]
pub(super) struct Bar {
    /// The place in the report, if it is a test.
    pub(super) test: Option<usize>,
    /// What is shown, and how it ended.
    pub(super) name: String,
    pub(super) verdict: Option<Verdict>,
    /// Begin and end, in seconds since the run began, moved into the run where a clock lied.
    pub(super) from: f64,
    pub(super) to: f64,
    /// Whether the clock said that this is outside of the run.
    pub(super) moved: bool,
    /// The row of the lane in which it does not cover another one.
    pub(super) row: usize,
}

/// What one bench did, in the order of time.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    pub(super) bench: Option<&'a str>,
    pub(super) bars: Vec<Bar>,
    pub(super) rows: usize,
}

impl<'a> Lane<'a> {
    /// The lane of a bench of a run that took so many seconds.
    pub(super) fn new(report: &'a Report, bench: Option<&'a str>, whole: f64) -> Self {
        let mut bars = Vec::new();
        let boots = bench.and_then(|name| report.bench(name));
        for boot in boots.into_iter().flat_map(|bench| &bench.boots) {
            bars.push(Bar {
                test: None,
                name: format!("boot: {}", boot.why),
                verdict: None,
                from: moment::seconds_since(report.started, boot.started),
                to: moment::seconds_since(report.started, boot.ended()),
                moved: false,
                row: 0,
            });
        }
        for (index, test) in report.tests.iter().enumerate() {
            if test.id.bench.as_deref() != bench {
                continue;
            }
            for (number, attempt) in test.attempts.iter().enumerate() {
                let mut name = format!("{} {}", test.id.suite, test.id.name);
                if test.retries() > 0 {
                    name += &format!(", attempt {}", number + 1);
                }
                bars.push(Bar {
                    test: Some(index),
                    name,
                    verdict: Some(verdict(attempt)),
                    from: moment::seconds_since(report.started, attempt.started),
                    to: moment::seconds_since(report.started, attempt.ended()),
                    moved: false,
                    row: 0,
                });
            }
        }
        let mut lane = Self {
            bench,
            bars,
            rows: 1,
        };
        lane.bars.iter_mut().for_each(|bar| bar.move_into(whole));
        lane.pack();
        lane
    }

    /// Gives each bar a row: boards do one thing after the other, but the PC's own tests do not.
    fn pack(&mut self) {
        self.bars
            .sort_by(|one, other| one.from.total_cmp(&other.from));
        let mut ends: Vec<f64> = Vec::new();
        for bar in &mut self.bars {
            // The clocks that tell begin and duration may differ by a little.
            let free = ends.iter().position(|end| *end <= bar.from + 1e-3);
            bar.row = free.unwrap_or(ends.len()).min(ROWS - 1);
            match ends.get_mut(bar.row) {
                Some(end) => *end = end.max(bar.to),
                None => ends.push(bar.to),
            }
        }
        self.rows = ends.len().max(1);
    }
}

impl Bar {
    /// Its own length, whatever the clock said about the place.
    pub(super) fn seconds(&self) -> f64 {
        self.to - self.from
    }

    fn move_into(&mut self, whole: f64) {
        // Some run on when the run is said to have ended; nothing begins before it or after it.
        let tolerance = 1.0;
        self.moved = self.from < -tolerance || self.from > whole + tolerance;
        let length = (self.to - self.from).clamp(0.0, whole);
        self.from = self.from.clamp(0.0, whole - length);
        self.to = self.from + length;
    }
}

/// What a bar is coloured by: a single attempt knows nothing of flakiness.
fn verdict(attempt: &Attempt) -> Verdict {
    if attempt.passed() {
        Verdict::Passed
    } else if attempt.failed() {
        Verdict::Failed
    } else {
        Verdict::Infrastructure
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, Place, TestId, TestRecord};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    const DAY: Duration = Duration::from_secs(86_400);

    fn report(attempts: &[(SystemTime, u64)]) -> Report {
        let mut report = Report::new(UNIX_EPOCH + DAY);
        for (started, seconds) in attempts {
            let mut test = TestRecord::new(TestId {
                bench: None,
                suite: "suite".to_owned(),
                name: report.tests.len().to_string(),
                place: Place::Pc,
            });
            let took = Duration::from_secs(*seconds);
            test.attempts
                .push(Attempt::new(*started, took, Outcome::Passed));
            report.tests.push(test);
        }
        report
    }

    fn after(seconds: u64) -> SystemTime {
        UNIX_EPOCH + DAY + Duration::from_secs(seconds)
    }

    #[test]
    fn what_runs_at_the_same_time_has_rows_of_its_own() {
        let report = report(&[(after(0), 5), (after(1), 2), (after(3), 1), (after(5), 1)]);
        let lane = Lane::new(&report, None, 10.0);
        let rows: Vec<_> = lane.bars.iter().map(|bar| bar.row).collect();
        assert_eq!((rows, lane.rows), (vec![0, 1, 1, 0], 2));
        let crowd = self::report(&[(after(0), 9); 50]);
        assert_eq!(Lane::new(&crowd, None, 10.0).rows, ROWS);
    }

    #[test]
    fn what_a_wrong_clock_puts_outside_is_moved_in_with_its_length() {
        let far = after(100_000);
        let report = report(&[(UNIX_EPOCH, 2), (after(9), 2), (far, 3), (after(1), 99)]);
        let lane = Lane::new(&report, None, 10.0);
        let mut places: Vec<_> = lane
            .bars
            .iter()
            .map(|bar| (bar.from, bar.to, bar.moved))
            .collect();
        places.sort_by(|one, other| one.partial_cmp(other).unwrap());
        let expected = [
            (0.0, 2.0, true),
            (0.0, 10.0, false),
            (7.0, 10.0, true),
            (8.0, 10.0, false),
        ];
        assert_eq!(places, expected);
    }
}
