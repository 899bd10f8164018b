// SPDX-License-Identifier: MIT OR Apache-2.0

//! Prints what a board says it is, one name per line.

fn main() -> std::io::Result<()> {
    for name in outside::compatible()? {
        println!("{name}");
    }
    Ok(())
}
