// SPDX-License-Identifier: MIT OR Apache-2.0

//! A package outside of the checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// How long one command may take, seconds: it may have to boot the board and to build all.
const LIMIT: &str = "600";

/// Where cargo puts what it has built for the board.
const BUILT: &str = "target/aarch64-unknown-linux-gnu/debug";

/// What the copy has besides the files of `tests/outside`.
const SPECIMENS: [(&str, &str); 5] = [
    ("examples/program.rs", include_str!("specimens/program.rs")),
    ("tests/fails.rs", include_str!("specimens/fails.rs")),
    ("tests/boot_one.rs", include_str!("specimens/boot.rs")),
    ("tests/boot_two.rs", include_str!("specimens/boot.rs")),
    ("benches/plain.rs", include_str!("specimens/plain.rs")),
];

/// Their tables in the manifest.
const TABLES: &str = "\n[[bench]]\nname = \"plain\"\nharness = false\n";

/// The package, which is made when the first test needs it.
#[derive(Debug, Default)]
pub(crate) struct Package(OnceLock<tempfile::TempDir>);

impl Package {
    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.0.get_or_init(copy).path()
    }

    /// This program of the kit, in the package's folder.
    pub(crate) fn bringup(&self, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args([LIMIT, env!("CARGO_BIN_EXE_bringup")])
            .args(words)
            .current_dir(self.folder())
            // The program knows where it was built.
            .env_remove("BRINGUP_KIT")
            .env_remove("BRINGUP_BENCH_SOCKET")
            .stdin(Stdio::null());
        command
    }

    /// `bringup cargo`.
    pub(crate) fn cargo(&self, words: &[&str]) -> Ran {
        let words: Vec<_> = ["cargo"].iter().chain(words).copied().collect();
        Ran::new(&mut self.bringup(&words))
    }

    /// `bringup run` with the program among the specimens.
    pub(crate) fn program(&self, words: &[&str]) -> Command {
        let program = self.folder().join(BUILT).join("examples/program");
        if !program.exists() {
            assert_eq!(self.cargo(&["build", "--examples"]).code, Some(0));
        }
        let mut command = self.bringup(&["run"]);
        command.arg(program).args(words);
        command
    }

    /// A test program that cargo has built, by its name without the hash.
    pub(crate) fn test_program(&self, name: &str) -> PathBuf {
        assert_eq!(
            self.cargo(&["test", "--no-run", "--test", name]).code,
            Some(0)
        );
        let entries = fs::read_dir(self.folder().join(BUILT).join("deps")).unwrap();
        let start = format!("{name}-");
        let is_it = |path: &PathBuf| {
            let file = path.file_name().unwrap().to_string_lossy();
            file.starts_with(&start) && path.extension().is_none()
        };
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(is_it).unwrap()
    }

    /// Switches the board off that was left on, if any test has run.
    pub(crate) fn finish(&self) {
        if self.0.get().is_some() {
            // One that cannot be switched off does so itself after a while.
            let _ = self.bringup(&["bench", "stop"]).status();
        }
    }
}

/// Copies `tests/outside`, which names the kit by a path from there.
fn copy() -> tempfile::TempDir {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let kit = fs::canonicalize(kit).unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(!folder.path().starts_with(&kit), "it is in the checkout");
    let from = kit.join("tests/outside");
    for name in [
        "Cargo.lock",
        "tests/on_bench.rs",
        "src/lib.rs",
        "src/main.rs",
        "tests/on_board.rs",
    ] {
        write(
            folder.path(),
            name,
            &fs::read_to_string(from.join(name)).unwrap(),
        );
    }
    for (name, text) in SPECIMENS {
        write(folder.path(), name, text);
    }
    let manifest = fs::read_to_string(from.join("Cargo.toml")).unwrap();
    let (before, after) = manifest.split_once("../../").unwrap();
    let manifest = format!("{before}{}/{after}{TABLES}", kit.display());
    write(folder.path(), "Cargo.toml", &manifest);
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// Requires this exit code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// What the harness says of a test.
    #[track_caller]
    pub(crate) fn verdict(&self, test: &str) -> &str {
        let mut lines = self.stdout.lines();
        let line = lines.find_map(|line| {
            let rest = line.strip_prefix("test ")?.strip_prefix(test)?;
            rest.trim_start().strip_prefix("... ")
        });
        line.unwrap_or_else(|| panic!("no word of {test}: {}{}", self.stdout, self.stderr))
    }

    /// The numbers of tests that passed, failed and were ignored, of each program.
    pub(crate) fn results(&self) -> Vec<[u32; 3]> {
        let lines = self.stdout.lines();
        let lines = lines.filter(|line| line.starts_with("test result: "));
        let result = |line: &str| {
            let words: Vec<_> = line.split([' ', ';']).collect();
            ["passed", "failed", "ignored"].map(|what| {
                let at = words.iter().position(|word| *word == what).unwrap();
                words[at - 1].parse().unwrap()
            })
        };
        lines.map(result).collect()
    }
}
