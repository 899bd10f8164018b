// SPDX-License-Identifier: MIT OR Apache-2.0

//! Durations on the command line: `500ms`, `2s`, `1min`; a bare number is seconds.

use std::time::Duration;

/// Longer than anybody waits, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads a duration, which is not zero.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| {
        format!("{text:?} does not begin with a number; examples are 500ms, 2s and 1min")
    })?;
    let seconds = match unit.trim_start() {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "min" => number * 60.0,
        other => return Err(format!("{other:?} is none of the units us, ms, s and min")),
    };
    let duration = Duration::try_from_secs_f64(seconds).ok();
    match duration.filter(|duration| *duration <= LONGEST) {
        None => Err("that is more than a year".to_owned()),
        Some(Duration::ZERO) => Err("that is no time at all".to_owned()),
        Some(duration) => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_are_a_duration() {
        let cases = [
            ("2", 2_000_000),
            ("2s", 2_000_000),
            ("0.5 s", 500_000),
            ("500ms", 500_000),
            ("20us", 20),
            ("1.5min", 90_000_000),
        ];
        for (text, microseconds) in cases {
            let expected = Duration::from_micros(microseconds);
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_reason() {
        let reason = |text| parse(text).unwrap_err();
        for text in ["", "soon", "-1", ".", "1.2.3", "inf"] {
            assert!(reason(text).contains("begin with a number"), "{text}");
        }
        assert!(reason("1h").contains("none of the units"));
        assert!(reason("1e5").contains("none of the units"));
        assert_eq!(reason("0"), "that is no time at all");
        assert_eq!(reason("0.0001us"), "that is no time at all");
        assert_eq!(reason("99999999min"), "that is more than a year");
    }
}
