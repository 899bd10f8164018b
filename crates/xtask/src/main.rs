// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask tidy`: prints what breaks the repository's rules, one finding per line.
//! `cargo xtask header`: writes the header for C programs anew.
//! `cargo xtask rooms`: writes the pages of the rooms anew.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use xtask::{Tree, c_header, room_pages, tidy};

/// Something breaks a rule.
const FOUND: u8 = 1;
/// The arguments are wrong.
const USAGE: u8 = 2;
/// The repository cannot be read.
const UNREADABLE: u8 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if !matches!(arguments[..], ["tidy"] | ["header"] | ["rooms"]) {
        eprintln!("usage: cargo xtask tidy\n       cargo xtask header\n       cargo xtask rooms");
        return USAGE.into();
    }
    let tree = match Tree::from_git(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("error: {error}");
            return UNREADABLE.into();
        }
    };
    match arguments[..] {
        ["header"] => return written(write_header(&tree)),
        ["rooms"] => return written(write_rooms(&tree)),
        _ => {}
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

fn write_header(tree: &Tree) -> Result<(), String> {
    write(c_header::PATH, &c_header::generate(tree)?)
}

fn write_rooms(tree: &Tree) -> Result<(), String> {
    let pages = room_pages::pages(tree)?;
    pages
        .iter()
        .try_for_each(|page| write(&page.path, &page.text))
}

/// Writes a file of the repository, and the folder that it is in.
fn write(path: &str, text: &str) -> Result<(), String> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    let folder = place.parent().unwrap_or(&place);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&place, text))
        .map_err(|error| format!("{}: {error}", place.display()))
}

fn written(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("error: {what}");
            FOUND.into()
        }
    }
}
