// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who may depend on whom. Target and host meet only in what they say to each other.

use std::collections::BTreeSet;

use super::Fault;
use super::manifest::Manifest;
use crate::Tree;

/// Each member of the workspace, and the members that it may depend on.
const ALLOWED: [(&str, &[&str]); 14] = [
    // The border.
    ("dmacopy-uapi", &[]),
    // The hardware.
    ("dmacopy-device", &[]),
    // The target.
    ("kernel-channels", &[]),
    ("dmacopy-client", &["dmacopy-uapi", "kernel-channels"]),
    (
        "bringup-target",
        &[
            "agent-wire",
            "dmacopy-client",
            "dmacopy-uapi",
            "kernel-channels",
        ],
    ),
    (
        "on-target",
        &["dmacopy-client", "dmacopy-uapi", "hil", "kernel-channels"],
    ),
    // The meeting points.
    ("agent-wire", &[]),
    ("board-spec", &[]),
    // The host.
    ("hil-macros", &[]),
    ("hil-report", &[]),
    (
        "hil",
        &["agent-wire", "board-spec", "hil-macros", "hil-report"],
    ),
    (
        "bringup",
        &[
            "agent-wire",
            "board-spec",
            "dmacopy-device",
            "hil",
            "hil-report",
        ],
    ),
    ("on-bench", &["agent-wire", "hil"]),
    ("xtask", &[]),
];

/// The kernel compiles the ABI, and gives it no other crates than these.
const BORDER: (&str, [&str; 2]) = ("dmacopy-uapi", ["zerocopy", "zerocopy-derive"]);

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut manifests = Vec::new();
    for file in tree.manifests() {
        match Manifest::read(file) {
            Ok(manifest) => manifests.push(manifest),
            Err(fault) => faults.push(fault),
        }
    }
    let members: BTreeSet<&str> = manifests.iter().map(Manifest::package).collect();
    for manifest in &manifests {
        let path = &manifest.file.path;
        let package = manifest.package();
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package) else {
            let what = format!("`{package}` has no place yet: say in xtask whom it may depend on");
            faults.push(Fault::new(path, 1, what));
            continue;
        };
        for dependency in manifest.dependencies(&["dependencies", "build-dependencies"]) {
            let other = dependency.package;
            if members.contains(other) && !allowed.contains(&other) {
                let what = format!("`{package}` may not depend on `{other}`");
                faults.push(Fault::new(path, dependency.line, what));
            } else if package == BORDER.0 && !BORDER.1.contains(&other) {
                let what = format!("the kernel has no crate `{other}` for the ABI");
                faults.push(Fault::new(path, dependency.line, what));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    fn package(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n[dependencies]\n{dependencies}")
    }

    #[test]
    fn an_arrow_in_the_wrong_direction_is_found() {
        let channels = package(
            "kernel-channels",
            "libc.workspace = true\nhil.workspace = true\n",
        );
        let renamed = package("xtask", "board = { workspace = true, package = \"hil\" }\n");
        let wire =
            "[package]\nname = \"agent-wire\"\n[target.'cfg(unix)'.dependencies]\nhil = {}\n";
        let faults = check(&Tree::from([
            ("crates/kernel-channels/Cargo.toml", channels.as_str()),
            ("crates/hil/Cargo.toml", package("hil", "").as_str()),
            ("crates/xtask/Cargo.toml", renamed.as_str()),
            ("crates/agent-wire/Cargo.toml", wire),
        ]));
        let expected = [
            "crates/agent-wire/Cargo.toml:4",
            "crates/kernel-channels/Cargo.toml:5",
            "crates/xtask/Cargo.toml:4",
        ];
        assert_eq!(places(&faults), expected);
    }

    #[test]
    fn a_newcomer_and_a_strange_crate_in_the_abi_are_found() {
        let border = package("dmacopy-uapi", "libc.workspace = true\n");
        let faults = check(&Tree::from([
            ("crates/dmacopy-uapi/Cargo.toml", border.as_str()),
            ("tests/new/Cargo.toml", package("new", "").as_str()),
        ]));
        let expected = ["crates/dmacopy-uapi/Cargo.toml:4", "tests/new/Cargo.toml:1"];
        assert_eq!(places(&faults), expected);
    }

    #[test]
    fn allowed_arrows_pass() {
        let border = package("dmacopy-uapi", "zerocopy = {}\nzerocopy-derive = {}\n");
        let client = package("dmacopy-client", "dmacopy-uapi = {}\nthiserror = {}\n");
        let tests = "[package]\nname = \"agent-wire\"\n[dev-dependencies]\ndmacopy-client = {}\n";
        let faults = check(&Tree::from([
            ("crates/agent-wire/Cargo.toml", tests),
            ("crates/dmacopy-client/Cargo.toml", client.as_str()),
            ("crates/dmacopy-uapi/Cargo.toml", border.as_str()),
        ]));
        assert_eq!(faults, []);
    }
}
