// SPDX-License-Identifier: MIT OR Apache-2.0

//! The udev rule that comes with the driver is for the devices that the ABI names.

use dmacopy_uapi::names;

const RULES: &str = include_str!("../../../kmod/udev/60-dmacopy.rules");
const GROUPS: &str = include_str!("../../../kmod/udev/dmacopy.conf");

/// The lines that are no comments.
fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn the_rule_gives_the_devices_to_the_group_that_is_created() {
    let (driver, class) = (names::DRIVER, names::CLASS);
    let rule = format!(
        "SUBSYSTEM==\"{class}\", KERNEL==\"{driver}[0-9]*\", GROUP=\"{driver}\", MODE=\"0660\""
    );
    assert_eq!(lines(RULES), [rule]);
    assert_eq!(lines(GROUPS), [format!("g {driver} -")]);
}
