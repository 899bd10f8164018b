// SPDX-License-Identifier: MIT OR Apache-2.0

//! A test program of this crate lists and runs its tests, and says of each how it ended.
//!
//! The program, `specimen`, runs as a process of its own: its tests fail in every way on purpose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod demand;
mod listing;
mod order;
mod outcomes;
mod places;
mod time;

use std::collections::BTreeMap;
use std::process::Command;

/// A board that has a CAN bus and no PCI bus.
const BOARD: &str = r#"{
    "bench": "desk", "board": "board", "title": "The board",
    "capabilities": ["can"],
    "known": {"can": "a CAN bus", "pci": "a PCI bus"}
}"#;

/// What a run of the program came to.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// Runs it without a board.
    fn new(arguments: &[&str]) -> Self {
        Self::with(&[], arguments)
    }

    /// Runs it on a board.
    fn on_board(arguments: &[&str]) -> Self {
        Self::with(&[("BRINGUP_TARGET", BOARD)], arguments)
    }

    fn with(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_hil-specimen"))
            .args(arguments)
            .env_remove("BRINGUP_TARGET")
            .env_remove("BRINGUP_LIST")
            .env_remove("RUST_BACKTRACE")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Each test that was run, and what its line says of it.
    fn outcomes(&self) -> BTreeMap<&str, &str> {
        let lines = self.stdout.lines();
        let lines = lines.filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
        lines.map(|(name, end)| (name.trim_end(), end)).collect()
    }

    /// What is said of a test that failed.
    fn failure(&self, test: &str) -> &str {
        let start = format!("---- {test} ----\n");
        let (_, rest) = self.stdout.split_once(&start).unwrap();
        rest.split_once("\n\n").unwrap().0
    }

    /// The notes that the tests left, in the order in which they did.
    fn notes(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines
            .filter_map(|line| line.strip_prefix("note: "))
            .collect()
    }

    /// The numbers of tests that passed, failed, and were ignored.
    fn counts(&self) -> [u32; 3] {
        let mut lines = self.stdout.lines();
        let result = lines
            .find(|line| line.starts_with("test result: "))
            .unwrap();
        ["passed", "failed", "ignored"].map(|what| {
            let words: Vec<_> = result.split([' ', ';']).collect();
            let at = words.iter().position(|word| *word == what).unwrap();
            words[at - 1].parse().unwrap()
        })
    }
}
