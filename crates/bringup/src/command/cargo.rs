// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup cargo`: the toolbox's cargo, for the board's platform. What it builds of the user's
//! package is run on a board, by `bringup run` as its runner.

use std::path::{Path, PathBuf};

use super::RunEnd;
use crate::benches::{self, Chosen};
use crate::cli::Cargo;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::host;
use crate::progress::Progress;
use crate::repository::{self, Repository};
use crate::setup::Setup;
use crate::target_environment;
use crate::toolbox::{self, Access, CARGO, ToolboxCommand};
use crate::warm::{self, Ready};

/// Where this program is mounted: cargo takes a runner's path apart at its spaces.
const PROGRAM: &str = "/bringup";

/// Where a plugin of cargo's is mounted.
const PLUGINS: &str = "/plugins";

/// Cargo's own commands that run nothing of what they build. Any other may: a plugin, an alias.
const RUNS_NOTHING: [&str; 25] = [
    "add", "b", "build", "c", "check", "clean", "clippy", "d", "doc", "fetch", "fix", "fmt",
    "help", "info", "init", "metadata", "new", "package", "remove", "rustc", "search", "tree",
    "update", "vendor", "version",
];

/// What keeps the others from it.
const RUN_NOTHING: [&str; 5] = ["--no-run", "--help", "-h", "--version", "-V"];

/// What the user's variables begin with that cargo and the programs are given.
const PASSED: [&str; 5] = [
    "RUST_",
    "CARGO_TERM_",
    "CARGO_PROFILE_",
    "CARGO_NET_",
    "NEXTEST_",
];

pub(super) fn run(options: &Cargo, progress: &Progress) -> Result<RunEnd> {
    let repository = Repository::find()?;
    let chosen = benches::choose(&repository, &options.choice)?;
    let here = std::env::current_dir().or_environment(|| "cannot tell the current folder")?;
    let choices = options.set_up.choices();
    let runs = runs_on_board(&options.arguments);
    if runs {
        // Made ready here: cargo's runner, in the toolbox, could not.
        let Ready { bench } = warm::hold(&chosen, Vec::new(), choices, progress)?;
        bench
            .release(false)
            .map_err(|error| warm::trouble(&chosen, error))?;
    }
    let setup = Setup::new(choices, progress)?;
    let tools = &setup.tools;
    let enter = mounted(tools.toolbox.enter(), &repository, &here)?
        .mount(&tools.cache.folder("cargo")?, CARGO, Access::Write)
        .env("CARGO_HOME", CARGO);
    let enter = for_the_board(enter, &repository, &chosen, runs)?;
    let enter = with_plugin(enter, &options.arguments);
    let mut command = enter.folder(&here.to_string_lossy()).program("cargo");
    command.args(&options.arguments);
    // Cargo locks its own folder. Others may build meanwhile.
    let relying = setup.finish_building();
    let status = command
        .status()
        .or_environment(|| "cannot start cargo in the toolbox")?;
    drop(relying);
    Ok(RunEnd::Code(
        status
            .code()
            .and_then(|c| u8::try_from(c).ok())
            .unwrap_or(1),
    ))
}

/// Whether this command of cargo may run programs.
fn runs_on_board(arguments: &[String]) -> bool {
    command(arguments).is_some_and(|command| !RUNS_NOTHING.contains(&command))
        && !words(arguments).any(|word| RUN_NOTHING.contains(&word))
}

/// Cargo's own words before `--`, the first of which is its command.
fn words(arguments: &[String]) -> impl Iterator<Item = &str> {
    let cargos = arguments.iter().take_while(|word| *word != "--");
    cargos.map(String::as_str)
}

/// The command of cargo.
fn command(arguments: &[String]) -> Option<&str> {
    words(arguments).find(|word| !word.starts_with(['-', '+']))
}

/// Lets cargo find the program of a command that is none of its own, if this PC has it.
fn with_plugin(enter: ToolboxCommand, arguments: &[String]) -> ToolboxCommand {
    let Some(command) = command(arguments) else {
        return enter;
    };
    let name = format!("cargo-{command}");
    let Some(program) = host::program(&name) else {
        return enter;
    };
    let enter = enter.mount(&program, &format!("{PLUGINS}/{name}"), Access::Read);
    enter.env("PATH", format!("{}:{PLUGINS}", toolbox::PATH))
}

/// Mounts the checkout, the user's package, and where their output goes, each at its own place.
fn mounted(enter: ToolboxCommand, repository: &Repository, here: &Path) -> Result<ToolboxCommand> {
    let (root, output) = (repository.root(), repository.output());
    std::fs::create_dir_all(&output)
        .or_environment(|| format!("cannot make the folder {}", output.display()))?;
    let program = std::env::current_exe().or_environment(|| "cannot find this program")?;
    let (enter, target) = if here.starts_with(root) {
        (enter, output.join("cargo-run"))
    } else {
        let package = package_folder(here)?;
        // The checkout may lie in it, and is mounted over it then.
        let enter = enter.mount_where_it_is(&project_folder(&package), Access::Write);
        (enter, package.join("target"))
    };
    Ok(enter
        .mount_where_it_is(root, Access::Read)
        .mount_where_it_is(&output, Access::Write)
        .mount(&program, PROGRAM, Access::Read)
        .env(repository::VARIABLE, root)
        .env("CARGO_TARGET_DIR", target))
}

/// Has cargo build for the board, and run on it.
fn for_the_board(
    enter: ToolboxCommand,
    repository: &Repository,
    chosen: &Chosen,
    runs: bool,
) -> Result<ToolboxCommand> {
    let mut enter = target_environment::passed(std::env::vars_os(), &PASSED)
        .into_iter()
        .fold(enter, |enter, (name, value)| enter.env(&name, value));
    let platform = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU";
    enter = enter
        .env("CARGO_BUILD_TARGET", "aarch64-unknown-linux-gnu")
        // What only a debugger on the PC reads need not go over a serial line.
        .env("CARGO_PROFILE_DEV_STRIP", "debuginfo")
        // There is one board.
        .env("NEXTEST_TEST_THREADS", "1")
        .env(&format!("{platform}_LINKER"), "aarch64-linux-gnu-gcc")
        .env(
            &format!("{platform}_RUSTFLAGS"),
            "-C target-feature=+crt-static",
        )
        .env(&format!("{platform}_RUNNER"), format!("{PROGRAM} run"));
    if runs {
        let socket = warm::socket_of(repository, chosen);
        enter = enter
            .env(hil::Bench::VARIABLE, socket)
            .env(benches::BOARD, &chosen.board.name);
        if chosen.description.is_some() {
            enter = enter.env(benches::BENCH, &chosen.name);
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
    fn only_what_runs_programs_needs_a_board() {
        let runs = |words: &str| {
            let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
            runs_on_board(&words)
        };
        assert!(runs("test -p x") && runs("-q t") && runs("run -- build") && runs("nextest run"));
        assert!(runs("run -- --help"), "the program's words are not cargo's");
        assert!(!runs("build --test ioctl") && !runs("clippy -- test") && !runs("--version"));
        assert!(!runs("test --no-run") && !runs("run --help"));
    }

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
