// SPDX-License-Identifier: MIT OR Apache-2.0

//! An emulated board that is reached like one on a desk.
//!
//! Its serial ports are pseudo-terminals, a remote login is served at a port of this PC, its power
//! switch is a file that a command writes, and nothing that only an emulator has is there. Its
//! cable to the agent can be pulled, and be a bad one. It may be a place of a lab, which then has
//! ports and switch. A board that restarts goes on, as a real one does.

mod serial;
mod switch;
mod wire;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use board_spec::{Board, SerialUse};
use hil::qemu::Emulated;
use hil::wiring::{AgentLine, Wiring as _};
use hil::{Console, Fate};

use self::serial::SerialPort;
use self::switch::Switch;
use self::wire::Harm;
pub(crate) use self::wire::Harmed;
use crate::emulation::{Content, Emulation};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::lab::{Lab, Labgrid, Port};
use crate::login::Login;
use crate::progress::Step;
use crate::setup::Setup;

/// How often the switch is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a board is silent when it restarts.
const RESTART: Duration = Duration::from_millis(500);

/// A board, its ports and its switch.
#[derive(Debug)]
pub(crate) struct StandIn {
    board: Emulated,
    console: SerialPort,
    agent: Option<SerialPort>,
    switch: Switch,
    /// The lab that it is a place of.
    lab: Option<Lab>,
    is_on: bool,
    cable: Switch,
    harmed: Harmed,
    storage: Option<PathBuf>,
    path: PathBuf,
}

/// What a stand-in is made of, besides its board.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    /// The driver to load.
    pub(crate) module: &'a Path,
    /// The agent.
    pub(crate) agent: &'a Path,
    /// Programs that the board has already.
    pub(crate) programs: Vec<PathBuf>,
    pub(crate) kernel_arguments: Vec<String>,
    /// A byte on its serial lines is harmed with one chance in so many.
    pub(crate) bad_line: Option<u32>,
    /// A remote login, in place of a port for the agent: nothing of the kit's is on the board then.
    pub(crate) login: Option<&'a Login>,
    /// What makes it a place of a lab.
    pub(crate) labgrid: Option<&'a Labgrid>,
}

impl StandIn {
    /// A board without power, whose ports, switch and `bench.toml` are in `folder`.
    pub(crate) fn new(
        setup: &Setup,
        board: Board,
        parts: Parts<'_>,
        name: &str,
        folder: &Path,
        step: &Step,
    ) -> Result<Self> {
        let board = without_what_only_an_emulator_has(board)?;
        let content = Content {
            board: &board,
            module: parts.module,
            agent: parts.agent,
            programs: parts.programs,
            kernel_arguments: parts.kernel_arguments,
            folder: format!("stand-in/{name}"),
            login: parts.login,
        };
        let emulation = Emulation::assemble(setup, &content, step)?;
        std::fs::create_dir_all(folder)
            .or_environment(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize();
        let folder = folder.or_environment(|| "cannot tell where the stand-in is")?;
        let log = Console::new(Fate::default(), None);
        let shares_console = board.agent.port == board.console.device;
        let has_port = parts.login.is_none() && !shares_console;
        let harmed = Harmed::default();
        let harm = parts.bad_line.map(|chance| Harm {
            chance,
            harmed: harmed.clone(),
        });
        let port = |name| SerialPort::new(&folder.join(name), harm.clone());
        let agent = has_port.then(|| port("agent"));
        let storage = emulation.storage().map(Path::to_path_buf);
        let mut stand_in = Self {
            storage,
            board: emulation.board(board.clone(), log)?,
            console: port("console")?,
            agent: agent.transpose()?,
            switch: Switch::new(&folder, "power", false)?,
            lab: None,
            is_on: false,
            cable: Switch::new(&folder, "cable", true)?,
            harmed,
            path: PathBuf::new(),
        };
        if let Some(labgrid) = parts.labgrid {
            let lab = stand_in.join_lab(labgrid, &board, name, &folder)?;
            stand_in.lab = Some(lab);
        }
        stand_in.path = describe(&folder, name, &board, &stand_in, parts.login)?;
        Ok(stand_in)
    }

    /// Starts a lab that has this board.
    fn join_lab(&self, labgrid: &Labgrid, board: &Board, name: &str, folder: &Path) -> Result<Lab> {
        let port = |name, port: &SerialPort| Port {
            name,
            device: port.path().to_owned(),
            baud: board.console.baud,
        };
        let agent = self.agent.as_ref().map(|agent| port("agent", agent));
        let ports: Vec<_> = [port("console", &self.console)]
            .into_iter()
            .chain(agent)
            .collect();
        let commands = ["on", "off"].map(|state| self.switch.command(state));
        Lab::start(labgrid, folder, name, &ports, commands)
    }

    /// The `bench.toml` that describes it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What its lines have harmed.
    pub(crate) fn harmed(&self) -> Harmed {
        self.harmed.clone()
    }

    /// Does what the switch says, until `is_over`.
    pub(crate) fn run(mut self, is_over: impl Fn() -> bool) -> Result<()> {
        while !is_over() {
            self.look()?;
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Does what the switch says.
    fn look(&mut self) -> Result<()> {
        let cable_is_in = self.cable.is_on();
        self.agent
            .as_mut()
            .unwrap_or(&mut self.console)
            .plug(cable_is_in)?;
        match (self.is_on, self.switch.is_on()) {
            (false, true) => self.switch_on(),
            (true, false) => {
                self.is_on = false;
                self.console.disconnect();
                self.agent.iter().for_each(SerialPort::disconnect);
                let off = self.board.power_off();
                off.or_fail(Exit::Infrastructure, || "cannot switch the board off")
            }
            (true, true) if self.board.ended().is_some() => {
                thread::sleep(RESTART);
                self.switch_on()
            }
            _ => Ok(()),
        }
    }

    fn switch_on(&mut self) -> Result<()> {
        let failed = || "cannot switch the board on";
        let board = &mut self.board;
        board
            .power_on(&Fate::default())
            .or_fail(Exit::Infrastructure, failed)?;
        self.is_on = true;
        let console = board.console().or_fail(Exit::Infrastructure, failed)?;
        if let Some(console) = console {
            self.console.connect(console);
        }
        if let Some(port) = &self.agent {
            let line = board.agent().or_fail(Exit::Infrastructure, failed)?;
            if let AgentLine::Own(line, _) = line {
                port.connect(line);
            }
        }
        Ok(())
    }
}

/// The board without virtio-serial; an agent that has no serial port of its own shares the console.
fn without_what_only_an_emulator_has(mut board: Board) -> Result<Board> {
    let Some(qemu) = &mut board.qemu else {
        let what = format!("{} cannot be emulated", board.name);
        return Err(Failure::new(Exit::Refused, what));
    };
    qemu.virtio_serial.clear();
    if !qemu.serial.contains(&SerialUse::Agent) {
        board.agent.port.clone_from(&board.console.device);
    }
    Ok(board)
}

/// Writes what a user of a real board would write.
fn describe(
    folder: &Path,
    name: &str,
    board: &Board,
    stand_in: &StandIn,
    login: Option<&Login>,
) -> Result<PathBuf> {
    let path = folder.join("bench.toml");
    let agent = match (login, &stand_in.agent) {
        (None, Some(_)) if stand_in.lab.is_some() => "]\nresource = \"agent\"\n".to_owned(),
        (Some(login), _) => {
            let settings = toml::to_string(&login.settings());
            let settings = settings.or_environment(|| "cannot describe the login")?;
            format!(".ssh]\n{settings}")
        }
        (None, Some(port)) => format!("]\nserial = {:?}\n", port.path()),
        (None, None) => "]\non_console = true\n".to_owned(),
    };
    let [put_in, pull] = ["on", "off"].map(|state| stand_in.cable.line(state));
    let connected = if let Some(lab) = &stand_in.lab {
        let place = lab.description();
        format!("[bench.{name}.labgrid]\n{place}console = \"console\"\n")
    } else {
        let [on, off] = ["on", "off"].map(|state| stand_in.switch.command(state));
        format!(
            "[bench.{name}.power]\non = {on:?}\noff = {off:?}\n\n\
             [bench.{name}.console]\nserial = {:?}\n\n\
             [bench.{name}.stimulus.cable.button]\npress = [\"sh\", \"-c\", {:?}]\n",
            stand_in.console.path(),
            format!("{pull} && sleep 1 && {put_in}"),
        )
    };
    let text = format!(
        "[bench.{name}]\nboard = {:?}\n\n{connected}\n[bench.{name}.agent{agent}",
        board.name,
    );
    let storage = stand_in.storage.as_ref().map_or_else(String::new, |card| {
        format!("\n[bench.{name}.storage]\nwrite = [\"cp\", \"{{}}\", {card:?}]\n")
    });
    let text = text + &storage;
    let unwritable = || format!("cannot write {}", path.display());
    // Whoever waits for the file finds it whole.
    let partial = folder.join("bench.toml.part");
    std::fs::write(&partial, text).or_environment(unwritable)?;
    std::fs::rename(&partial, &path).or_environment(unwritable)?;
    Ok(path)
}
