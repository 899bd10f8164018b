// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! The arithmetic of a transfer at its limits, and the encoding of request codes.

use dmacopy_uapi::ioctl;
use dmacopy_uapi::transfer::{check_copy, within, Refusal};

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

/// Compares with the definition, byte by byte, for all small ranges.
#[test]
fn small_ranges_are_judged_as_byte_sets_are() {
    let buffer = 6;
    for source in 0..8_u64 {
        for destination in 0..8 {
            for length in 1..8 {
                let inside = source + length <= buffer && destination + length <= buffer;
                let shared = (source..source + length)
                    .any(|byte| (destination..destination + length).contains(&byte));
                let judged = check_copy(source, destination, length, buffer).is_ok();
                assert_eq!(judged, inside && !shared, "{source} {destination} {length}");
            }
        }
    }
}

#[test]
fn request_codes_are_those_of_the_generic_encoding() {
    // _IOR(0xdc, 0, 64 bytes) and _IOWR(0xdc, 1, 48 bytes).
    assert_eq!(ioctl::INFO, 0x8040_dc00);
    assert_eq!(ioctl::COPY, 0xc030_dc01);
    assert_eq!(ioctl::size(ioctl::COPY), 48);
    assert_eq!(ioctl::command(ioctl::COPY), 0xc000_dc01);
}
