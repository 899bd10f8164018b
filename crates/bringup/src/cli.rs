// SPDX-License-Identifier: MIT OR Apache-2.0

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::choice::{BENCH, BOARD, Choice, board_help};
use crate::exit;
use crate::kernel::Series;
use crate::setup::Choices;

/// What an option is that names a board.
const BOARDS: &str = "Which board; `cargo bringup boards` lists them";

/// Board bring-up: from a clone to your own Rust kernel driver on an ARM board.
#[derive(Debug, Parser)]
#[command(name = "bringup", bin_name = "cargo bringup", version, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// Show everything that the programs behind a step print.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Boot a board, load the driver and show what each mechanism exchanged with it.
    Demo(Demo),
    /// Run every test there is: on this PC, of the driver's source, and on a booted board.
    Test(Test),
    /// Run a program of this PC on a board: cargo's runner for the board's platform.
    ///
    /// Its exit code is passed on. After one that is not 0, the driver is loaded anew for the next
    /// run, so its counters begin at 0.
    Run(Run),
    /// Run the toolbox's cargo for the board's platform; what it tests or runs, runs on a board.
    ///
    /// After a program that does not exit with 0, the driver is loaded anew for the next one, so its
    /// counters begin at 0.
    Cargo(Cargo),
    /// Run a program of this PC that drives a board: tests that take a bench.
    With(With),
    /// Show a board's console and type at it.
    Console(OneBench),
    /// The benches of this PC.
    #[command(subcommand)]
    Bench(Bench),
    /// Check what this PC has and lacks, with the command that mends each problem.
    Doctor(Json),
    /// List the boards.
    Boards(Json),
    /// The kernel that modules are built for and boards boot.
    #[command(subcommand)]
    Kernel(Kernel),
    /// The driver in kmod.
    #[command(subcommand)]
    Module(Module),
    /// Remove what was built from this checkout, and with --cache the cache too.
    Clean(Clean),
    /// Run a test program for this PC: what `test` has cargo start.
    #[command(hide = true)]
    TestProgram {
        /// The folder that says what it is, and takes what came of it.
        folder: PathBuf,
        /// The program.
        program: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SetUp {
    /// Install nothing on this PC; print the command that would.
    #[arg(long)]
    no_install: bool,

    /// Take no other kernel than the lock file names, even if the archive no longer has it.
    #[arg(long)]
    locked: bool,

    /// Build for and boot the kernel of this series, one of those that have a lock file in kmod; each
    /// takes 4.5 GB of free disk space the first time, of which it keeps 2.6 GB [default: that of
    /// kernel.lock].
    #[arg(long, value_name = "X.Y")]
    series: Option<Series>,
}

impl SetUp {
    /// Whether it was said which kernel is meant.
    pub(crate) fn has_series(&self) -> bool {
        self.series.is_some()
    }

    pub(crate) fn choices(&self) -> Choices {
        Choices {
            may_install: !self.no_install,
            locked: self.locked,
            series: self.series,
            older_kernels: false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[arg(long, value_name = "NAME", help = board_help(BOARDS, None))]
    pub(crate) board: Option<String>,

    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,

    /// Leave the board on afterwards, its console on the screen, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    pub(crate) keep_running: bool,

    #[command(flatten)]
    pub(crate) set_up: SetUp,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Which boards to boot in QEMU, of those that `cargo bringup boards` lists; may be given several
    /// times [default: all that can be].
    #[arg(long, value_name = "NAME")]
    pub(crate) board: Vec<String>,

    /// Which benches of bench.toml to use; may be given several times. Without --board there is no
    /// emulated one then.
    #[arg(long, value_name = "NAME")]
    pub(crate) bench: Vec<String>,

    /// Leave out the tests on this PC and the checks of the source.
    #[arg(long)]
    pub(crate) boards_only: bool,

    /// Only check the source: format and clippy, of the driver with the kernel's own settings.
    #[arg(long, conflicts_with_all = ["boards_only", "board", "bench", "retries", "filters"])]
    pub(crate) source_only: bool,

    /// How often a test on a board that failed is tried again; one that passes then is flaky.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,

    #[command(flatten)]
    pub(crate) reports: Reports,

    #[command(flatten)]
    pub(crate) set_up: SetUp,

    /// On the boards run only tests whose names contain one of these.
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
}

/// Reports of all tests, and of the checks of the source.
#[derive(Debug, Args)]
pub(crate) struct Reports {
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Write one HTML page with all evidence.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Write what happens as it happens, one JSON document per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) choice: Choice,

    #[command(flatten)]
    pub(crate) set_up: SetUp,

    /// The program, built for the board, static or with all that it needs on the board; and its
    /// arguments.
    // One list: what follows the program is never taken for an option of this one.
    #[arg(
        value_name = "PROGRAM",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Cargo {
    #[command(flatten)]
    pub(crate) choice: Choice,

    #[command(flatten)]
    pub(crate) set_up: SetUp,

    /// What cargo is told, as in `test --test ioctl`.
    #[arg(
        value_name = "ARGUMENT",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct With {
    #[command(flatten)]
    pub(crate) choice: Choice,

    #[command(flatten)]
    pub(crate) set_up: SetUp,

    /// The program and its arguments, as in `cargo test --test power`.
    #[arg(
        value_name = "PROGRAM",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OneBench {
    #[command(flatten)]
    pub(crate) choice: Choice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// List the benches and who holds them.
    List(Json),
    /// Check what bench.toml says: files, programs, lines; with --boot the board too.
    Check(BenchCheck),
    /// Switch a board off that was left on for the next run, or end the run that holds it.
    Stop(OneBench),
    /// Play a board on a desk: an emulated one, reached like a real one. Until Ctrl-C.
    StandIn(StandIn),
    /// Write the newest packages for `--by ssh` and `--by labgrid` into their lock files.
    Update(BenchUpdate),
    /// Measure what the agent takes, and labgrid for the same on the same emulated board.
    Compare(Compare),
    /// Serve a board: what the other commands start.
    #[command(hide = true)]
    Serve {
        /// The folder that describes it.
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BenchCheck {
    /// Which bench of bench.toml [default: all].
    #[arg(long, value_name = "NAME", env = BENCH)]
    pub(crate) bench: Option<String>,

    /// Switch the board off and on, and wait for its agent.
    #[arg(long)]
    pub(crate) boot: bool,

    #[command(flatten)]
    pub(crate) json: Json,

    #[command(flatten)]
    pub(crate) set_up: SetUp,
}

#[derive(Debug, Args)]
pub(crate) struct BenchUpdate {
    /// The suite of the archive to look in [default: the toolbox's].
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    /// Install nothing on this PC; print the command that would.
    #[arg(long)]
    pub(crate) no_install: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Which board [default: the first that labgrid can boot].
    #[arg(long, value_name = "NAME", env = BOARD)]
    pub(crate) board: Option<String>,

    #[command(flatten)]
    pub(crate) json: Json,

    #[command(flatten)]
    pub(crate) set_up: SetUp,
}

/// How a stand-in is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// A serial port, its own or the console's.
    Serial,
    /// A remote login: the board has a network, a server of logins, and nothing of the kit's.
    Ssh,
    /// labgrid: the board is a place of a coordinator, which runs here too.
    Labgrid,
}

#[derive(Debug, Args)]
pub(crate) struct StandIn {
    /// How it is reached.
    #[arg(long, value_enum, default_value = "serial")]
    pub(crate) by: By,

    #[arg(long, value_name = "NAME", env = BOARD, help = board_help(BOARDS, None))]
    pub(crate) board: Option<String>,

    /// What the bench is to be called.
    #[arg(long, value_name = "NAME", default_value = "stand-in")]
    pub(crate) name: String,

    /// A program that the board is to have already, so that it need not go over its line; may be
    /// given several times.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) pack: Vec<PathBuf>,

    /// A word for the kernel's command line; may be given several times.
    #[arg(long, value_name = "WORD")]
    pub(crate) kernel_argument: Vec<String>,

    /// A byte on its serial lines is lost, doubled or garbled with one chance in so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) bad_line: Option<u32>,

    #[command(flatten)]
    pub(crate) set_up: SetUp,

    /// Where its bench.toml, its ports and its power switch go.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Kernel {
    /// Compare the lock file with the archive and the cache.
    Status(Json),
    /// Write the newest kernel that takes Rust modules into the lock file.
    Update(Locking),
    /// Prove that the recreated Rust metadata is the locked kernel's.
    Check(Checking),
}

#[derive(Debug, Args)]
pub(crate) struct Locking {
    /// The suite of the archive to look in [default: the lock file's].
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    /// Stay within this series, for example 7.3.
    #[arg(long, value_name = "X.Y")]
    pub(crate) series: Option<String>,

    /// Install nothing on this PC; print the command that would.
    #[arg(long)]
    pub(crate) no_install: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Checking {
    #[command(flatten)]
    pub(crate) json: Json,

    #[command(flatten)]
    pub(crate) set_up: SetUp,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Module {
    /// Build it.
    Build(Build),
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// `stock` for the locked kernel, or the path of a kernel build folder that is prepared for
    /// modules and configured with CONFIG_RUST.
    #[arg(
        long,
        value_name = "stock|PATH",
        default_value = "stock",
        conflicts_with = "series"
    )]
    pub(crate) kernel: PathBuf,

    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) set_up: SetUp,
}

#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// Remove toolbox, kernels and downloads too.
    #[arg(long)]
    pub(crate) cache: bool,
}

/// Whether these words ask for JSON, be they a command or not. What follows a program or cargo is
/// theirs.
pub(crate) fn want_json(words: &[String]) -> bool {
    let command = words.iter().find(|word| !word.starts_with('-'));
    let is_anothers = |command: &String| ["run", "cargo", "with"].contains(&command.as_str());
    !command.is_some_and(is_anothers) && words.iter().any(|word| word == "--json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_program_is_the_programs() {
        let words = [
            "bringup", "run", "--board", "x", "program", "--bench", "-v", "--", "--help",
        ];
        let Command::Run(run) = Cli::parse_from(words).command else {
            panic!("this is a run");
        };
        assert_eq!(run.choice.board.as_deref(), Some("x"));
        assert_eq!(run.command, words[4..]);
        let words = ["bringup", "cargo", "test", "--locked", "--", "--help"];
        let Command::Cargo(cargo) = Cli::parse_from(words).command else {
            panic!("this is cargo");
        };
        assert_eq!(cargo.arguments, words[2..]);
        assert!(Cli::try_parse_from(["bringup", "run"]).is_err());
    }

    #[test]
    fn only_this_programs_own_option_asks_for_json() {
        let wants = |words: &str| {
            let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
            want_json(&words)
        };
        assert!(wants("demo --json") && wants("-v kernel status --json"));
        assert!(wants("demo --nonsense --json"));
        assert!(!wants("demo") && !wants("-v run program --json"));
        assert!(!wants("cargo run -- doctor --json"));
    }
}
