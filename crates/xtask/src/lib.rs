// SPDX-License-Identifier: MIT OR Apache-2.0

//! The repository's own checks: what no compiler checks, but every file has to keep to.
//!
//! [`Tree`] is what git knows of the repository, read into memory. [`tidy`] is the rules, each a
//! pure function from a tree to its faults. They run by `cargo xtask tidy` and as a plain test.

pub mod c_header;
pub mod tidy;

pub mod room_pages;
mod rust_source;
mod tree;

pub use tree::{Error, File, Tree};
