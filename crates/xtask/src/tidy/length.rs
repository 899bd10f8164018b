// SPDX-License-Identifier: MIT OR Apache-2.0

//! No Rust source is too long to be read in one sitting.

use super::Fault;
use crate::Tree;

/// The most lines of a source. Aim for 75 to 200.
const LIMIT: usize = 600;

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        if lines > LIMIT {
            let what = format!("{lines} lines, more than {LIMIT}: split it by what it is about");
            faults.push(Fault::new(&file.path, LIMIT + 1, what));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    #[test]
    fn a_source_over_the_limit_is_found() {
        let long = "\n".repeat(LIMIT + 1);
        let faults = check(&Tree::from([("crates/a/src/lib.rs", long.as_str())]));
        assert_eq!(places(&faults), ["crates/a/src/lib.rs:601"]);
    }

    #[test]
    fn a_source_at_the_limit_and_other_long_files_pass() {
        let full = "\n".repeat(LIMIT);
        let long = "\n".repeat(LIMIT * 2);
        let tree = Tree::from([("a.rs", full.as_str()), ("Cargo.lock", long.as_str())]);
        assert_eq!(check(&tree), []);
    }
}
