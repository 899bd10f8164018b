// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests that run on a board, or only on some boards.

use std::time::Duration;

use hil::Target;

#[hil::test]
pub(crate) fn on_target(target: &mut Target) -> hil::Result {
    target.note("board", target.board().to_owned());
    let folder = target.folder()?.to_owned();
    target.note("folder", folder.display());
    std::fs::write(folder.join("file"), "text")?;
    Ok(())
}

#[hil::test(requires("pci"))]
fn needs_pci(_target: &mut Target) {}

#[hil::test(requires("pci", "can"), provokes("Oops"))]
fn needs_pci_and_can(_target: &mut Target) {}

#[hil::test(requires("pcie"))]
fn needs_what_nobody_knows(_target: &mut Target) {}

#[hil::test(requires("pci"))]
fn needs_pci_anywhere() {}

#[hil::test(requires("pci"), ignore = "slow")]
fn needs_pci_on_demand(_target: &mut Target) {}

#[hil::test]
fn waits_in_vain(target: &mut Target) -> hil::Result {
    let limit = Duration::from_millis(20);
    target.wait_for("the moon", limit, || None::<()>)?;
    Ok(())
}

/// Leaves its folder in a state in which it cannot be removed: gone.
#[hil::test]
fn removes_its_folder(target: &mut Target) -> hil::Result {
    Ok(std::fs::remove_dir(target.folder()?)?)
}
