// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench stand-in`: an emulated board that is reached like one on a desk.
//!
//! Its serial ports are pseudo-terminals, its power switch is a file that a command writes, and
//! nothing that only an emulator has is there. A board that restarts goes on, as a real one does.

mod power;
mod serial;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use board_spec::{Board, SerialUse};
use hil::qemu::Emulated;
use hil::wiring::{AgentLine, Wiring as _};
use hil::{Console, Fate};

use self::power::Switch;
use self::serial::SerialPort;
use crate::cli::StandIn;
use crate::emulation::{Content, Emulation};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::Setup;
use crate::{module, target_programs};

/// How often the switch is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a board is silent when it restarts.
const RESTART: Duration = Duration::from_millis(500);

pub(super) fn run(options: &StandIn, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let board = repository.board_or_default(options.board.as_deref())?;
    let board = without_what_only_an_emulator_has(board)?;
    let setup = Setup::new(options.set_up.choices(), progress)?;
    let built = module::build(&setup, progress)?;
    let agent = target_programs::build_program(&setup.tools, progress)?;
    let content = Content {
        board: &board,
        module: &built.stripped,
        agent: &agent,
        programs: options.pack.clone(),
        kernel_arguments: options.kernel_argument.clone(),
        folder: format!("stand-in/{}", options.name),
    };
    let step = progress.step("stand-in", &format!("preparing {}", board.title))?;
    let emulation = Emulation::assemble(&setup, &content, &step)?;
    std::fs::create_dir_all(&options.folder)
        .or_environment(|| format!("cannot make {}", options.folder.display()))?;
    let folder = options.folder.canonicalize();
    let folder = folder.or_environment(|| format!("cannot use {}", options.folder.display()))?;
    let mut stand_in = OnDesk::new(&board, emulation, &folder)?;
    let path = describe(&folder, &options.name, &board, &stand_in)?;
    step.done(&format!("{} stands in for one on a desk", board.title));
    // The board relies on toolbox and kernel as long as it runs.
    let _relying = setup.finish_building();
    anstream::eprintln!(
        "BRINGUP_BENCHES={} names its description; --bench {} uses it; Ctrl-C ends it",
        path.display(),
        options.name
    );
    loop {
        stand_in.look()?;
        thread::sleep(LOOK);
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

/// A board, its ports and its switch.
#[derive(Debug)]
struct OnDesk {
    board: Emulated,
    console: SerialPort,
    agent: Option<SerialPort>,
    switch: Switch,
    is_on: bool,
}

impl OnDesk {
    fn new(board: &Board, emulation: Emulation, folder: &Path) -> Result<Self> {
        let log = Console::new(Fate::default(), None);
        let shares_console = board.agent.port == board.console.device;
        let agent = (!shares_console).then(|| SerialPort::new(&folder.join("agent")));
        Ok(Self {
            board: emulation.board(board.clone(), log),
            console: SerialPort::new(&folder.join("console"))?,
            agent: agent.transpose()?,
            switch: Switch::new(folder)?,
            is_on: false,
        })
    }

    /// Does what the switch says.
    fn look(&mut self) -> Result<()> {
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
        board.power_on().or_fail(Exit::Infrastructure, failed)?;
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

/// Writes what a user of a real board would write.
fn describe(folder: &Path, name: &str, board: &Board, on_desk: &OnDesk) -> Result<PathBuf> {
    let path = folder.join("bench.toml");
    let agent = match &on_desk.agent {
        Some(port) => format!("serial = {:?}", port.path()),
        None => "on_console = true".to_owned(),
    };
    let [on, off] = ["on", "off"].map(|state| on_desk.switch.command(state));
    let text = format!(
        "[bench.{name}]\nboard = {:?}\n\n[bench.{name}.power]\non = {on:?}\noff = {off:?}\n\n\
         [bench.{name}.console]\nserial = {:?}\n\n[bench.{name}.agent]\n{agent}\n",
        board.name,
        on_desk.console.path(),
    );
    let unwritable = || format!("cannot write {}", path.display());
    // Whoever waits for the file finds it whole.
    let partial = folder.join("bench.toml.part");
    std::fs::write(&partial, text).or_environment(unwritable)?;
    std::fs::rename(&partial, &path).or_environment(unwritable)?;
    Ok(path)
}
