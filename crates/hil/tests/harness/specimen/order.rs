// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests with something before and after them. Each part tells that it was there.

use hil::Target;

fn setup(target: &mut Target) {
    target.note("order", "setup");
}

fn broken_setup(target: &mut Target) -> hil::Result {
    setup(target);
    Err("no setup".into())
}

fn teardown(target: &mut Target) {
    target.note("order", "teardown");
}

fn broken_teardown(target: &mut Target) {
    teardown(target);
    panic!("no teardown");
}

fn body(target: &mut Target) {
    target.note("order", "body");
}

#[hil::test(setup = setup, teardown = teardown)]
fn passes(target: &mut Target) {
    body(target);
}

#[hil::test(setup = setup, teardown = self::teardown)]
fn panics(target: &mut Target) {
    body(target);
    panic!("no body");
}

#[hil::test(teardown = teardown)]
fn fails(target: &mut Target) -> hil::Result {
    body(target);
    Err("no body".into())
}

#[hil::test(setup = broken_setup, teardown = teardown)]
fn has_no_setup(target: &mut Target) {
    body(target);
}

#[hil::test(teardown = broken_teardown)]
fn has_no_teardown(target: &mut Target) {
    body(target);
}

#[hil::test(teardown = broken_teardown)]
fn has_no_body_and_no_teardown(target: &mut Target) -> hil::Result {
    body(target);
    Err("no body".into())
}

#[hil::test(should_panic, teardown = broken_teardown)]
fn should_panic_in_its_body_only(target: &mut Target) {
    body(target);
    panic!("as it should");
}

#[hil::test(should_panic, setup = broken_setup, teardown = teardown)]
fn should_panic_but_has_no_setup(target: &mut Target) {
    body(target);
    panic!("as it should");
}
