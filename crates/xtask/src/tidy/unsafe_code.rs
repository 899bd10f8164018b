// SPDX-License-Identifier: MIT OR Apache-2.0

//! Unsafe code has two places, one on each side of the border, and the compiler knows it too.

use toml::Value;

use super::Fault;
use super::manifest::Manifest;
use crate::rust_source::{Source, words};
use crate::{File, Tree};

/// Where unsafe code may be.
const PLACES: [&str; 2] = ["crates/kernel-channels/", "kmod/sys/"];

/// The root of the driver, which no manifest belongs to.
const DRIVER: &str = "kmod/dmacopy_main.rs";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let outside = |file: &&File| !PLACES.iter().any(|place| file.path.starts_with(place));
    let mut faults = Vec::new();
    for file in tree.rust().filter(outside) {
        for offset in words(&Source::new(&file.text).code, "unsafe", "") {
            let what = format!("unsafe code is allowed below {} only", PLACES.join(" and "));
            faults.push(Fault::at(file, offset, what));
        }
    }
    for file in tree.manifests().filter(outside) {
        faults.extend(unforbidden(tree, file));
    }
    if let Some(file) = tree.get(DRIVER) {
        let denied = Source::new(&file.text)
            .code
            .contains("#![deny(unsafe_code)]");
        if !denied {
            faults.push(Fault::new(DRIVER, 1, "does not say #![deny(unsafe_code)]"));
        }
    }
    faults
}

fn unforbidden(tree: &Tree, file: &File) -> Option<Fault> {
    let manifest = match Manifest::read(file) {
        Ok(manifest) => manifest,
        Err(fault) => return Some(fault),
    };
    let inherits = manifest.get(&["lints", "workspace"]) == Some(&Value::Boolean(true));
    let forbidden = if inherits {
        let root = tree
            .get("Cargo.toml")
            .and_then(|root| Manifest::read(root).ok());
        root.is_some_and(|root| forbids(root.get(&["workspace", "lints", "rust", "unsafe_code"])))
    } else {
        forbids(manifest.get(&["lints", "rust", "unsafe_code"]))
    };
    (!forbidden).then(|| Fault::new(&file.path, 1, "its lints do not forbid unsafe_code"))
}

/// Whether the value of a lint is `"forbid"`, with or without a priority.
fn forbids(lint: Option<&Value>) -> bool {
    let level = lint.map(|lint| lint.get("level").unwrap_or(lint));
    level.and_then(Value::as_str) == Some("forbid")
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const ROOT: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";
    const INHERITS: &str = "[lints]\nworkspace = true\n";

    #[test]
    fn unsafe_code_elsewhere_is_found() {
        let faults = check(&Tree::from([
            ("crates/a/src/lib.rs", "\nfn a() { unsafe { b() } }\n"),
            ("crates/a/tests/a.rs", "unsafe impl Send for A {}\n"),
            ("kmod/dma.rs", "/* no */ unsafe fn a() {}\n"),
        ]));
        let expected = [
            "crates/a/src/lib.rs:2",
            "crates/a/tests/a.rs:1",
            "kmod/dma.rs:1",
        ];
        assert_eq!(places(&faults), expected);
    }

    #[test]
    fn a_crate_that_does_not_forbid_it_is_found() {
        let faults = check(&Tree::from([
            (
                "Cargo.toml",
                "[workspace.lints.rust]\nunsafe_code = \"deny\"\n",
            ),
            ("crates/a/Cargo.toml", INHERITS),
            ("crates/b/Cargo.toml", "[package]\nname = \"b\"\n"),
            (
                "crates/c/Cargo.toml",
                "[lints.rust]\nunsafe_code = \"warn\"\n",
            ),
            ("kmod/dmacopy_main.rs", "// #![deny(unsafe_code)]\n"),
        ]));
        assert_eq!(faults.len(), 4);
    }

    #[test]
    fn unsafe_code_in_its_places_and_the_word_elsewhere_pass() {
        let faults = check(&Tree::from([
            ("Cargo.toml", ROOT),
            ("crates/a/Cargo.toml", INHERITS),
            (
                "crates/a/src/lib.rs",
                "//! no unsafe\n#![deny(unsafe_code)] \"unsafe\"\n",
            ),
            (
                "crates/b/Cargo.toml",
                "[lints.rust]\nunsafe_code = { level = \"forbid\" }\n",
            ),
            ("crates/kernel-channels/Cargo.toml", "[package]\n"),
            ("crates/kernel-channels/src/mmap.rs", "unsafe {}\n"),
            ("kmod/dmacopy_main.rs", "#![deny(unsafe_code)]\n"),
            ("kmod/sys/dma.rs", "unsafe {}\n"),
        ]));
        assert_eq!(faults, []);
    }
}
