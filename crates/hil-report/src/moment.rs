// SPDX-License-Identifier: MIT OR Apache-2.0

//! Moments and spans of time, as they are written into documents.
//!
//! A moment is RFC 3339 in UTC to the microsecond, a span a number of seconds. Both come from
//! clocks that may be wrong: nothing here panics because of a year before 1970 or after 9999.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

/// A moment in the calendar, moved into the years that RFC 3339 can tell.
pub(crate) fn calendar(moment: SystemTime) -> DateTime<Utc> {
    let (seconds, nanoseconds) = match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()), after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).map(|seconds| -seconds);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                rest => (seconds.map(|seconds| seconds - 1), 1_000_000_000 - rest),
            }
        }
    };
    let told = seconds
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, nanoseconds))
        .filter(|told| (0..=9999).contains(&told.year()));
    told.unwrap_or(if moment < UNIX_EPOCH {
        DateTime::from_timestamp_nanos(0)
    } else {
        DateTime::from_timestamp_nanos(i64::MAX)
    })
}

/// The moment as RFC 3339.
pub(crate) fn rfc3339(moment: SystemTime) -> String {
    calendar(moment).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The moment that RFC 3339 text names.
fn from_rfc3339(text: &str) -> Option<SystemTime> {
    let told = DateTime::parse_from_rfc3339(text).ok()?;
    let seconds = told.timestamp();
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    // A leap second is told as more than a billion nanoseconds.
    second?.checked_add(Duration::from_nanos(told.timestamp_subsec_nanos().into()))
}

/// The time of the day, to the millisecond.
pub(crate) fn time_of_day(moment: SystemTime) -> String {
    calendar(moment).format("%H:%M:%S%.3f").to_string()
}

/// The day and the minute.
pub(crate) fn day_and_minute(moment: SystemTime) -> String {
    calendar(moment).format("%Y-%m-%d %H:%M").to_string()
}

/// A span of time for people, with about three digits that matter.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.as_micros() == 0 => "0 s".to_owned(),
        0 if span.as_millis() == 0 => format!("{} µs", span.as_micros()),
        0 => format!("{} ms", span.as_millis()),
        1..=9 => format!("{}.{:02} s", seconds, span.subsec_millis() / 10),
        10..=59 => format!("{}.{} s", seconds, span.subsec_millis() / 100),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How far a moment is behind another one, in seconds; negative if the clock went back.
pub(crate) fn seconds_since(start: SystemTime, moment: SystemTime) -> f64 {
    match moment.duration_since(start) {
        Ok(after) => after.as_secs_f64(),
        Err(error) => -error.duration().as_secs_f64(),
    }
}

/// The end of a span, or its start where that is beyond what the clock can tell.
pub(crate) fn end(start: SystemTime, duration: Duration) -> SystemTime {
    start.checked_add(duration).unwrap_or(start)
}

/// Moments in serde's data.
pub(crate) mod instant {
    use super::{SystemTime, from_rfc3339, rfc3339};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(moment: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&rfc3339(*moment))
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        from_rfc3339(&text).ok_or_else(|| {
            let expected = &"a moment as RFC 3339";
            de::Error::invalid_value(de::Unexpected::Str(&text), expected)
        })
    }
}

/// Spans in serde's data: seconds, rounded to the microsecond.
pub(crate) mod seconds {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::cast_precision_loss, reason = "exact for 285 years")]
    pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(span.as_micros() as f64 / 1e6)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        let span = Duration::try_from_secs_f64(seconds).map_err(de::Error::custom)?;
        let microseconds = span.as_nanos().saturating_add(500) / 1000;
        let microseconds = u64::try_from(microseconds).map_err(de::Error::custom)?;
        Ok(Duration::from_micros(microseconds))
    }
}

/// Spans that need not be there.
pub(crate) mod maybe_seconds {
    use super::{Duration, seconds};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Seconds(#[serde(with = "seconds")] Duration);

    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(Seconds).serialize(to)
    }

    pub(crate) fn deserialize<'a, D>(from: D) -> Result<Option<Duration>, D::Error>
    where
        D: Deserializer<'a>,
    {
        let span = Option::<Seconds>::deserialize(from)?;
        Ok(span.map(|Seconds(span)| span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_its_text() {
        let first = UNIX_EPOCH + Duration::from_micros(1_785_600_000_123_456);
        assert_eq!(rfc3339(first), "2026-08-01T16:00:00.123456Z");
        let before = UNIX_EPOCH - Duration::from_micros(1);
        assert_eq!(rfc3339(before), "1969-12-31T23:59:59.999999Z");
        for moment in [first, before, UNIX_EPOCH] {
            assert_eq!(from_rfc3339(&rfc3339(moment)), Some(moment));
        }
        let zoned = from_rfc3339("2026-08-01T18:00:00.123456+02:00");
        assert_eq!(zoned, Some(first));
        assert_eq!(from_rfc3339("yesterday"), None);
    }

    #[test]
    fn clocks_that_are_wrong_by_ages_can_be_told() {
        let age = Duration::from_secs(1 << 40);
        let late = UNIX_EPOCH + age;
        assert!(rfc3339(late).starts_with("2262-"));
        let early = UNIX_EPOCH - age;
        assert!(rfc3339(early).starts_with("1970-"));
        assert_eq!(end(late, Duration::MAX), late);
    }

    #[test]
    fn a_span_survives_its_number() {
        for microseconds in (0..100).map(|number| 400_000_000_000_123 + number * 7) {
            let span = Duration::from_micros(microseconds);
            let mut text = Vec::new();
            seconds::serialize(&span, &mut serde_json::Serializer::new(&mut text)).unwrap();
            let read = seconds::deserialize(&mut serde_json::Deserializer::from_slice(&text));
            assert_eq!(read.unwrap(), span);
        }
    }

    #[test]
    fn spans_are_readable_at_every_scale() {
        for (microseconds, text) in [
            (0, "0 s"),
            (7, "7 µs"),
            (41_999, "41 ms"),
            (1_059_000, "1.05 s"),
            (12_340_000, "12.3 s"),
            (123_000_000, "2 min 03 s"),
            (3_725_000_000, "1 h 02 min"),
        ] {
            assert_eq!(span(Duration::from_micros(microseconds)), text);
        }
    }

    #[test]
    fn a_clock_that_went_back_counts_backwards() {
        let start = UNIX_EPOCH + Duration::from_secs(100);
        assert!((seconds_since(start, UNIX_EPOCH) + 100.0).abs() < 1e-9);
    }
}
