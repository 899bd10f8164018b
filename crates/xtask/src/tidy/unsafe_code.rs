// SPDX-License-Identifier: MIT OR Apache-2.0

//! Unsafe code has two places, one on each side of the border, and few files besides, and the
//! compiler knows it too.

use toml::Value;

use super::Fault;
use super::manifest::Manifest;
use crate::rust_source::{Source, words};
use crate::{File, Tree};

/// Where unsafe code may be.
const PLACES: [&str; 2] = ["crates/kernel-channels/", "kmod/sys/"];

/// The files elsewhere where unsafe code may be, with the folders of their crates.
const FILES: [(&str, &str); 2] = [
    // Promises what the driver does with the arguments of its requests.
    ("crates/dmacopy-client/", "src/request.rs"),
    // Does to the driver what no safe API does.
    ("tests/on-target/", "src/raw.rs"),
];

/// The root of the driver, which no manifest belongs to.
const DRIVER: &str = "kmod/dmacopy_main.rs";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let outside = |file: &&File| !PLACES.iter().any(|place| file.path.starts_with(place));
    let listed = |file: &&File| {
        let mut files = FILES.iter();
        files.any(|(folder, name)| file.path.strip_prefix(folder) == Some(name))
    };
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| outside(file) && !listed(file)) {
        for offset in words(&Source::new(&file.text).code, "unsafe", "") {
            let files: Vec<_> = FILES.map(|(folder, name)| format!("{folder}{name}")).into();
            let what = format!(
                "unsafe code is allowed below {} and in {} only",
                PLACES.join(" and "),
                files.join(" and ")
            );
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
    // What is forbidden cannot be allowed in a single file.
    let single = FILES
        .iter()
        .any(|(folder, _)| file.path.strip_prefix(folder) == Some("Cargo.toml"));
    let level = if single { "deny" } else { "forbid" };
    let says = |lint: Option<&Value>| level_of(lint) == Some(level);
    let inherits = manifest.get(&["lints", "workspace"]) == Some(&Value::Boolean(true));
    let forbidden = if inherits {
        let root = tree
            .get("Cargo.toml")
            .and_then(|root| Manifest::read(root).ok());
        root.is_some_and(|root| says(root.get(&["workspace", "lints", "rust", "unsafe_code"])))
    } else {
        says(manifest.get(&["lints", "rust", "unsafe_code"]))
    };
    (!forbidden).then(|| {
        let what = format!("its lints do not {level} unsafe_code");
        Fault::new(&file.path, 1, what)
    })
}

/// The level of a lint, with or without a priority.
fn level_of(lint: Option<&Value>) -> Option<&str> {
    let lint = lint?;
    lint.get("level").unwrap_or(lint).as_str()
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
    fn a_single_file_with_unsafe_code_passes_and_its_neighbours_do_not() {
        let denies = "[lints.rust]\nunsafe_code = \"deny\"\n";
        let faults = check(&Tree::from([
            ("tests/on-target/Cargo.toml", denies),
            ("tests/on-target/src/raw.rs", "unsafe {}\n"),
            ("tests/on-target/src/lib.rs", "unsafe {}\n"),
            ("tests/on-target/tests/src/raw.rs", "unsafe {}\n"),
            (
                "crates/dmacopy-client/Cargo.toml",
                "[lints.rust]\nunsafe_code = \"allow\"\n",
            ),
            ("crates/dmacopy-client/src/request.rs", "unsafe {}\n"),
        ]));
        let mut found = places(&faults);
        found.sort();
        let expected = [
            "crates/dmacopy-client/Cargo.toml:1",
            "tests/on-target/src/lib.rs:1",
            "tests/on-target/tests/src/raw.rs:1",
        ];
        assert_eq!(found, expected);
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
