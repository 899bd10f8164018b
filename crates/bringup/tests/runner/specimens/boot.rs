// SPDX-License-Identifier: MIT OR Apache-2.0

//! Says which boot this is.

#[test]
fn says_the_boot() {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    println!("boot {boot}");
}
