// SPDX-License-Identifier: MIT OR Apache-2.0

//! A checkout that the program is run in.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A checkout with one board, and an empty cache beside it.
pub(crate) struct Checkout {
    pub(crate) guard: tempfile::TempDir,
}

impl Checkout {
    pub(crate) fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().join("checkout");
        for folder in ["kmod", "boards/some-board"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let board = "title = \"Some Board\"\ncompatible = [\"some,board\"]\n[kernel]\n\
                     [console]\ndevice = \"ttyS0\"\nbaud = 115200\n[agent]\nport = \"ttyS1\"\n";
        for (name, text) in [
            ("kmod/Kbuild", ""),
            ("boards/boards.toml", "default = \"some-board\"\n"),
            ("boards/some-board/board.toml", board),
        ] {
            std::fs::write(root.join(name), text).unwrap();
        }
        Self { guard }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.guard.path().join("checkout")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.guard.path().join("cache")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env("BRINGUP_CACHE", self.cache())
            // A run that goes further than it should finds no program to make anything with.
            .env("PATH", self.guard.path())
            .env_remove("BRINGUP_DEBIAN_MIRROR")
            .env_remove("BRINGUP_KIT")
            .env_remove("BRINGUP_BENCHES")
            .env_remove("BRINGUP_BENCH_SOCKET")
            .env_remove("BRINGUP_BENCH")
            .env_remove("BRINGUP_BOARD")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Requires this exit code, an empty standard output, and these words in the error.
pub(crate) fn assert_fails(output: &Output, code: i32, words: &str) {
    let stderr = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
