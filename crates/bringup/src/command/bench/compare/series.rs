// SPDX-License-Identifier: MIT OR Apache-2.0

//! How long the same thing took each time.

use std::time::Duration;

use serde::Serialize;

/// What was measured, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Series {
    pub(super) what: String,
    pub(super) count: usize,
    pub(super) median_ms: f64,
    /// All but the slowest twentieth were at least as quick.
    pub(super) p95_ms: f64,
    pub(super) total_ms: f64,
    /// What the median is to stay below, if that was decided.
    pub(super) limit_ms: Option<f64>,
}

impl Series {
    pub(super) fn new(what: &str, mut times: Vec<Duration>) -> Self {
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        // The nearest rank: a time that was really measured.
        let rank = |hundredths: usize| {
            let rank = (times.len() * hundredths).div_ceil(100).max(1);
            times.get(rank - 1).copied().map_or(0.0, ms)
        };
        Self {
            what: what.to_owned(),
            count: times.len(),
            median_ms: rank(50),
            p95_ms: rank(95),
            total_ms: ms(times.iter().sum()),
            limit_ms: None,
        }
    }

    /// What the median is to stay below.
    pub(super) fn limit(self, limit: Duration) -> Self {
        let limit_ms = Some(limit.as_secs_f64() * 1000.0);
        Self { limit_ms, ..self }
    }

    /// A line of a table.
    pub(super) fn line(&self) -> String {
        let limit = self.limit_ms.map(|limit| {
            let verdict = if self.median_ms <= limit {
                "kept"
            } else {
                "MISSED"
            };
            format!("  limit {limit:.0} ms {verdict}")
        });
        format!(
            "{:<50} {:>5} {:>9.2} {:>9.2} {:>10.1}{}",
            self.what,
            self.count,
            self.median_ms,
            self.p95_ms,
            self.total_ms,
            limit.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_times_that_were_measured_in_any_order() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let series = Series::new("x", times);
        assert_eq!((series.median_ms, series.p95_ms), (50.0, 95.0));
        assert_eq!((series.count, series.total_ms), (100, 5050.0));
        let one = Series::new("x", vec![Duration::from_millis(7)]);
        assert_eq!((one.median_ms, one.p95_ms), (7.0, 7.0));
        assert_eq!(Series::new("x", Vec::new()).median_ms, 0.0);
    }

    #[test]
    fn a_limit_is_kept_or_missed() {
        let series = |ms| Series::new("x", vec![Duration::from_millis(ms)]);
        let limit = Duration::from_millis(5);
        assert!(series(5).limit(limit).line().ends_with("limit 5 ms kept"));
        assert!(series(6).limit(limit).line().contains("MISSED"));
    }
}
