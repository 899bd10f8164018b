// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask tidy`: prints what breaks the repository's rules, one finding per line.
//! `cargo xtask header`: writes the header for C programs anew.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use xtask::{Tree, c_header, tidy};

/// Something breaks a rule.
const FOUND: u8 = 1;
/// The arguments are wrong.
const USAGE: u8 = 2;
/// The repository cannot be read.
const UNREADABLE: u8 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if !matches!(arguments[..], ["tidy"] | ["header"]) {
        eprintln!("usage: cargo xtask tidy\n       cargo xtask header");
        return USAGE.into();
    }
    let tree = match Tree::from_git(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("error: {error}");
            return UNREADABLE.into();
        }
    };
    if arguments == ["header"] {
        return write_header(&tree);
    }
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

fn write_header(tree: &Tree) -> ExitCode {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let written = c_header::generate(tree).and_then(|text| {
        let path = top.join(c_header::PATH);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("error: {what}");
            FOUND.into()
        }
    }
}
