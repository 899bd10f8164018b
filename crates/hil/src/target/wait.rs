// SPDX-License-Identifier: MIT OR Apache-2.0

//! Waiting for something that nothing tells of.

use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Something that was waited for was not there in time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("waited {} ms in vain for {what}", limit.as_millis())]
pub struct InVain {
    /// What it was.
    pub what: String,
    /// How long it was waited for.
    pub limit: Duration,
}

pub(super) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, InVain> {
    let start = Instant::now();
    let (mut pause, longest) = PAUSES;
    loop {
        let elapsed = start.elapsed();
        if let Some(found) = look() {
            return Ok(found);
        }
        // The last look begins when the time is up, not before.
        if elapsed >= limit {
            return Err(InVain {
                what: what.to_owned(),
                limit,
            });
        }
        thread::sleep(pause.min(limit.saturating_sub(elapsed)));
        pause = longest.min(pause * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn it_ends_as_soon_as_something_is_there() {
        let mut looks = 0;
        let look = || {
            looks += 1;
            (looks == 4).then_some("it")
        };
        let start = Instant::now();
        assert_eq!(wait_for("it", LONG, look), Ok("it"));
        assert_eq!(looks, 4);
        assert!(start.elapsed() < LONG / 10);
    }

    #[test]
    fn what_never_comes_is_waited_for_as_long_as_was_said() {
        let limit = Duration::from_millis(30);
        let start = Instant::now();
        let error = wait_for("the node", limit, || None::<()>).unwrap_err();
        assert!(start.elapsed() >= limit);
        assert_eq!(error.to_string(), "waited 30 ms in vain for the node");
    }

    #[test]
    fn what_comes_at_the_last_moment_is_seen() {
        let limit = Duration::from_millis(30);
        let start = Instant::now();
        let late = || (start.elapsed() >= limit).then_some(());
        assert_eq!(wait_for("it", limit, late), Ok(()));
    }

    #[test]
    fn a_look_that_takes_too_long_is_not_the_last() {
        let limit = Duration::from_millis(30);
        let mut looks = 0;
        let slow = || {
            looks += 1;
            thread::sleep(limit);
            (looks == 2).then_some(())
        };
        assert_eq!(wait_for("it", limit, slow), Ok(()));
    }

    #[test]
    fn without_any_time_there_is_one_look() {
        let mut looks = 0;
        let look = || -> Option<()> {
            looks += 1;
            None
        };
        assert!(wait_for("it", Duration::ZERO, look).is_err());
        assert_eq!(looks, 1);
    }
}
