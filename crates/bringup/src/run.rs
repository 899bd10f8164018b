// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boots a board in QEMU and runs programs on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_wire::{Plan, Program};
use board_spec::Board;
use hil::qemu::{Images, Machine};
use hil::{Limits, Observer, Outcome, Session};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::initramfs::{self, Packed};
use crate::progress::Step;
use crate::setup::Setup;
use crate::toolbox::{Access, KERNEL, OUTPUT};
use crate::{device_tree, module};

/// A loaded PC takes several times the usual 5 s.
const BOOT: Duration = Duration::from_secs(90);

/// No program of the kit takes anywhere near this long, on however loaded a PC.
const PROGRAM: Duration = Duration::from_secs(120);

/// For all programs of a boot together; what hangs beyond that is the board itself.
const RUN: Duration = Duration::from_secs(600);

/// Where the driver is on the board.
const MODULE_FOLDER: &str = "/lib/modules/bringup";

/// Where programs are on the board.
const PROGRAM_FOLDER: &str = "/bringup/bin";

/// What is to be run on a board.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) board: &'a Board,
    /// The driver to load.
    pub(crate) module: &'a Path,
    /// The agent, which is every other command of the kit on the board too.
    pub(crate) agent: &'a Path,
    /// More programs to pack.
    pub(crate) programs: Vec<PathBuf>,
    /// What to run: the program's path on the board, and its arguments.
    pub(crate) commands: Vec<Vec<String>>,
    /// Added to the kernel's command line.
    pub(crate) kernel_arguments: Vec<String>,
    pub(crate) keep_running: bool,
}

/// The path of a packed program on the board.
pub(crate) fn path_on_board(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    format!("{PROGRAM_FOLDER}/{name}")
}

/// A board that has done its work and is still on.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) session: Session,
    pub(crate) outcome: Outcome,
}

/// Boots the board and follows it until the agent has finished.
pub(crate) fn boot(
    setup: &Setup,
    job: Job<'_>,
    step: &Step,
    observer: &mut dyn Observer,
) -> Result<Running> {
    let board = job.board;
    let images = assemble(setup, &job, step)?;
    let qemu = setup
        .tools
        .toolbox
        .enter()
        .mount(&setup.tools.repository.output(), OUTPUT, Access::Read)
        .mount(setup.kernel.folder(), KERNEL, Access::Read)
        .program("qemu-system-aarch64");
    let machine = Machine::start(qemu, board, &images).map_err(|error| failure(board, error))?;
    let mut session = Session::new(machine);
    let limits = Limits {
        boot: BOOT,
        run: RUN,
    };
    match session.follow(limits, observer) {
        Ok(outcome) => Ok(Running { session, outcome }),
        Err(error) => Err(failure(board, error).help(format!(
            "all the board printed is in {}",
            step.log().display()
        ))),
    }
}

/// Builds what the board boots from.
fn assemble(setup: &Setup, job: &Job<'_>, step: &Step) -> Result<Images> {
    let board = job.board;
    let modules = initramfs::modules(&setup.kernel, &board.kernel.modules)?;
    let (files, plan) = packed(job, modules);
    let name = format!("board/{}", board.name);
    let folder = setup.output_folder(&name)?;
    let agent = path_on_board(job.agent);
    initramfs::write(&folder.join("initramfs.cpio"), &agent, &plan, &files)?;
    // An oops in the driver ends the boot with its trace, instead of a board that does nothing.
    let mut kernel_arguments = ["quiet", "oops=panic"].map(str::to_owned).to_vec();
    kernel_arguments.extend(job.kernel_arguments.iter().cloned());
    Ok(Images {
        kernel: Path::new(KERNEL).join(setup.kernel.image()),
        initramfs: Path::new(OUTPUT).join(name).join("initramfs.cpio"),
        device_tree: device_tree::build(setup, board, step)?,
        kernel_arguments,
    })
}

/// What the initramfs holds besides the agent's link, and the plan. The driver is loaded after the
/// board's own modules.
fn packed(job: &Job<'_>, board_modules: Vec<Packed>) -> (Vec<Packed>, Plan) {
    let mut files = board_modules;
    files.push(Packed {
        from: job.module.to_path_buf(),
        to: format!("{MODULE_FOLDER}/{}", module::FILE),
    });
    let modules = files.iter().map(|file| file.to.clone()).collect();
    let programs = job.programs.iter().map(PathBuf::as_path).chain([job.agent]);
    files.extend(programs.map(|program| Packed {
        from: program.to_path_buf(),
        to: path_on_board(program),
    }));
    let program = |command: &Vec<String>| Program {
        command: command.clone(),
        environment: BTreeMap::new(),
        limit_seconds: PROGRAM.as_secs(),
    };
    let plan = Plan {
        port: job.board.agent.port.clone(),
        modules,
        programs: job.commands.iter().map(program).collect(),
        keep_running: job.keep_running,
    };
    (files, plan)
}

/// Which exit code a failed boot means, and what the console said last.
fn failure(board: &Board, error: hil::Error) -> Failure {
    let exit = match &error {
        error if error.is_timeout() => Exit::Timeout,
        hil::Error::NotEmulated { .. } => Exit::Refused,
        // What is under test is the driver: it is loaded after boot.
        hil::Error::Panic { booted: true, .. } | hil::Error::ModuleRefused { .. } => {
            Exit::TestFailed
        }
        _ => Exit::Infrastructure,
    };
    let evidence = error.evidence();
    Failure::new(exit, format!("{} did not get through its work", board.name))
        .because(error)
        .evidence(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_board() -> Board {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let boards = board_spec::Boards::find(&folder).unwrap();
        boards.board(boards.default_name()).unwrap()
    }

    fn exit_of(error: hil::Error) -> Exit {
        failure(&default_board(), error).exit()
    }

    #[test]
    fn the_driver_is_loaded_last_and_every_program_is_packed() {
        let board = default_board();
        let job = Job {
            board: &board,
            module: Path::new("/out/module/stripped-dmacopy.ko"),
            agent: Path::new("/out/agent"),
            programs: vec!["/out/tests/ioctl".into()],
            commands: vec![vec![
                "/bringup/bin/ioctl".into(),
                "--include-ignored".into(),
            ]],
            kernel_arguments: Vec::new(),
            keep_running: true,
        };
        let from_kernel = ["/lib/modules/7/b.ko.xz", "/lib/modules/7/a.ko.xz"];
        let modules = from_kernel.map(|to| Packed {
            from: "/kernel/x".into(),
            to: to.to_owned(),
        });
        let (files, plan) = packed(&job, modules.to_vec());
        let driver = "/lib/modules/bringup/dmacopy.ko";
        assert_eq!(plan.modules, [from_kernel[0], from_kernel[1], driver]);
        let places: Vec<_> = files.iter().map(|file| file.to.as_str()).collect();
        let programs = ["/bringup/bin/ioctl", "/bringup/bin/agent"];
        assert_eq!(places[..3], plan.modules);
        assert_eq!(places[3..], programs);
        assert_eq!(files[2].from, job.module);
        assert_eq!(plan.programs.len(), 1);
        assert_eq!(plan.programs[0].command, job.commands[0]);
        assert_eq!(plan.programs[0].limit_seconds, PROGRAM.as_secs());
        assert_eq!(
            (plan.port, plan.keep_running),
            (board.agent.port.clone(), true)
        );
    }

    #[test]
    fn each_way_to_fail_has_its_exit_code() {
        let (console, limit) = (Vec::new(), Duration::from_secs(1));
        let panic = |booted| hil::Error::Panic {
            line: "Kernel panic".into(),
            booted,
            console: Vec::new(),
        };
        assert_eq!(exit_of(panic(true)), Exit::TestFailed);
        assert_eq!(exit_of(panic(false)), Exit::Infrastructure);
        assert_eq!(
            exit_of(hil::Error::BootTimeout { limit, console }),
            Exit::Timeout
        );
        let console = Vec::new();
        assert_eq!(
            exit_of(hil::Error::RunTimeout { limit, console }),
            Exit::Timeout
        );
        let refused = hil::Error::ModuleRefused {
            module: "x.ko".into(),
            error: "ENOEXEC".into(),
            kernel_log: String::new(),
        };
        assert_eq!(exit_of(refused), Exit::TestFailed);
        let ended = hil::Error::Ended {
            status: "signal: 9".into(),
            stderr: String::new(),
            console: Vec::new(),
        };
        assert_eq!(exit_of(ended), Exit::Infrastructure);
    }
}
