// SPDX-License-Identifier: MIT OR Apache-2.0

//! The repository keeps to its own rules.

use std::path::Path;

use xtask::{Tree, tidy};

#[test]
fn the_repository_is_tidy() {
    let tree = Tree::from_git(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let own = "crates/xtask/tests/tidy.rs";
    assert!(tree.get(own).is_some(), "git does not know {own}");
    let findings: Vec<_> = tidy::check(&tree).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
