// SPDX-License-Identifier: MIT OR Apache-2.0

//! The arithmetic of a transfer at its limits, compared with models that cannot overflow.

use dmacopy_uapi::transfer::{check_copy, check_copy_between, within, Refusal};

const BUFFER: u64 = 4096;

#[test]
fn a_range_may_end_where_the_buffer_ends() {
    assert!(within(0, BUFFER, BUFFER));
    assert!(within(BUFFER - 1, 1, BUFFER));
    assert!(within(BUFFER, 0, BUFFER));
}

#[test]
fn a_range_may_not_end_after_the_buffer() {
    assert!(!within(0, BUFFER + 1, BUFFER));
    assert!(!within(BUFFER, 1, BUFFER));
    assert!(!within(1, BUFFER, BUFFER));
}

#[test]
fn a_range_that_wraps_around_is_not_within_anything() {
    assert!(!within(u64::MAX, 1, u64::MAX));
    assert!(!within(1, u64::MAX, BUFFER));
    assert!(!within(u64::MAX, u64::MAX, u64::MAX));
    assert!(within(u64::MAX - 1, 1, u64::MAX));
}

#[test]
fn ranges_that_touch_do_not_overlap() {
    assert_eq!(check_copy(0, 64, 64, BUFFER), Ok(()));
    assert_eq!(check_copy(64, 0, 64, BUFFER), Ok(()));
    assert_eq!(check_copy(0, BUFFER / 2, BUFFER / 2, BUFFER), Ok(()));
}

#[test]
fn each_refusal_has_its_reason() {
    assert_eq!(check_copy(0, 64, 0, BUFFER), Err(Refusal::Empty));
    assert_eq!(check_copy(BUFFER, 0, 1, BUFFER), Err(Refusal::Source));
    assert_eq!(check_copy(u64::MAX, 0, 2, BUFFER), Err(Refusal::Source));
    assert_eq!(check_copy(0, BUFFER, 1, BUFFER), Err(Refusal::Destination));
    assert_eq!(
        check_copy(0, u64::MAX, 2, BUFFER),
        Err(Refusal::Destination)
    );
    assert_eq!(check_copy(0, 63, 64, BUFFER), Err(Refusal::Overlap));
    assert_eq!(check_copy(63, 0, 64, BUFFER), Err(Refusal::Overlap));
    assert_eq!(check_copy(8, 8, 1, BUFFER), Err(Refusal::Overlap));
}

/// Judges a copy as sets of bytes, one by one.
fn by_bytes(source: u64, destination: u64, length: u64, buffer: u64) -> Result<(), Refusal> {
    let outside = |offset| (offset..offset + length).any(|byte| byte >= buffer);
    let mut bytes = source..source + length;
    if length == 0 {
        Err(Refusal::Empty)
    } else if outside(source) {
        Err(Refusal::Source)
    } else if outside(destination) {
        Err(Refusal::Destination)
    } else if bytes.any(|byte| (destination..destination + length).contains(&byte)) {
        Err(Refusal::Overlap)
    } else {
        Ok(())
    }
}

/// Judges a copy in integers that are wide enough for any sum of two of its values.
fn in_wide_integers(values: [u64; 4]) -> Result<(), Refusal> {
    let [source, destination, length, buffer] = values.map(u128::from);
    if length == 0 {
        Err(Refusal::Empty)
    } else if source + length > buffer {
        Err(Refusal::Source)
    } else if destination + length > buffer {
        Err(Refusal::Destination)
    } else if source.abs_diff(destination) < length {
        Err(Refusal::Overlap)
    } else {
        Ok(())
    }
}

#[test]
fn small_ranges_are_judged_as_byte_sets_are() {
    for buffer in 0..8 {
        for source in 0..10 {
            for destination in 0..10 {
                for length in 0..10 {
                    let expected = by_bytes(source, destination, length, buffer);
                    let judged = check_copy(source, destination, length, buffer);
                    let values = [source, destination, length, buffer];
                    assert_eq!(judged, expected, "{values:?}");
                    assert_eq!(in_wide_integers(values), expected, "{values:?}");
                    let fits = source + length <= buffer;
                    assert_eq!(within(source, length, buffer), fits, "{values:?}");
                }
            }
        }
    }
}

/// No sum in `check_copy` can overflow: a range is added up only after it was found to lie within
/// the buffer. An overflow would panic in this test, or give another answer than the model.
#[test]
fn no_sum_overflows_at_any_limit() {
    let mut limits = Vec::new();
    for middle in [0, 1 << 32, u64::MAX / 2, 1 << 63, u64::MAX] {
        for distance in 0..=3_u64 {
            limits.extend([
                middle.saturating_sub(distance),
                middle.saturating_add(distance),
            ]);
        }
    }
    limits.sort_unstable();
    limits.dedup();
    for &source in &limits {
        for &destination in &limits {
            for &length in &limits {
                for &buffer in &limits {
                    let values = [source, destination, length, buffer];
                    let judged = check_copy(source, destination, length, buffer);
                    assert_eq!(judged, in_wide_integers(values), "{values:?}");
                }
            }
        }
    }
}

/// The largest sums that `check_copy` ever forms, in the largest buffer there could be.
#[test]
fn the_largest_sums_are_exact() {
    let max = u64::MAX;
    assert_eq!(check_copy(0, max - 1, 1, max), Ok(()));
    assert_eq!(check_copy(max - 1, 0, 1, max), Ok(()));
    assert_eq!(check_copy(max - 1, max - 1, 1, max), Err(Refusal::Overlap));
    assert_eq!(check_copy(0, max / 2, max / 2, max), Ok(()));
    assert_eq!(check_copy(0, 0, max, max), Err(Refusal::Overlap));
    assert_eq!(check_copy(0, max, 1, max), Err(Refusal::Destination));
    assert_eq!(check_copy(max, 0, 1, max), Err(Refusal::Source));
    assert_eq!(check_copy(0, 1, max, max), Err(Refusal::Destination));
}

#[test]
fn each_range_of_a_copy_between_buffers_lies_within_its_own() {
    let check =
        |source, destination, length| check_copy_between(source, 64, destination, 128, length);
    assert_eq!(check(0, 0, 64), Ok(()));
    assert_eq!(check(0, 64, 64), Ok(()));
    assert_eq!(check(0, 0, 0), Err(Refusal::Empty));
    assert_eq!(check(0, 0, 65), Err(Refusal::Source));
    assert_eq!(check(64, 0, 1), Err(Refusal::Source));
    assert_eq!(check(0, 65, 64), Err(Refusal::Destination));
    assert_eq!(check(u64::MAX, 0, 1), Err(Refusal::Source));
    assert_eq!(check(0, u64::MAX, 1), Err(Refusal::Destination));
}
