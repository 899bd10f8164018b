// SPDX-License-Identifier: MIT OR Apache-2.0

//! The peripheral goes and comes back, and so does the driver, while programs use the device.

use hil::Bench;
use on_bench::copier::{Copier, Copying, PERIPHERAL, instruct, told, wait_until_told, write};

const ENODEV: i32 = 19;

/// What copies until the device goes, and does so already: in two sessions.
fn busy(bench: &Bench, copier: &Copier) -> hil::Result<[Copying; 2]> {
    let before = told(bench, "descriptors")?;
    let copying = [
        copier.start(&["--until-failure"])?,
        copier.start(&["--until-failure", "--bytes", "30000"])?,
    ];
    wait_until_told(bench, "descriptors", |now| now > before + 100)?;
    Ok(copying)
}

/// That who copied was told that the device has gone.
fn are_told(copying: [Copying; 2]) -> hil::Result {
    for copying in copying {
        let report = copying.report()?;
        assert!(report.copied > 0, "{report:?}");
        assert!(report.hang_up, "{report:?}");
        assert_eq!(report.failed_with(ENODEV), Some(vec![report.copied]));
    }
    Ok(())
}

#[hil::test(timeout = "90 s", requires("dmacopy"))]
fn a_device_that_is_pulled_out_is_gone_for_who_uses_it(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let copying = busy(bench, &copier)?;
    bench.unplug(PERIPHERAL)?;
    are_told(copying)?;
    assert!(copier.attribute("engine").is_err());
    bench.plug(PERIPHERAL)?;
    Copier::find(bench)?.still_copies()
}

#[hil::test(timeout = "90 s", requires("dmacopy"))]
fn a_device_that_does_not_answer_when_it_is_pulled_out_is_gone(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let copying = busy(bench, &copier)?;
    instruct(bench, "{\"stick\": true}")?;
    instruct(bench, "{\"die\": true}")?;
    copier.set("timeout_ms", "60000")?;
    bench.unplug(PERIPHERAL)?;
    are_told(copying)?;
    instruct(bench, "\"clear\"")?;
    bench.plug(PERIPHERAL)?;
    Copier::find(bench)?.still_copies()
}

#[hil::test(requires("dmacopy"))]
fn a_driver_that_lets_go_leaves_a_function_at_rest(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let (function, copying) = (copier.function()?, busy(bench, &copier)?);
    write(
        copier.agent(),
        "/sys/bus/pci/drivers/dmacopy/unbind",
        &function,
    )?;
    are_told(copying)?;
    assert_eq!(told(bench, "status")?, 0);
    write(
        copier.agent(),
        "/sys/bus/pci/drivers/dmacopy/bind",
        &function,
    )?;
    Copier::find(bench)?.still_copies()
}

#[hil::test(requires("dmacopy"))]
fn a_driver_lets_go_of_a_function_that_neither_stops_nor_resets(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    let (function, copying) = (copier.function()?, busy(bench, &copier)?);
    instruct(bench, "{\"freeze\": true}")?;
    write(
        copier.agent(),
        "/sys/bus/pci/drivers/dmacopy/unbind",
        &function,
    )?;
    are_told(copying)?;
    assert!(!copier.is_bus_master_at(&function)?);
    // Nor does it bind to one.
    let bind = "/sys/bus/pci/drivers/dmacopy/bind";
    assert!(write(copier.agent(), bind, &function).is_err());
    assert!(!copier.is_bus_master_at(&function)?);
    instruct(bench, "\"clear\"")?;
    write(copier.agent(), bind, &function)?;
    Copier::find(bench)?.still_copies()
}

#[hil::test(requires("dmacopy"))]
fn a_module_that_is_unloaded_leaves_a_function_at_rest(bench: &mut Bench) -> hil::Result {
    let copier = Copier::find(bench)?;
    copier.still_copies()?;
    let agent = copier.agent().clone();
    let copying = busy(bench, &copier)?;
    assert!(agent.unload_module("dmacopy").is_err(), "it is in use");
    drop(copying);
    agent.restore(false)?;
    agent.unload_module("dmacopy")?;
    assert_eq!(told(bench, "status")?, 0);
    agent.restore(true)?;
    Copier::find(bench)?.still_copies()
}

hil::main!();
