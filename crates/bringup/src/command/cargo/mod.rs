// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup cargo`: the toolbox's cargo, for the board's platform. What it builds of the user's
//! package is run on a board, by `bringup run` as its runner.

mod words;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use hil::Bench;

use super::RunEnd;
use crate::benches::{self, Chosen};
use crate::cli::Cargo;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::host;
use crate::progress::Progress;
use crate::repository::{self, Repository};
use crate::setup::Setup;
use crate::toolbox::{self, Access, CARGO, ToolboxCommand};
use crate::warm::{self, Ready};
use crate::{target_environment, target_programs};
use words::Words;

const UNSTARTED: &str = "cannot start cargo in the toolbox";

/// How much may be packed into a board's memory, bytes.
const MOST_PACKED: u64 = 128 << 20;

/// What is built for.
const PLATFORM: &str = "aarch64-unknown-linux-gnu";

/// Where this program is mounted: cargo takes a runner's path apart at its spaces.
const PROGRAM: &str = "/bringup";

/// Where a plugin of cargo's is mounted.
const PLUGINS: &str = "/plugins";

/// What the user's variables begin with that cargo and the programs are given.
const PASSED: [&str; 5] = [
    "RUST_",
    "CARGO_TERM_",
    "CARGO_PROFILE_",
    "CARGO_NET_",
    "NEXTEST_",
];

pub(super) fn run(options: &Cargo, progress: &Progress) -> Result<RunEnd> {
    if Words(&options.arguments).name_a_board() {
        return Err(Failure::new(Exit::Refused, "cargo knows no --board").help(
            "`--board NAME` comes before cargo's own words: `bringup cargo --board NAME test`",
        ));
    }
    let repository = Repository::find()?;
    let chosen = benches::choose(&repository, &options.choice)?;
    let choices = options.set_up.choices();
    let words = Words(&options.arguments);
    let call = Call {
        here: std::env::current_dir().or_environment(|| "cannot tell the current folder")?,
        runs: words.may_run(),
        words: &words,
        chosen: &chosen,
        repository: &repository,
    };
    let target = target_folder(&repository, &call.here)?;
    if words.may_run() && !target.join(PLATFORM).is_dir() {
        progress.note(&format!(
            "cargo builds in {}, apart from what the kit builds for itself: the first time \
             everything, which takes a minute or two",
            target.display()
        ));
    }
    let mut lent = None;
    if words.may_run() {
        // One that is off is booted with what will run on it, which then need not go over its line.
        let building = words.building().filter(|_| call.board_is_off());
        let programs = match building {
            Some(building) => call.built(building, &Setup::new(choices, progress)?)?,
            None => Some(Vec::new()),
        };
        // What does not build needs no board. Cargo says so once more, to the user.
        if let Some(programs) = programs {
            // Made ready here: cargo's runner, in the toolbox, could not.
            let Ready { bench } = warm::hold(&chosen, programs, choices, progress)?;
            lent = Some(bench);
        }
    }
    let setup = Setup::new(choices, progress)?;
    let mut command = call.cargo(&setup, &options.arguments, lent.as_ref())?;
    // Cargo locks its own folder. Others may build meanwhile.
    let relying = setup.finish_building();
    let status = command.status().or_environment(|| UNSTARTED)?;
    drop(relying);
    if let Some(bench) = lent {
        warm::give_back(bench, &chosen)?;
    }
    Ok(RunEnd::Code(
        status
            .code()
            .and_then(|c| u8::try_from(c).ok())
            .unwrap_or(1),
    ))
}

/// Cargo, called in the user's package.
struct Call<'a> {
    here: PathBuf,
    words: &'a Words<'a>,
    /// Whether it may run programs on the board.
    runs: bool,
    chosen: &'a Chosen,
    repository: &'a Repository,
}

impl Call<'_> {
    /// The command, with these words. What it runs borrows the bench that this program holds.
    fn cargo(&self, setup: &Setup, words: &[String], lent: Option<&Bench>) -> Result<Command> {
        let tools = &setup.tools;
        let enter = mounted(tools.toolbox.enter(), self.repository, &self.here)?
            .mount(&tools.cache.folder("cargo")?, CARGO, Access::Write)
            .env("CARGO_HOME", CARGO);
        let enter = for_the_board(enter, self.repository, self.chosen, self.runs)?;
        let enter = match lent {
            Some(bench) => enter.env(Bench::LOAN, bench.loan().to_string()),
            None => enter,
        };
        let enter = with_plugin(enter, self.words);
        let mut command = enter.folder(&self.here.to_string_lossy()).program("cargo");
        command.args(words);
        Ok(command)
    }

    /// Whether an emulated board has to be booted. Another has its programs over its line anyway.
    fn board_is_off(&self) -> bool {
        let path = warm::socket_of(self.repository, self.chosen);
        self.chosen.description.is_none() && hil::bench::about(&path).is_err()
    }

    /// Builds without running, and returns the programs that will run, unless it cannot be built.
    fn built(&self, words: Vec<String>, setup: &Setup) -> Result<Option<Vec<PathBuf>>> {
        let mut command = self.cargo(setup, &words, None)?;
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().or_environment(|| UNSTARTED)?;
        let stdout = child.stdout.take().into_iter().flat_map(read_lines);
        let programs: Vec<_> = stdout
            .filter_map(|line| target_programs::test_program(&line))
            .collect();
        let status = child.wait().or_environment(|| "cannot wait for cargo")?;
        let bytes = |path: &PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
        let total: u64 = programs.iter().map(bytes).sum();
        let fitting = if total <= MOST_PACKED {
            programs
        } else {
            Vec::new()
        };
        Ok(status.success().then_some(fitting))
    }
}

fn read_lines(from: ChildStdout) -> impl Iterator<Item = String> {
    BufReader::new(from).lines().map_while(|line| line.ok())
}

/// Lets cargo find the program of a command that is none of its own, if this PC has it.
fn with_plugin(enter: ToolboxCommand, words: &Words<'_>) -> ToolboxCommand {
    let Some(command) = words.command() else {
        return enter;
    };
    let name = format!("cargo-{command}");
    let Some(program) = host::program(&name) else {
        return enter;
    };
    let enter = enter.mount(&program, &format!("{PLUGINS}/{name}"), Access::Read);
    enter.env("PATH", format!("{}:{PLUGINS}", toolbox::PATH))
}

/// Where cargo builds.
fn target_folder(repository: &Repository, here: &Path) -> Result<PathBuf> {
    if here.starts_with(repository.root()) {
        return Ok(repository.output().join("cargo-run"));
    }
    Ok(package_folder(here)?.join("target"))
}

/// Mounts the checkout, the user's package, and where their output goes, each at its own place.
fn mounted(enter: ToolboxCommand, repository: &Repository, here: &Path) -> Result<ToolboxCommand> {
    let (root, output) = (repository.root(), repository.output());
    std::fs::create_dir_all(&output)
        .or_environment(|| format!("cannot make the folder {}", output.display()))?;
    let program = std::env::current_exe().or_environment(|| "cannot find this program")?;
    let target = target_folder(repository, here)?;
    let enter = if here.starts_with(root) {
        enter
    } else {
        // The checkout may lie in it, and is mounted over it then.
        let project = project_folder(&package_folder(here)?);
        enter.mount_where_it_is(&project, Access::Write)
    };
    Ok(enter
        .mount_where_it_is(root, Access::Read)
        .mount_where_it_is(&output, Access::Write)
        .mount(&program, PROGRAM, Access::Read)
        .env(repository::VARIABLE, root)
        .env("CARGO_TARGET_DIR", target))
}

/// What need not go over a board's line: what only a debugger on the PC reads, and over a serial one
/// the names of functions too, unless backtraces are wanted.
fn stripped(chosen: &Chosen) -> &'static str {
    let traces = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    if chosen.board.agent_is_serial() && !traces {
        "symbols"
    } else {
        "debuginfo"
    }
}

/// Has cargo build for the board, and run on it.
fn for_the_board(
    enter: ToolboxCommand,
    repository: &Repository,
    chosen: &Chosen,
    runs: bool,
) -> Result<ToolboxCommand> {
    let platform = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU";
    let enter = enter
        .env("CARGO_PROFILE_DEV_STRIP", stripped(chosen))
        // There is one board.
        .env("NEXTEST_TEST_THREADS", "1");
    // The user may know better.
    let enter = target_environment::passed(std::env::vars_os(), &PASSED)
        .into_iter()
        .fold(enter, |enter, (name, value)| enter.env(&name, value));
    let mut enter = enter
        .env("CARGO_BUILD_TARGET", PLATFORM)
        .env(&format!("{platform}_LINKER"), "aarch64-linux-gnu-gcc")
        .env(
            &format!("{platform}_RUSTFLAGS"),
            "-C target-feature=+crt-static",
        )
        .env(&format!("{platform}_RUNNER"), format!("{PROGRAM} run"));
    if runs {
        let socket = warm::socket_of(repository, chosen);
        enter = enter.env(hil::Bench::VARIABLE, socket);
        for (name, value) in chosen.variables() {
            enter = enter.env(name, value);
        }
        for (name, value) in target_environment::of(repository, chosen, hil::Place::Target)? {
            enter = enter.env(&name, value);
        }
    }
    Ok(enter)
}

/// The folder of the package that `here` lies in, or of its workspace.
fn package_folder(here: &Path) -> Result<PathBuf> {
    let manifest = |folder: &Path| std::fs::read_to_string(folder.join("Cargo.toml")).ok();
    let is_workspace = |text: String| {
        text.lines()
            .any(|line| line.trim_start().starts_with("[workspace"))
    };
    let workspace = here
        .ancestors()
        .find(|folder| manifest(folder).is_some_and(is_workspace));
    let package = || here.ancestors().find(|folder| manifest(folder).is_some());
    match workspace.or_else(package) {
        Some(folder) => Ok(folder.to_path_buf()),
        None => Err(Failure::new(
            Exit::Refused,
            format!("there is no Cargo.toml in {} or above it", here.display()),
        )
        .help("run this in the folder of your package, or in the kit's checkout")),
    }
}

/// The folder of the project that a package belongs to: what is under version control together, for
/// packages depend on others beside them.
fn project_folder(package: &Path) -> PathBuf {
    let is_top = |folder: &&Path| folder.join(".git").exists();
    let top = package.ancestors().find(is_top).unwrap_or(package);
    top.to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_folder_is_its_workspaces() {
        let guard = tempfile::tempdir().unwrap();
        let member = guard.path().join("member/src");
        std::fs::create_dir_all(&member).unwrap();
        assert!(package_folder(&member).is_err());
        let manifest = |folder: &str, text: &str| {
            std::fs::write(guard.path().join(folder).join("Cargo.toml"), text).unwrap();
        };
        manifest("member", "[package]\nname = \"x\"\n");
        let own = guard.path().join("member");
        assert_eq!(package_folder(&member).unwrap(), own);
        manifest("", "[workspace]\nmembers = [\"member\"]\n");
        assert_eq!(package_folder(&member).unwrap(), guard.path());
    }

    #[test]
    fn a_package_sees_what_lies_beside_it_in_its_project() {
        let guard = tempfile::tempdir().unwrap();
        let package = guard.path().join("package");
        std::fs::create_dir_all(&package).unwrap();
        assert_eq!(project_folder(&package), package);
        std::fs::create_dir(guard.path().join(".git")).unwrap();
        assert_eq!(project_folder(&package), guard.path());
    }
}
