// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a server's board is made of, besides the driver: another board needs another server.

use std::io::ErrorKind;
use std::path::Path;

use hil::description::BenchDescription;

use crate::failure::{OrFail, Result};
use crate::stamp::Stamp;

/// The crates that the agent is built from.
const AGENT: [&str; 5] = [
    "bringup-target",
    "agent-wire",
    "kernel-channels",
    "dmacopy-client",
    "dmacopy-uapi",
];

/// A board's files that say how it boots. Not every board has both.
const BOARD: [&str; 2] = ["board.toml", "overlay.dtso"];

/// What it is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct MadeOf<'a> {
    /// The checkout with the agent's source.
    pub(super) root: &'a Path,
    /// The kernel that it boots, whose folder has another name when it is another.
    pub(super) kernel: &'a Path,
    /// The folder of the board's data.
    pub(super) board: &'a Path,
    /// How it is reached; none of an emulated one.
    pub(super) description: Option<&'a BenchDescription>,
}

impl MadeOf<'_> {
    /// A digest of all of it.
    pub(super) fn stamp(self) -> Result<Stamp> {
        let mut stamp = Stamp::default().text(&self.kernel.display().to_string());
        for name in AGENT {
            stamp = stamp.tree(&self.root.join("crates").join(name))?;
        }
        for name in BOARD {
            let path = self.board.join(name);
            let text = match std::fs::read_to_string(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
                read => read.or_environment(|| format!("cannot read {}", path.display()))?,
            };
            stamp = stamp.text(&text);
        }
        Ok(stamp.text(&format!("{:?}", self.description)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::exit::Exit;

    /// A checkout with a board, and a description of a bench.
    struct Checkout {
        guard: tempfile::TempDir,
        description: BenchDescription,
    }

    impl Checkout {
        fn new() -> Self {
            let checkout = Self {
                guard: tempfile::tempdir().unwrap(),
                description: described("/dev/a"),
            };
            for name in AGENT {
                let source = checkout.source(name);
                fs::create_dir_all(source.parent().unwrap()).unwrap();
                fs::write(source, "first").unwrap();
            }
            fs::create_dir(checkout.board()).unwrap();
            for name in BOARD {
                fs::write(checkout.board().join(name), "first").unwrap();
            }
            checkout
        }

        fn source(&self, name: &str) -> PathBuf {
            let folder = self.guard.path().join("crates").join(name);
            folder.join("src/lib.rs")
        }

        fn board(&self) -> PathBuf {
            self.guard.path().join("board")
        }

        fn stamp_of(&self, kernel: &str, description: Option<&BenchDescription>) -> Result<String> {
            let made_of = MadeOf {
                root: self.guard.path(),
                kernel: Path::new(kernel),
                board: &self.board(),
                description,
            };
            made_of.stamp().map(Stamp::key)
        }

        fn stamp(&self) -> Result<String> {
            self.stamp_of("/kernel/a", Some(&self.description))
        }
    }

    fn described(console: &str) -> BenchDescription {
        let description = serde_json::json!({
            "board": "x",
            "console": {"serial": console},
            "agent": {"on_console": true},
        });
        serde_json::from_value(description).unwrap()
    }

    #[test]
    fn all_that_it_is_made_of_counts() {
        let checkout = Checkout::new();
        let first = checkout.stamp().unwrap();
        assert_eq!(checkout.stamp().unwrap(), first, "nothing has changed");
        let sources = AGENT.map(|name| checkout.source(name));
        let board = BOARD.map(|name| checkout.board().join(name));
        for path in sources.iter().chain(&board) {
            fs::write(path, "second").unwrap();
            assert_ne!(checkout.stamp().unwrap(), first, "{}", path.display());
            fs::write(path, "first").unwrap();
        }
        assert_eq!(checkout.stamp().unwrap(), first, "all is as it was");
        let another = described("/dev/b");
        let rewired = checkout.stamp_of("/kernel/a", Some(&another)).unwrap();
        assert_ne!(rewired, first, "description");
        assert_ne!(checkout.stamp_of("/kernel/a", None).unwrap(), first);
        let kernel = checkout.stamp_of("/kernel/b", Some(&checkout.description));
        assert_ne!(kernel.unwrap(), first, "kernel");
    }

    #[test]
    fn no_crate_that_the_agent_is_built_from_is_left_out() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for name in AGENT {
            let manifest = fs::read_to_string(crates.join(name).join("Cargo.toml")).unwrap();
            let manifest: toml::Table = toml::from_str(&manifest).unwrap();
            let dependencies = manifest["dependencies"].as_table().unwrap();
            for dependency in dependencies.keys() {
                let is_ours = crates.join(dependency).is_dir();
                let is_known = AGENT.contains(&dependency.as_str());
                assert!(!is_ours || is_known, "{name} is built from {dependency}");
            }
        }
    }

    #[test]
    fn a_file_that_the_board_does_not_have_is_no_mistake_and_an_unreadable_one_is() {
        let checkout = Checkout::new();
        let overlay = checkout.board().join("overlay.dtso");
        fs::remove_file(&overlay).unwrap();
        let without = checkout.stamp().unwrap();
        // A folder can be read as text by nobody, not even by root.
        fs::create_dir(&overlay).unwrap();
        let failure = checkout.stamp().unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        let summary = failure.summary();
        let path = overlay.display().to_string();
        assert!(
            summary.contains(&format!("cannot read {path}")),
            "{summary}"
        );
        fs::remove_dir(&overlay).unwrap();
        assert_eq!(checkout.stamp().unwrap(), without);
    }
}
