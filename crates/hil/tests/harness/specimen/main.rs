// SPDX-License-Identifier: MIT OR Apache-2.0

//! A test program whose tests end in every way: the tests of the harness run it.

#![forbid(unsafe_code)]

mod order;
#[cfg(feature = "bench")]
mod pc;
mod place;
mod time;

use hil::Target;

hil::main!();

#[hil::test]
fn passes() {}

#[hil::test]
fn passes_with_a_result() -> Result<(), std::num::ParseIntError> {
    "7".parse::<u8>().map(|_| ())
}

#[hil::test]
fn panics() {
    let seven = 7;
    assert_eq!(seven, 8, "seven is not eight");
}

#[hil::test]
fn unwraps_nothing() {
    let nothing: Option<u8> = std::hint::black_box(None);
    nothing.unwrap();
}

#[hil::test]
fn fails_with_causes() -> hil::Result {
    let number = "seven".parse::<u8>();
    number.map_err(std::io::Error::other).map_err(Layered)?;
    Ok(())
}

#[hil::test(should_panic)]
fn should_panic_and_does() {
    panic!("anything");
}

#[hil::test(should_panic = "the text")]
fn should_panic_with_text_and_does() {
    panic!("before {} after", "the text");
}

#[hil::test(should_panic = "the text")]
fn should_panic_with_another_text() {
    panic!("another");
}

#[hil::test(should_panic)]
fn should_panic_and_does_not() {}

#[hil::test(ignore)]
fn ignored() {}

#[hil::test(ignore = "it fails on demand")]
fn ignored_for_a_reason() {
    panic!("on demand");
}

/// Nobody keeps panics of other threads from being printed.
#[hil::test]
fn panics_in_another_thread() {
    let ended = std::thread::spawn(|| panic!("elsewhere")).join();
    assert!(ended.is_err());
}

#[hil::test]
fn catches_a_panic_of_its_own() {
    let caught = std::panic::catch_unwind(|| panic!("caught"));
    assert!(caught.is_err());
}

#[hil::test]
fn goes_on_with_an_earlier_panic() {
    let first = std::panic::catch_unwind(|| panic!("first")).unwrap_err();
    let second = std::panic::catch_unwind(|| panic!("second"));
    assert!(second.is_err());
    std::panic::resume_unwind(first);
}

/// A failure that says less than its cause.
#[derive(Debug)]
struct Layered(std::io::Error);

impl std::fmt::Display for Layered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no number")
    }
}

impl std::error::Error for Layered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A function may be a test and be used by another one.
#[hil::test]
fn uses_another_test(target: &mut Target) -> hil::Result {
    place::on_target(target)
}
