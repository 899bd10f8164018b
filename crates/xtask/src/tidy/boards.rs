// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board is data: no program names one.

use std::collections::BTreeSet;

use super::Fault;
use crate::rust_source::{Source, words};
use crate::{File, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let boards: BTreeSet<&str> = tree
        .below("boards/")
        .filter_map(|file| file.path.strip_prefix("boards/")?.split_once('/'))
        .map(|(board, _)| board)
        .collect();
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| !is_test(file)) {
        let source = Source::new(&file.text);
        let product = source.product();
        let prose = source.prose[product.clone()].lines();
        let code = source.code[product].lines();
        for (index, (prose, code)) in prose.zip(code).enumerate() {
            for board in &boards {
                let written = words(prose, board, "-").next().is_some();
                let mut identifiers = code.split(|c: char| !c.is_alphanumeric() && c != '_');
                if written || identifiers.any(|identifier| stands_for(identifier, board)) {
                    let what =
                        format!("names the board `{board}`; what it needs belongs in board.toml");
                    faults.push(Fault::new(&file.path, index + 1, what));
                }
            }
        }
    }
    faults
}

/// Whether a file is compiled for tests only.
fn is_test(file: &File) -> bool {
    let mut folders = file.path.split('/').rev().skip(1);
    folders.any(|name| name == "tests")
}

/// Whether an identifier is a board's name in another spelling, as in `RaspberryPi3b`. A name of
/// one word proves nothing: the kernel has modules with such names, too.
fn stands_for(identifier: &str, board: &str) -> bool {
    let plain = |name: &str| name.replace(['-', '_'], "").to_lowercase();
    board.contains('-') && plain(identifier) == plain(board)
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const BOARDS: [(&str, &str); 3] = [
        ("boards/boards.toml", ""),
        ("boards/quick-pi-5/board.toml", ""),
        ("boards/virt/board.toml", ""),
    ];

    fn with(path: &str, text: &str) -> Vec<String> {
        let [list, pi, virt] = BOARDS;
        places(&check(&Tree::from([list, pi, virt, (path, text)])))
    }

    #[test]
    fn a_board_in_a_program_is_found() {
        let path = "crates/a/src/lib.rs";
        for text in [
            "const A: &str = \"quick-pi-5\";",
            "// as on the quick-pi-5",
            "enum Board { QuickPi5 }",
            "mod quick_pi_5;",
            "if board == \"virt\" {}",
        ] {
            assert_eq!(with(path, text), ["crates/a/src/lib.rs:1"], "{text}");
        }
        assert_eq!(with("kmod/a.rs", "\n// for virt\n"), ["kmod/a.rs:2"]);
    }

    #[test]
    fn tests_and_other_words_may_have_it() {
        let unit = "#[cfg(test)]\nmod tests {\n    const A: &str = \"quick-pi-5\";\n}\n";
        let other = "use mm::virt::VmaNew; // virtual, quick-pi-50\n";
        for (path, text) in [
            ("crates/a/tests/a.rs", "\"virt\""),
            ("tests/on-target/src/lib.rs", "\"virt\""),
            ("crates/a/src/lib.rs", unit),
            ("crates/a/src/lib.rs", other),
            ("README.md", "quick-pi-5"),
        ] {
            assert!(with(path, text).is_empty(), "{path}: {text}");
        }
    }
}
