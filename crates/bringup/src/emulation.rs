// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes a fixture of an emulated board: assembles what it boots from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use agent_wire::{Module, Plan, Port, PortKind};
use board_spec::{Board, Network};
use hil::agent::place_in_initramfs;
use hil::qemu::{Emulated, Images};
use hil::{Console, Fate, Fixture, Lost};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::initramfs::{self, Packed};
use crate::login::Login;
use crate::progress::Step;
use crate::setup::Setup;
use crate::toolbox::{Access, KERNEL, OUTPUT};
use crate::{device_tree, module, peripheral};

/// A loaded PC takes several times the usual 5 s.
const BOOT: Duration = Duration::from_secs(90);

/// Where the driver's folder is on the board.
const MODULE_FOLDER: &str = "/lib/modules/bringup";

/// Where the driver is on the board.
pub(crate) fn driver_on_board() -> String {
    format!("{MODULE_FOLDER}/{}", module::FILE)
}

/// What an emulated board is to hold.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    pub(crate) board: &'a Board,
    /// The driver to load.
    pub(crate) module: &'a Path,
    /// The agent, which is every other command of the kit on the board too.
    pub(crate) agent: &'a Path,
    /// More programs to pack, so that they need not go over a line.
    pub(crate) programs: Vec<PathBuf>,
    /// Added to the kernel's command line.
    pub(crate) kernel_arguments: Vec<String>,
    /// Where what is packed goes, below the output folder: a board that is switched on again boots
    /// from there, so no two boards share it.
    pub(crate) folder: String,
    /// A remote login, as the only way in: the board plays one with a system of its own, on which
    /// there is neither driver nor program of the kit's.
    pub(crate) login: Option<&'a Login>,
}

impl Content<'_> {
    /// The network adapter of a board that is reached by one.
    fn network(&self) -> Result<Option<&Network>> {
        if self.login.is_none() {
            return Ok(None);
        }
        let qemu = self.board.qemu.as_ref();
        let network = qemu.and_then(|qemu| qemu.network.as_ref());
        network.map(Some).ok_or_else(|| {
            let name = &self.board.name;
            Failure::new(
                Exit::Refused,
                format!("{name} has no emulated network adapter"),
            )
            .help(format!(
                "boards/{name}/board.toml names none in [qemu.network]"
            ))
        })
    }
}

/// An emulated board that is off, as a document: what another process needs to switch it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Emulation {
    /// The board's folder.
    folder: PathBuf,
    images: Images,
    /// The command that runs the emulator, without the arguments that make it this board.
    launch: Vec<String>,
    /// Where a copy of all that the console says goes.
    console: PathBuf,
    /// Its card or disk, if it has a place for one.
    storage: Option<PathBuf>,
}

impl Emulation {
    /// Builds all that the board needs.
    pub(crate) fn assemble(setup: &Setup, content: &Content<'_>, step: &Step) -> Result<Self> {
        let board = content.board;
        let images = assemble(setup, content, step)?;
        let folder = setup.output_folder(&content.folder)?;
        let launch = setup
            .tools
            .toolbox
            .enter()
            .mount(&setup.tools.repository.output(), OUTPUT, Access::Read)
            .mount(setup.kernel.folder(), KERNEL, Access::Read)
            .program("qemu-system-aarch64");
        let words = std::iter::once(launch.get_program()).chain(launch.get_args());
        Ok(Self {
            folder: board.folder.clone(),
            images,
            launch: words.map(|w| w.to_string_lossy().into_owned()).collect(),
            console: folder.join("console.log"),
            storage: storage(board, &folder)?,
        })
    }

    /// The file that is its card or disk, if it has a place for one: there once it was written.
    pub(crate) fn storage(&self) -> Option<&Path> {
        self.storage.as_deref()
    }

    /// The board and what connects this PC with it.
    pub(crate) fn fixture(self) -> Result<Fixture> {
        let board = Board::read(&self.folder).or_fail(Exit::Refused, || "cannot use this board")?;
        let copy = std::fs::File::create(&self.console)
            .or_environment(|| format!("cannot write {}", self.console.display()))?;
        let console = Console::new(Fate::default(), Some(copy));
        let emulated = self.board(board.clone(), console.clone())?;
        Ok(Fixture::new(board, Box::new(emulated), BOOT, console))
    }

    /// The board by itself, off. What it says goes to `console`.
    pub(crate) fn board(self, board: Board, console: Console) -> Result<Emulated> {
        let launch = move || {
            let mut words = self.launch.iter();
            let mut command = Command::new(words.next().map_or("", String::as_str));
            command.args(words);
            command
        };
        let emulated = Emulated::new(board.clone(), self.images, console, launch);
        let emulated = peripheral::play_all(&board, emulated)?;
        Ok(match self.storage {
            Some(path) => emulated.with_storage(path),
            None => emulated,
        })
    }
}

/// A fixture with an emulated board that is off. What its console says is shown in `step`.
pub(crate) fn emulated(setup: &Setup, content: &Content<'_>, step: &Step) -> Result<Fixture> {
    let fixture = Emulation::assemble(setup, content, step)?.fixture()?;
    step.show(fixture.console());
    Ok(fixture)
}

/// Builds what the board boots from.
fn assemble(setup: &Setup, content: &Content<'_>, step: &Step) -> Result<Images> {
    let board = content.board;
    let mut names = board.kernel.modules.clone();
    if let Some(qemu) = &board.qemu {
        let devices = qemu.devices.iter();
        names.extend(devices.flat_map(|device| device.modules.clone()));
        let storage = qemu.storage.iter();
        names.extend(storage.flat_map(|storage| storage.modules.clone()));
    }
    names.extend(
        content
            .network()?
            .into_iter()
            .flat_map(|n| n.modules.clone()),
    );
    let modules = initramfs::modules(&setup.kernel, &names)?;
    let (files, plan) = packed(content, modules)?;
    let folder = setup.output_folder(&content.folder)?;
    let made = content.login.map(Login::made).transpose()?;
    let path = folder.join("initramfs.cpio");
    let agent = place(content.agent)?;
    initramfs::write(&path, &agent, &plan, &files, &made.unwrap_or_default())?;
    // An oops in the driver ends the boot with its trace, instead of a board that does nothing. That
    // the kernel's ciphers work is not tested at each boot: that takes an emulated board 1.5 s.
    let kernel_arguments = ["quiet", "oops=panic", "cryptomgr.notests"];
    let mut kernel_arguments = kernel_arguments.map(str::to_owned).to_vec();
    kernel_arguments.extend(content.kernel_arguments.iter().cloned());
    Ok(Images {
        kernel: Path::new(KERNEL).join(setup.kernel.image()),
        initramfs: Path::new(OUTPUT)
            .join(&content.folder)
            .join("initramfs.cpio"),
        device_tree: device_tree::build(setup, board, step)?,
        kernel_arguments,
        network: content.login.map(Login::forward),
    })
}

/// Where the card or disk of a board is, which has none at first.
fn storage(board: &Board, folder: &Path) -> Result<Option<PathBuf>> {
    let qemu = board.qemu.as_ref();
    if qemu.is_none_or(|qemu| qemu.storage.is_none()) {
        return Ok(None);
    }
    let path = folder.join("storage.img");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(Some(path.clone())),
    }
    .or_environment(|| format!("cannot remove {}", path.display()))
}

/// What the initramfs holds besides the agent's link, and the plan. The driver is loaded after the
/// board's own modules; where there is a remote login, it comes that way.
fn packed(content: &Content<'_>, board_modules: Vec<Packed>) -> Result<(Vec<Packed>, Plan)> {
    let mut files = board_modules;
    let module = |file: &Packed, is_under_test| Module {
        path: file.to.clone(),
        is_under_test,
    };
    let mut modules: Vec<_> = files.iter().map(|file| module(file, false)).collect();
    if let (Some(login), Some(network)) = (content.login, content.network()?) {
        files.extend(login.packed());
        files.push(Packed {
            from: content.agent.to_path_buf(),
            to: place(content.agent)?,
        });
        let plan = Plan {
            port: None,
            modules,
            services: vec![Login::service(network)],
        };
        return Ok((files, plan));
    }
    let driver = Packed {
        from: content.module.to_path_buf(),
        to: driver_on_board(),
    };
    modules.push(module(&driver, true));
    files.push(driver);
    for program in content
        .programs
        .iter()
        .map(PathBuf::as_path)
        .chain([content.agent])
    {
        files.push(Packed {
            from: program.to_path_buf(),
            to: place(program)?,
        });
    }
    let kind = if content.board.agent_is_serial() {
        PortKind::Serial
    } else {
        PortKind::Stream
    };
    let port = Port {
        name: content.board.agent.port.clone(),
        kind,
    };
    let plan = Plan {
        port: Some(port),
        modules,
        services: Vec::new(),
    };
    Ok((files, plan))
}

/// Where a program is on the board.
fn place(program: &Path) -> Result<String> {
    place_in_initramfs(program).or_environment(|| format!("cannot read {}", program.display()))
}

/// Which exit code a failed boot means, and what the console said last.
pub(crate) fn failure(fixture: &mut Fixture, error: hil::Error) -> Failure {
    let error = fixture.explain(error);
    let booted = fixture
        .boots()
        .all()
        .last()
        .is_some_and(|b| b.duration.is_some());
    failure_of(fixture.board(), booted, error)
}

fn failure_of(board: &Board, booted: bool, error: hil::Error) -> Failure {
    let exit = match &error {
        error if error.is_timeout() => Exit::Timeout,
        hil::Error::NotEmulated { .. } => Exit::Refused,
        hil::Error::ModuleRefused { .. } => Exit::TestFailed,
        // What is under test is the driver: it is loaded after boot.
        hil::Error::Lost {
            lost: Lost::Panic { .. },
            ..
        } if booted => Exit::TestFailed,
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

    #[test]
    fn the_driver_is_loaded_last_and_every_program_is_packed() {
        let board = default_board();
        let folder = tempfile::tempdir().unwrap();
        let [agent, test] = ["agent", "ioctl"].map(|name| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            path
        });
        let content = Content {
            board: &board,
            module: Path::new("/out/module/stripped-dmacopy.ko"),
            agent: &agent,
            programs: vec![test.clone()],
            kernel_arguments: Vec::new(),
            folder: "demo/x".into(),
            login: None,
        };
        let from_kernel = ["/lib/modules/7/b.ko.xz", "/lib/modules/7/a.ko.xz"];
        let modules = from_kernel.map(|to| Packed {
            from: "/kernel/x".into(),
            to: to.to_owned(),
        });
        let (files, plan) = packed(&content, modules.to_vec()).unwrap();
        let driver = "/lib/modules/bringup/dmacopy.ko";
        let loaded: Vec<_> = plan
            .modules
            .iter()
            .map(|m| (m.path.as_str(), m.is_under_test))
            .collect();
        let expected = [
            (from_kernel[0], false),
            (from_kernel[1], false),
            (driver, true),
        ];
        assert_eq!(loaded, expected);
        let places: Vec<_> = files.iter().map(|file| file.to.as_str()).collect();
        assert_eq!(places[..3], [from_kernel[0], from_kernel[1], driver]);
        assert_eq!(places[3..], [place(&test).unwrap(), place(&agent).unwrap()]);
        assert_eq!(files[2].from, content.module);
        assert_eq!(plan.port.unwrap().name, board.agent.port);
    }

    #[test]
    fn each_way_to_fail_has_its_exit_code() {
        let exit_of = |booted, error| failure_of(&default_board(), booted, error).exit();
        let panic = || hil::Error::Lost {
            lost: Lost::Panic {
                line: "Kernel panic".into(),
            },
            console: Vec::new(),
        };
        assert_eq!(exit_of(true, panic()), Exit::TestFailed);
        assert_eq!(exit_of(false, panic()), Exit::Infrastructure);
        let (console, limit) = (Vec::new(), Duration::from_secs(1));
        let late = hil::Error::BootTimeout { limit, console };
        assert_eq!(exit_of(false, late), Exit::Timeout);
        assert_eq!(
            exit_of(true, hil::Error::Unanswered { limit }),
            Exit::Timeout
        );
        let refused = hil::Error::ModuleRefused(agent_wire::message::ModuleRefused {
            module: "x.ko".into(),
            error: "ENOEXEC".into(),
            kernel_log: Vec::new(),
        });
        assert_eq!(exit_of(false, refused), Exit::TestFailed);
        let ended = hil::Error::Ended {
            status: "signal: 9".into(),
            stderr: String::new(),
            console: Vec::new(),
        };
        assert_eq!(exit_of(true, ended), Exit::Infrastructure);
    }
}
