// SPDX-License-Identifier: MIT OR Apache-2.0

//! The ABI is one source for two compilers. The driver borrows it, the register map of the kit's
//! hardware, and nothing else.

use super::Fault;
use crate::Tree;
use crate::rust_source::{Source, words};

/// The sources of the ABI.
const ABI: &str = "crates/dmacopy-uapi/src/abi/";

/// The register map.
const REGISTERS: &str = "crates/dmacopy-device/src/registers.rs";

/// How the driver mounts the ABI.
const MOUNT: &str = "#[path = \"../crates/dmacopy-uapi/src/abi/mod.rs\"]";

/// How the driver mounts the register map, if it does.
const REGISTERS_MOUNT: &str = "#[path = \"../crates/dmacopy-device/src/registers.rs\"]";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.below(ABI).chain(tree.get(REGISTERS)) {
        let code = Source::new(&file.text).code;
        // Conditions are easier to read without the blanks that one may put into them.
        for (index, line) in code.lines().enumerate() {
            let dense: String = line.split_whitespace().collect();
            let said = |word: &str, next: &str| {
                words(line, word, "").any(|at| {
                    let rest = &line[at + word.len()..];
                    rest.trim_start().starts_with(next)
                })
            };
            let forbidden = [
                ("std::", said("std", "::")),
                ("crate::", said("crate", "::")),
                ("unsafe", said("unsafe", "")),
                ("cfg(feature", dense.contains("cfg") && said("feature", "=")),
            ];
            for (name, _) in forbidden.iter().filter(|(_, said)| *said) {
                let what = format!("says `{name}`, which the kernel's build does not have here");
                faults.push(Fault::new(&file.path, index + 1, what));
            }
        }
    }
    faults.extend(mounts(tree));
    faults
}

/// Checks what the driver takes from outside of its folder.
fn mounts(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    // The ABI and the register map.
    let mut mounted = [false; 2];
    let mut sources = 0;
    for file in tree.below("kmod/").filter(|file| file.extension() == "rs") {
        sources += 1;
        let source = Source::new(&file.text);
        for offset in words(&source.code, "path", "") {
            if !source.code[..offset].trim_end().ends_with("#[") {
                continue;
            }
            let start = source.code[..offset].rfind('#').unwrap_or(offset);
            let mounts = [MOUNT, REGISTERS_MOUNT];
            let mount = mounts.map(|mount| source.uncommented[start..].starts_with(mount));
            match mount.iter().position(|is_this| *is_this) {
                None => {
                    let what = "mounts another source than the ABI and the register map";
                    faults.push(Fault::at(file, offset, what));
                }
                Some(which) if mounted[which] => {
                    faults.push(Fault::at(file, offset, "mounts this source again"));
                }
                Some(which) => mounted[which] = true,
            }
        }
    }
    if sources > 0 && !mounted[0] {
        let what = format!("no source here says {MOUNT}");
        faults.push(Fault::new("kmod", 1, what));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const FILE: &str = "crates/dmacopy-uapi/src/abi/mod.rs";

    #[test]
    fn what_the_kernel_lacks_is_found() {
        for text in [
            "use std::fmt;",
            "use crate::abi;",
            "unsafe {}",
            "#[cfg(feature = \"a\")]",
            "#[cfg(all(unix, feature=\"a\"))]",
        ] {
            let faults = check(&Tree::from([(FILE, text)]));
            assert_eq!(places(&faults), [format!("{FILE}:1")], "{text}");
            let faults = check(&Tree::from([(REGISTERS, text)]));
            assert_eq!(places(&faults), [format!("{REGISTERS}:1")], "{text}");
        }
    }

    #[test]
    fn another_or_a_missing_or_a_second_mount_is_found() {
        let other = "\n#[path = \"../other.rs\"]\nmod other;\n";
        let faults = check(&Tree::from([
            ("kmod/a.rs", MOUNT),
            ("kmod/b.rs", other),
            ("kmod/sys/c.rs", MOUNT),
        ]));
        assert_eq!(places(&faults), ["kmod/b.rs:2", "kmod/sys/c.rs:1"]);
        let faults = check(&Tree::from([
            ("kmod/a.rs", MOUNT),
            ("kmod/b.rs", REGISTERS_MOUNT),
            ("kmod/c.rs", REGISTERS_MOUNT),
        ]));
        assert_eq!(places(&faults), ["kmod/c.rs:1"]);
        let commented = format!("// {MOUNT}");
        let faults = check(&Tree::from([("kmod/a.rs", commented.as_str())]));
        assert_eq!(places(&faults), ["kmod:1"]);
    }

    #[test]
    fn the_abi_as_it_should_be_passes() {
        let text = "//! no `crate::` paths, no unsafe\nuse core::mem;\n\"std::\"; my_crate::a;\n";
        let faults = check(&Tree::from([
            (FILE, text),
            (
                "crates/dmacopy-uapi/src/lib.rs",
                "extern crate std; use std::fmt;",
            ),
            ("kmod/dmacopy_main.rs", MOUNT),
            ("kmod/pci.rs", REGISTERS_MOUNT),
            ("kmod/a.rs", "fn path() {} // #[path = \"b\"]\n"),
        ]));
        assert_eq!(faults, []);
    }
}
