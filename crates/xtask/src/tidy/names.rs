// SPDX-License-Identifier: MIT OR Apache-2.0

//! No file, folder or module is a drawer: its name says what is in it.

use super::Fault;
use crate::Tree;
use crate::rust_source::{Source, words};

/// Names that say nothing.
const DRAWERS: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.files() {
        let folders = file.path.split('/').rev().skip(1);
        for name in folders.chain([file.stem()]) {
            if DRAWERS.contains(&name) {
                faults.push(Fault::new(&file.path, 1, drawer(name)));
            }
        }
    }
    for file in tree.rust() {
        let code = Source::new(&file.text).code;
        for offset in words(&code, "mod", "") {
            let rest = code[offset + "mod".len()..].trim_start();
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            if DRAWERS.contains(&name) {
                faults.push(Fault::at(file, offset, drawer(name)));
            }
        }
    }
    faults
}

fn drawer(name: &str) -> String {
    format!("`{name}` does not say what is in it")
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    #[test]
    fn drawers_are_found() {
        let faults = check(&Tree::from([
            ("crates/a/src/lib.rs", "\npub mod helpers {\n}\nmod misc;\n"),
            ("crates/a/src/utils.rs", ""),
            ("scripts/common/run.sh", ""),
        ]));
        let expected = [
            "crates/a/src/lib.rs:2",
            "crates/a/src/lib.rs:4",
            "crates/a/src/utils.rs:1",
            "scripts/common/run.sh:1",
        ];
        assert_eq!(places(&faults), expected);
    }

    #[test]
    fn words_that_only_contain_such_a_name_pass() {
        let text = "// mod util;\nmod utilisation;\nfn common() { let mode = \"mod util\"; }\n";
        let tree = Tree::from([("crates/commons/src/uncommon.rs", text)]);
        assert_eq!(check(&tree), []);
    }
}
