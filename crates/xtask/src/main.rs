// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask tidy`: prints what breaks the repository's rules, one finding per line.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use xtask::{Tree, tidy};

/// Something breaks a rule.
const FOUND: u8 = 1;
/// The arguments are wrong.
const USAGE: u8 = 2;
/// The repository cannot be read.
const UNREADABLE: u8 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments != ["tidy"] {
        eprintln!("usage: cargo xtask tidy");
        return USAGE.into();
    }
    let tree = match Tree::from_git(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("error: {error}");
            return UNREADABLE.into();
        }
    };
    let findings = tidy::check(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        FOUND.into()
    }
}
