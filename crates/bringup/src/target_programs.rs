// SPDX-License-Identifier: MIT OR Apache-2.0

//! Cross-builds the programs that run on the board, static, with the toolbox's own compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail as _, Result};
use crate::progress::Progress;
use crate::setup::ToolboxSetup;
use crate::toolbox::{Access, CARGO, OUTPUT, SOURCE};

/// The platform of the programs.
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The profile in the workspace's Cargo.toml.
const PROFILE: &str = "on-target";

/// The program that is the agent, the tour and the rest on the board.
const PROGRAM: &str = "bringup-target";

/// How large it may be, in bytes.
pub(crate) const LARGEST: u64 = 6_000_000;

/// The package whose tests run on the board.
const TESTS: &str = "on-target";

/// A test binary, for the board or for this PC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestBinary {
    /// Name of the file in `tests/`.
    pub(crate) name: String,
    /// Where it is on the PC.
    pub(crate) path: PathBuf,
}

/// All that runs on a board.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The agent, which is every other command of the kit on the board too.
    pub(crate) agent: PathBuf,
    pub(crate) tests: Vec<TestBinary>,
}

/// Builds all that runs on a board.
pub(crate) fn build_all(tools: &ToolboxSetup, progress: &Progress) -> Result<Programs> {
    Ok(Programs {
        agent: build_program(tools, progress)?,
        tests: build_tests(tools, progress)?,
    })
}

/// Builds the board's program and returns where it is.
pub(crate) fn build_program(tools: &ToolboxSetup, progress: &Progress) -> Result<PathBuf> {
    let step = progress.step("programs", &format!("cross-building {PROGRAM}"))?;
    let mut command = cargo(tools)?;
    command.args(["build", "--package", PROGRAM, "--bin", PROGRAM]);
    add_common(&mut command);
    external::run(&mut command, &step, Exit::Build)?;
    step.done(&format!("{PROGRAM} for {TARGET}"));
    Ok(output(tools).join(TARGET).join(PROFILE).join(PROGRAM))
}

/// Refuses a program that has become too large for a board: each boot carries it, over a serial
/// line where there is nothing else.
pub(crate) fn require_small(program: &Path) -> Result<()> {
    let metadata =
        fs::metadata(program).or_environment(|| format!("cannot see {}", program.display()))?;
    let bytes = metadata.len();
    if bytes <= LARGEST {
        return Ok(());
    }
    let what = format!("{PROGRAM} has {bytes} bytes, more than {LARGEST}");
    Err(Failure::new(Exit::Build, what))
}

/// Builds the tests that run on the board.
fn build_tests(tools: &ToolboxSetup, progress: &Progress) -> Result<Vec<TestBinary>> {
    let step = progress.step("target-tests", &format!("cross-building {TESTS}"))?;
    let mut command = cargo(tools)?;
    command.args(["test", "--no-run", "--package", TESTS]);
    command.arg("--message-format=json-render-diagnostics");
    add_common(&mut command);
    let mut binaries = Vec::new();
    external::run_each_line(&mut command, &step, Exit::Build, &mut |line| {
        binaries.extend(test_binary(line));
    })?;
    if binaries.is_empty() {
        return Err(Failure::new(
            Exit::Build,
            format!("package {TESTS} has no tests"),
        ));
    }
    for binary in &mut binaries {
        if let Ok(inside) = binary.path.strip_prefix(OUTPUT) {
            binary.path = tools.repository.output().join(inside);
        }
    }
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    step.done(&format!("{} test binaries for {TARGET}", binaries.len()));
    Ok(binaries)
}

/// Checks the formatting of the workspace.
pub(crate) fn formatting(tools: &ToolboxSetup, progress: &Progress) -> Result<()> {
    let step = progress.step("fmt", "checking the formatting of the workspace")?;
    let mut command = cargo(tools)?;
    external::run(
        command.args(["fmt", "--all", "--check"]),
        &step,
        Exit::Build,
    )?;
    step.done("the workspace is formatted");
    Ok(())
}

/// Runs clippy over the workspace with the toolbox's compiler, the oldest that it promises to
/// build with; a warning is a failure.
pub(crate) fn clippy(tools: &ToolboxSetup, progress: &Progress) -> Result<()> {
    let step = progress.step("clippy", "checking the workspace with clippy")?;
    let mut command = cargo(tools)?;
    command.args(["clippy", "--workspace", "--all-targets", "--locked"]);
    command.args(["--", "--deny", "warnings"]);
    external::run(&mut command, &step, Exit::Build)?;
    step.done("the workspace is clean under clippy");
    Ok(())
}

fn output(tools: &ToolboxSetup) -> PathBuf {
    tools.repository.output().join("cargo")
}

fn cargo(tools: &ToolboxSetup) -> Result<Command> {
    let registry = tools.cache.folder("cargo")?;
    let enter = tools
        .toolbox
        .enter()
        .mount(tools.repository.root(), SOURCE, Access::Read)
        .mount(&tools.repository.output(), OUTPUT, Access::Write)
        .mount(&registry, CARGO, Access::Write)
        .folder(SOURCE)
        .env("CARGO_HOME", CARGO)
        .env("CARGO_TARGET_DIR", format!("{OUTPUT}/cargo"));
    Ok(enter.program("cargo"))
}

fn add_common(command: &mut Command) {
    command.args(["--locked", "--target", TARGET, "--profile", PROFILE]);
}

/// What one of cargo's JSON messages tells of that it has made.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    target: ArtifactTarget,
    executable: Option<PathBuf>,
    profile: ArtifactProfile,
}

#[derive(Deserialize)]
struct ArtifactTarget {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct ArtifactProfile {
    test: bool,
}

impl Artifact {
    /// A program with tests.
    fn with_tests(line: &str) -> Option<Self> {
        let artifact: Self = serde_json::from_str(line).ok()?;
        let is_one = artifact.reason == "compiler-artifact" && artifact.profile.test;
        is_one.then_some(artifact)
    }
}

/// A test binary that one of cargo's JSON messages tells of.
pub(crate) fn test_binary(line: &str) -> Option<TestBinary> {
    let artifact = Artifact::with_tests(line)?;
    let is_test = artifact.target.kind.iter().any(|kind| kind == "test");
    Some(TestBinary {
        name: artifact.target.name,
        path: artifact.executable.filter(|_| is_test)?,
    })
}

/// A program with tests or benchmarks of whatever kind, that of a library too.
pub(crate) fn test_program(line: &str) -> Option<PathBuf> {
    Artifact::with_tests(line)?.executable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_one_byte_too_many_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LARGEST).unwrap();
        require_small(file.path()).unwrap();
        file.as_file().set_len(LARGEST + 1).unwrap();
        let failure = require_small(file.path()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Build);
        assert!(failure.summary().contains("6000001"), "{failure:?}");
    }

    #[test]
    fn only_test_binaries_are_taken_from_cargos_messages() {
        let message = |reason: &str, kind: &str, test: bool| {
            format!(
                r#"{{"reason":"{reason}","target":{{"name":"mmap","kind":["{kind}"]}},
                "profile":{{"test":{test}}},"executable":"/out/mmap-1"}}"#
            )
        };
        let found = test_binary(&message("compiler-artifact", "test", true)).unwrap();
        assert_eq!(found.name, "mmap");
        assert_eq!(found.path, PathBuf::from("/out/mmap-1"));
        let library = message("compiler-artifact", "lib", true);
        assert_eq!(test_binary(&library), None);
        assert_eq!(test_program(&library), Some("/out/mmap-1".into()));
        assert_eq!(
            test_binary(&message("compiler-artifact", "test", false)),
            None
        );
        let program = message("compiler-artifact", "bin", false);
        assert_eq!(test_program(&program), None);
        assert_eq!(test_binary(&message("build-finished", "test", true)), None);
        assert_eq!(test_binary("   Compiling x"), None);
    }
}
