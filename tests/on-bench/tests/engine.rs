// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver on the peripheral that the bench plays: it copies, and it survives each way in which
//! hardware fails.

use std::time::{Duration, Instant};

use hil::Bench;
use on_bench::copier::{Copier, instruct, told, wait_until_told};

const EIO: i32 = 5;
const ETIMEDOUT: i32 = 110;

/// What the driver says of an engine.
const RUNNING: &str = "running";
const STALLED: &str = "stalled";
const FAILED: &str = "failed";

/// The status of a completion with which the engine has failed.
const INTERNAL: &str = "5";

/// A time that the engine is given, for tests that let it pass, in milliseconds.
const SHORT: u64 = 300;

/// The device, which gives its engine only a [`SHORT`] time.
fn impatient(bench: &mut Bench) -> hil::Result<Copier> {
    let copier = Copier::find(bench)?;
    copier.set("timeout_ms", &SHORT.to_string())?;
    Ok(copier)
}

/// That all is as before: faults are cleared, and the device copies in the usual time.
fn is_well(bench: &Bench, copier: &Copier) -> hil::Result {
    instruct(bench, "\"clear\"")?;
    copier.expect("state", RUNNING)?;
    copier.still_copies()?;
    assert_eq!(copier.attribute("state")?, RUNNING);
    copier.set("timeout_ms", "1000")
}

#[hil::test(requires("dmacopy"))]
fn the_peripheral_copies_what_the_board_asks_for(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let (descriptors, bytes) = (told(bench, "descriptors")?, told(bench, "bytes")?);
    let (transfers, errors) = (copier.number("transfers")?, copier.number("errors")?);
    let report = copier.copy(&["--count", "100", "--bytes", "300", "--batches", "5"])?;
    assert!(report.is_good(500), "{report:?}");
    assert_eq!(told(bench, "descriptors")? - descriptors, 500);
    assert_eq!(told(bench, "bytes")? - bytes, 500 * 300);
    assert_eq!(copier.number("transfers")? - transfers, 500);
    assert_eq!(copier.number("errors")?, errors);
    Ok(())
}

#[hil::test(requires("dmacopy"))]
fn a_copy_that_is_too_long_for_one_descriptor_has_several(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let most = copier.register("MAX_LENGTH")?;
    let bytes = most + most / 2 + 1;
    copier.set("buffer_bytes", "4194304")?;
    let descriptors = told(bench, "descriptors")?;
    let report = copier.copy(&["--bytes", &bytes.to_string()])?;
    assert!(report.is_good(1), "{report:?}");
    assert_eq!(told(bench, "descriptors")? - descriptors, 2);
    copier.set("buffer_bytes", "65536")
}

#[hil::test(requires("dmacopy"))]
fn several_devices_copy_at_the_same_time(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let software = Copier::with_engine(bench, "software")?;
    let arguments = ["--count", "64", "--bytes", "400", "--batches", "40"];
    let both = [copier.start(&arguments)?, software.start(&arguments)?];
    for copying in both {
        let report = copying.report()?;
        assert!(report.is_good(64 * 40), "{report:?}");
    }
    Ok(())
}

#[hil::test(requires("dmacopy"))]
fn a_lost_interrupt_costs_time_and_nothing_else(bench: &mut Bench) -> hil::Result {
    let copier = impatient(bench)?;
    let (lost, errors) = (told(bench, "lost_messages")?, copier.number("errors")?);
    let (missed, stalls) = (copier.counter("missed")?, copier.counter("stalls")?);
    instruct(bench, "{\"lose_messages\": 1}")?;
    let begun = Instant::now();
    let report = copier.copy(&[])?;
    assert!(report.is_good(1), "{report:?}");
    assert!(begun.elapsed() >= Duration::from_millis(SHORT));
    assert_eq!(told(bench, "lost_messages")? - lost, 1);
    assert_eq!(copier.counter("missed")? - missed, 1);
    assert_eq!(copier.counter("stalls")?, stalls);
    assert_eq!(copier.number("errors")?, errors);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn interrupts_without_a_cause_harm_nobody(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let idle = copier.register("idle_interrupts")?;
    let copying = copier.start(&["--count", "64", "--bytes", "400", "--batches", "20"])?;
    for _ in 0..20 {
        instruct(bench, "{\"spurious_messages\": 10}")?;
    }
    let report = copying.report()?;
    assert!(report.is_good(64 * 20), "{report:?}");
    instruct(bench, "{\"spurious_messages\": 1}")?;
    assert!(copier.register("idle_interrupts")? > idle);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn an_engine_that_is_stuck_is_reset_and_only_one_waiter_loses(bench: &mut Bench) -> hil::Result {
    let copier = impatient(bench)?;
    let (resets, descriptors) = (told(bench, "resets")?, told(bench, "descriptors")?);
    instruct(bench, "{\"stick\": true}")?;
    let copying = copier.start(&["--count", "8", "--bytes", "500"])?;
    wait_until_told(bench, "resets", |now| now > resets)?;
    assert_eq!(copier.attribute("state")?, STALLED);
    instruct(bench, "{\"stick\": false}")?;
    let report = copying.report()?;
    assert_eq!(report.failed_with(ETIMEDOUT), Some(vec![0]), "{report:?}");
    assert_eq!((report.copied, report.corrupted), (7, 0));
    assert_eq!(told(bench, "resets")? - resets, 1);
    assert_eq!(told(bench, "descriptors")? - descriptors, 7);
    is_well(bench, &copier)
}

/// Has the engine be reset because it is stuck, with a copy that is lost by that.
fn be_reset(bench: &Bench, copier: &Copier) -> hil::Result {
    copier.set("timeout_ms", &SHORT.to_string())?;
    let resets = told(bench, "resets")?;
    instruct(bench, "{\"stick\": true}")?;
    let copying = copier.start(&[])?;
    wait_until_told(bench, "resets", |now| now > resets)?;
    instruct(bench, "{\"stick\": false}")?;
    let report = copying.report()?;
    assert_eq!(report.failed_with(ETIMEDOUT), Some(vec![0]), "{report:?}");
    // From here on, whoever is late has no time.
    copier.set("timeout_ms", "20000")
}

#[hil::test(requires("dmacopy"))]
fn what_the_engine_has_taken_keeps_its_order_however_often_it_is_reset(
    bench: &mut Bench,
) -> hil::Result {
    let copier = impatient(bench)?;
    let resets = told(bench, "resets")?;
    instruct(bench, "{\"stick\": true}")?;
    let copying = copier.start(&["--count", "8", "--bytes", "500"])?;
    wait_until_told(bench, "resets", |now| now >= resets + 3)?;
    instruct(bench, "{\"stick\": false}")?;
    let report = copying.report()?;
    // Each reset costs the first of those that are left.
    let lost = report.failed_with(ETIMEDOUT).ok_or("another failure")?;
    assert!(lost.len() >= 2, "{report:?}");
    assert!(lost.iter().copied().eq(0..lost.len() as u64), "{report:?}");
    assert_eq!(report.copied + lost.len() as u64, 8);
    assert_eq!(report.corrupted, 0);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn what_was_completed_before_a_reset_is_not_taken_for_done_after_it(
    bench: &mut Bench,
) -> hil::Result {
    let copier = Copier::find(bench)?;
    // The same places of the ring, which the function begins anew, each time.
    for _ in 0..3 {
        be_reset(bench, &copier)?;
        // So that the driver looks before the function is through.
        instruct(bench, "{\"slow\": 50000}")?;
        let report = copier.copy(&["--count", "4", "--bytes", "500"])?;
        assert!(report.is_good(4), "{report:?}");
        instruct(bench, "\"clear\"")?;
    }
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn the_hardware_interrupts_as_it_was_told_after_a_reset_too(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    copier.set("interrupt_count", "3")?;
    copier.set("interrupt_microseconds", "777")?;
    be_reset(bench, &copier)?;
    assert_eq!(copier.register("COALESCE_COUNT")?, 3);
    assert_eq!(copier.register("COALESCE_MICROSECONDS")?, 777);
    copier.set("interrupt_count", "0")?;
    copier.set("interrupt_microseconds", "0")?;
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn an_engine_that_cannot_be_reset_has_failed_until_it_can(bench: &mut Bench) -> hil::Result {
    let copier = impatient(bench)?;
    instruct(bench, "{\"freeze\": true}")?;
    let report = copier.copy(&["--count", "8", "--bytes", "500"])?;
    let all: Vec<u64> = (0..8).collect();
    assert_eq!(report.failed_with(EIO), Some(all.clone()), "{report:?}");
    assert_eq!(copier.attribute("state")?, FAILED);
    // It may access memory at any time, so it has lost the bus.
    assert!(!copier.is_bus_master()?);
    let report = copier.copy(&["--count", "8", "--bytes", "500"])?;
    assert_eq!(report.failed_with(EIO), Some(all), "{report:?}");
    is_well(bench, &copier)?;
    assert!(copier.is_bus_master()?);
    Ok(())
}

#[hil::test(requires("dmacopy"))]
fn a_function_that_is_dead_has_failed_until_it_is_back(bench: &mut Bench) -> hil::Result {
    let copier = impatient(bench)?;
    instruct(bench, "{\"die\": true}")?;
    let report = copier.copy(&["--count", "8", "--bytes", "500"])?;
    let all = (0..8).collect();
    assert_eq!(report.failed_with(EIO), Some(all), "{report:?}");
    assert_eq!(copier.attribute("state")?, FAILED);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn an_error_is_told_to_whose_descriptor_has_it(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    // The driver's cookies are its numbers of the transfers.
    let cookie = copier.counter("last_submitted")? + 1 + 3;
    let fault = format!("{{\"fail_cookie\": {{\"cookie\": {cookie}, \"status\": {INTERNAL}}}}}");
    instruct(bench, &fault)?;
    let errors = copier.number("errors")?;
    let report = copier.copy(&["--count", "8", "--bytes", "500"])?;
    assert_eq!(report.failed_with(EIO), Some(vec![3]), "{report:?}");
    assert_eq!((report.copied, report.corrupted), (7, 0));
    assert_eq!(copier.number("errors")? - errors, 1);
    assert_eq!(copier.attribute("state")?, RUNNING);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn memory_that_the_function_cannot_access_is_an_error(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    // All memory but the rings.
    let mut from = 0;
    for (start, bytes) in copier.rings()? {
        let (address, length) = (from, start - from);
        let refused = format!("{{\"address\": {address}, \"length\": {length}}}");
        instruct(bench, &format!("{{\"refuse\": {refused}}}"))?;
        from = start + bytes;
    }
    let length = u64::MAX - from;
    let refused = format!("{{\"address\": {from}, \"length\": {length}}}");
    instruct(bench, &format!("{{\"refuse\": {refused}}}"))?;
    let errors = told(bench, "errors")?;
    let report = copier.copy(&["--count", "8", "--bytes", "500"])?;
    let all = (0..8).collect();
    assert_eq!(report.failed_with(EIO), Some(all), "{report:?}");
    assert_eq!(told(bench, "errors")? - errors, 8);
    assert_eq!(copier.attribute("state")?, RUNNING);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn a_fatal_error_is_mended_by_a_reset_without_waiting(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    copier.set("timeout_ms", "20000")?;
    let (resets, fatal) = (told(bench, "resets")?, "{\"refuse\": ");
    let [(address, length), _] = copier.rings()?;
    let refused = format!("{{\"address\": {address}, \"length\": {length}}}");
    instruct(bench, &format!("{fatal}{refused}}}"))?;
    let begun = Instant::now();
    let report = copier.copy(&["--count", "3", "--bytes", "500"])?;
    assert!(begun.elapsed() < Duration::from_secs(15));
    // Each was the first once.
    assert_eq!(report.failed_with(EIO), Some(vec![0, 1, 2]), "{report:?}");
    assert!(told(bench, "resets")? - resets >= 3);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn a_slow_engine_may_take_as_long_as_it_is_given(bench: &mut Bench) -> hil::Result {
    let copier = impatient(bench)?;
    let resets = told(bench, "resets")?;
    // Together they take longer, but none does.
    let microseconds = SHORT * 1000 / 2;
    instruct(bench, &format!("{{\"slow\": {microseconds}}}"))?;
    let report = copier.copy(&["--count", "4", "--bytes", "500"])?;
    assert!(report.is_good(4), "{report:?}");
    assert_eq!(told(bench, "resets")?, resets);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn an_engine_that_takes_longer_is_reset(bench: &mut Bench) -> hil::Result {
    let copier = impatient(bench)?;
    let resets = told(bench, "resets")?;
    let microseconds = SHORT * 1000 * 10;
    instruct(bench, &format!("{{\"slow\": {microseconds}}}"))?;
    let report = copier.copy(&["--count", "2", "--bytes", "500"])?;
    assert_eq!(
        report.failed_with(ETIMEDOUT),
        Some(vec![0, 1]),
        "{report:?}"
    );
    assert_eq!(told(bench, "resets")? - resets, 2);
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn a_byte_that_the_engine_has_changed_is_seen_by_who_looks(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    instruct(bench, "{\"corrupt\": 3}")?;
    let report = copier.copy(&["--count", "8", "--bytes", "500"])?;
    assert_eq!((report.copied, report.corrupted), (8, 3), "{report:?}");
    is_well(bench, &copier)
}

#[hil::test(requires("dmacopy"))]
fn the_hardware_interrupts_as_often_as_it_is_told(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let batch = ["--count", "32", "--bytes", "500"];
    let messages = told(bench, "messages")?;
    assert!(copier.copy(&batch)?.is_good(32));
    assert_eq!(told(bench, "messages")? - messages, 32);

    copier.set("interrupt_count", "16")?;
    copier.set("interrupt_microseconds", "60000")?;
    let messages = told(bench, "messages")?;
    assert!(copier.copy(&batch)?.is_good(32));
    // Two for full counts; a processor that has no time may make one of them late.
    let sent = told(bench, "messages")? - messages;
    assert!((2..=8).contains(&sent), "{sent}");
    assert!(copier.set("interrupt_count", "65536").is_err());
    assert_eq!(copier.number("interrupt_count")?, 16);
    copier.set("interrupt_count", "0")?;
    copier.set("interrupt_microseconds", "0")?;
    is_well(bench, &copier)
}

hil::main!();
