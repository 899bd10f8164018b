// SPDX-License-Identifier: MIT OR Apache-2.0

//! Every version is set once, in the workspace's manifest.

use toml::Value;

use super::Fault;
use super::manifest::Manifest;
use crate::Tree;

const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.manifests() {
        let manifest = match Manifest::read(file) {
            Ok(manifest) => manifest,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        for dependency in manifest.dependencies(&TABLES) {
            if dependency.value.get("workspace") != Some(&Value::Boolean(true)) {
                let package = dependency.package;
                let what = format!("`{package}` does not say `workspace = true`");
                faults.push(Fault::new(&file.path, dependency.line, what));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    #[test]
    fn a_version_of_its_own_is_found() {
        let text = "[dependencies]\na = \"1\"\nb = { path = \"../b\" }\nc.workspace = true\n\
            [dev-dependencies]\nd = { version = \"1\" }\n";
        let faults = check(&Tree::from([("crates/a/Cargo.toml", text)]));
        let expected = ["2", "3", "6"].map(|line| format!("crates/a/Cargo.toml:{line}"));
        assert_eq!(places(&faults), expected);
    }

    #[test]
    fn a_manifest_that_is_none_is_found() {
        let faults = check(&Tree::from([("crates/a/Cargo.toml", "[dependencies\n")]));
        assert_eq!(places(&faults), ["crates/a/Cargo.toml:1"]);
    }

    #[test]
    fn the_workspaces_versions_pass() {
        let member = "[dependencies]\na.workspace = true\n\
            b = { workspace = true, features = [\"c\"] }\n";
        let root = "[workspace.dependencies]\na = \"1\"\n";
        let tree = Tree::from([("Cargo.toml", root), ("crates/a/Cargo.toml", member)]);
        assert_eq!(check(&tree), []);
    }
}
