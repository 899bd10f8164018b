// SPDX-License-Identifier: MIT OR Apache-2.0

//! A benchmark without a harness: says where it runs, and what cargo tells it.

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    println!("{} {}", std::env::consts::ARCH, words.join(" "));
}
