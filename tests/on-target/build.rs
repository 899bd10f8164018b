// SPDX-License-Identifier: MIT OR Apache-2.0

//! Compiles the example in C, which a test runs on the board: strictly, and static, as all programs
//! for the board are.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "../../crates/dmacopy-uapi/examples/batch.c";
const INCLUDE: &str = "../../crates/dmacopy-uapi/include";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed={INCLUDE}/dmacopy.h");
    let compiler = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        arch if arch == env::consts::ARCH => "cc".to_owned(),
        arch => format!("{arch}-linux-gnu-gcc"),
    };
    let program = Path::new(&env::var("OUT_DIR")?).join("batch");
    let status = Command::new(&compiler)
        .args(["-std=c11", "-D_GNU_SOURCE", "-O2", "-static", "-s"])
        .args([
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-I",
            INCLUDE,
            "-o",
        ])
        .args([&program, Path::new(SOURCE)])
        .status()
        .map_err(|error| format!("cannot start {compiler}: {error}"))?;
    if !status.success() {
        return Err(format!("{compiler} does not compile {SOURCE}").into());
    }
    Ok(())
}
