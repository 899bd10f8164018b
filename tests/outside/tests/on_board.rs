// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests that run on a board.

use hil::Target;

#[hil::test]
fn the_board_says_which_one_it_is(target: &mut Target) -> hil::Result {
    let names = outside::compatible()?;
    target.note("compatible", names.join(" "));
    assert!(!names.is_empty());
    Ok(())
}

#[hil::test]
fn a_file_is_as_it_was_written(target: &mut Target) -> hil::Result {
    let path = target.folder()?.join("file");
    std::fs::write(&path, "text")?;
    assert_eq!(std::fs::read_to_string(path)?, "text");
    Ok(())
}

#[hil::test(requires("pci"))]
fn a_pci_bus_has_a_bridge(_: &mut Target) -> hil::Result {
    let mut devices = std::fs::read_dir("/sys/bus/pci/devices")?;
    assert!(devices.next().is_some());
    Ok(())
}

#[hil::test(ignore = "waits for a person")]
fn on_demand(_: &mut Target) {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

hil::main!();
