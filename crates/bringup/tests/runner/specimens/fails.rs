// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the built-in harness.

#[test]
fn passes() {}

#[test]
fn fails() {
    assert_eq!(1, 2);
}

#[test]
#[ignore = "no such sensor"]
fn is_ignored() {}
