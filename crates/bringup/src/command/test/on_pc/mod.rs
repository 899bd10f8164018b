// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests that need no board: `cargo test` with the PC's own compiler, of which each test is in
//! the reports.
//!
//! Cargo builds and runs them as ever, but by a runner (the Cargo Book, `target.<triple>.runner`) which is
//! this program: that gives each test a process and so a time and an output of its own.

mod documentation;
mod runner;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use hil_report::Event;
use serde::Deserialize;

use super::recorder::Recorder;
use super::summary::Counts;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;

pub(crate) use runner::run as run_program;

/// What is in the reports of each program, beside the runner's results.
const SUITES: &str = "suites.json";

/// Where the runner adds what happens, one event per line.
const EVENTS: &str = "events.jsonl";

/// The suite of each test program, by its path.
type Suites = BTreeMap<PathBuf, String>;

/// Runs all of them. One that failed is in the counts; source that does not build is a failure.
pub(super) fn run(
    repository: &Repository,
    recorder: &Recorder,
    progress: &Progress,
) -> Result<Counts> {
    let suites = build(repository, progress)?;
    let folder = repository.output().join("test").join("this-pc");
    let unusable = || format!("cannot use the folder {}", folder.display());
    fs::create_dir_all(&folder).or_environment(unusable)?;
    let text = serde_json::to_vec(&suites).or_environment(unusable)?;
    fs::write(folder.join(SUITES), text).or_environment(unusable)?;
    File::create(folder.join(EVENTS)).or_environment(unusable)?;
    let programs = run_programs(repository, &folder)?;
    let counts = record(&folder.join(EVENTS), recorder).or_environment(unusable)?;
    if !programs && counts.failed == 0 {
        let what = "a program of the tests on this PC failed, and no test of it";
        return Err(Failure::new(Exit::Infrastructure, what).help("cargo says above which one"));
    }
    Ok(counts.plus(documentation::run(repository, recorder)?))
}

/// Builds the test programs, so that what does not build is told from what fails.
fn build(repository: &Repository, progress: &Progress) -> Result<Suites> {
    let step = progress.step("pc-tests", "building the tests for this PC")?;
    let mut command = cargo(repository);
    command.args(["--tests", "--no-run"]);
    command.arg("--message-format=json-render-diagnostics");
    let mut suites = Suites::new();
    external::run_each_line(&mut command, &step, Exit::Build, &mut |line| {
        suites.extend(program(line));
    })
    .map_err(|failure| failure.within("the tests for this PC"))?;
    step.done(&format!("{} test programs for this PC", suites.len()));
    Ok(suites)
}

/// The path and the suite of a test program that one of cargo's JSON messages tells of.
fn program(line: &str) -> Option<(PathBuf, String)> {
    #[derive(Deserialize)]
    struct Artifact {
        manifest_path: PathBuf,
        target: Target,
        executable: Option<PathBuf>,
        profile: Profile,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    let artifact: Artifact = serde_json::from_str(line).ok()?;
    let path = artifact.executable.filter(|_| artifact.profile.test)?;
    let folder = artifact.manifest_path.parent()?.file_name()?;
    let package = folder.to_string_lossy();
    let name = artifact.target.name;
    // As nextest names them.
    let suite = match artifact.target.kind.first()?.as_str() {
        "test" => format!("{package}::{name}"),
        "bin" | "example" | "bench" => format!("{package}::{}/{name}", artifact.target.kind[0]),
        _ => package.into_owned(),
    };
    Some((path, suite))
}

/// Whether all programs succeeded.
fn run_programs(repository: &Repository, folder: &Path) -> Result<bool> {
    // This very program, also after cargo has built another in its place (`proc_pid_exe(5)`).
    let this = format!("/proc/{}/exe", std::process::id());
    let folder = folder.to_string_lossy();
    let words = [this.as_str(), "test-program", &folder];
    let words = serde_json::to_string(&words).unwrap_or_default();
    let mut command = cargo(repository);
    command.args(["--tests", "--no-fail-fast", "--config"]);
    // An array of strings is the same in JSON and in TOML.
    command.arg(format!("target.'cfg(all())'.runner = {words}"));
    let status = command.status().or_environment(|| CARGO)?;
    Ok(status.success())
}

/// What cannot be done when there is no cargo.
const CARGO: &str = "cannot start cargo, which builds the tests for this PC";

/// `cargo test` of the workspace.
fn cargo(repository: &Repository) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["test", "--workspace", "--locked"])
        .current_dir(repository.root());
    command
}

/// Tells the reports what the runner has written down, and counts.
fn record(path: &Path, recorder: &Recorder) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    for line in BufReader::new(File::open(path)?).lines() {
        let event: Event = serde_json::from_str(&line?)?;
        match &event {
            Event::TestFinished { attempt, .. } => {
                counts = counts.plus(Counts::one(attempt.passed()));
            }
            Event::TestIgnored { .. } => counts.ignored += 1,
            _ => {}
        }
        recorder.add(event);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: &str, test: bool) -> Option<(PathBuf, String)> {
        program(&format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/w/crates/a-b/Cargo.toml",
            "target":{{"name":"x","kind":["{kind}"]}},"profile":{{"test":{test}}},
            "executable":"/t/x-1"}}"#
        ))
    }

    #[test]
    fn each_program_is_a_suite_of_its_own() {
        let suite = |kind| told(kind, true).unwrap().1;
        assert_eq!(suite("lib"), "a-b");
        assert_eq!(suite("proc-macro"), "a-b");
        assert_eq!(suite("bin"), "a-b::bin/x");
        assert_eq!(suite("test"), "a-b::x");
        assert_eq!(told("test", true).unwrap().0, Path::new("/t/x-1"));
        assert_eq!(told("bin", false), None);
        assert_eq!(program("Compiling x"), None);
    }
}
