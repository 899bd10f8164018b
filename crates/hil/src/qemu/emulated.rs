// SPDX-License-Identifier: MIT OR Apache-2.0

//! An emulated board as a bench.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use agent_wire::link;
use board_spec::Board;

use super::stimulus::{Hands, Running};
use super::{Images, Machine, wire};
use crate::stimulus::Stimulus;
use crate::wiring::{AgentLine, Duplex, Wiring};
use crate::{Console, Error, Fate, Peripheral};

/// The smallest card, in bytes.
const SMALLEST: u64 = 1 << 20;

/// Makes the command that runs the emulator, wherever that is installed.
type Launch = Box<dyn FnMut() -> Command + Send>;

/// An emulated board. Each time it is switched on is another process.
pub struct Emulated {
    launch: Launch,
    board: Board,
    images: Images,
    console: Console,
    machine: Option<Machine>,
    running: Running,
    storage: Option<PathBuf>,
    peripherals: BTreeMap<String, Arc<dyn Peripheral>>,
}

impl fmt::Debug for Emulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulated")
            .field("board", &self.board.name)
            .field("images", &self.images)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

impl Emulated {
    /// The board, off. `launch` makes the command that runs `qemu-system-aarch64`, which must hand on
    /// the file descriptors it inherits; the arguments are added here.
    pub fn new(
        board: Board,
        images: Images,
        console: Console,
        launch: impl FnMut() -> Command + Send + 'static,
    ) -> Self {
        Self {
            launch: Box::new(launch),
            board,
            images,
            console,
            machine: None,
            running: Running::default(),
            storage: None,
            peripherals: BTreeMap::new(),
        }
    }

    /// The board with a peripheral that somebody plays.
    #[must_use]
    pub fn with_peripheral(mut self, name: String, peripheral: Arc<dyn Peripheral>) -> Self {
        self.peripherals.insert(name, peripheral);
        self
    }

    /// The sockets of all peripherals that the board has, in the order of their names.
    fn sockets(&self) -> Result<Vec<OwnedFd>, Error> {
        let qemu = self.board.qemu.iter();
        let names = qemu.flat_map(|qemu| qemu.peripheral.keys());
        let socket = |name: &String| {
            let peripheral = self.peripherals.get(name);
            let peripheral = peripheral.ok_or_else(|| Error::NotPlayed { name: name.clone() })?;
            peripheral.socket().map_err(Error::Channel)
        };
        names.map(socket).collect()
    }

    /// The board with a card or disk, which is this file once something has been written to it.
    #[must_use]
    pub fn with_storage(mut self, path: PathBuf) -> Self {
        self.storage = Some(path);
        self
    }

    /// Opens what has been written to the storage.
    fn open_storage(&self) -> Result<Option<File>, Error> {
        let Some(path) = self.storage.as_ref().filter(|path| path.exists()) else {
            return Ok(None);
        };
        let failed = |source| Error::Storage {
            image: path.clone(),
            source,
        };
        let file = File::options().read(true).write(true).open(path);
        let file = file.map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        // QEMU has cards of no other sizes.
        let size = length.max(SMALLEST).next_power_of_two();
        file.set_len(size).map_err(failed)?;
        Ok(Some(file))
    }
}

impl Wiring for Emulated {
    fn kind(&self) -> &'static str {
        "qemu"
    }

    fn power_on(&mut self, _: &Fate) -> Result<(), Error> {
        // One that has ended by itself lets go of the channels, which are the next one's then.
        self.machine = None;
        let command = (self.launch)();
        let running = self.running.clone();
        let storage = self.open_storage()?;
        let sockets = self.sockets()?;
        let (board, images) = (&self.board, &self.images);
        let machine = Machine::start(command, board, images, storage, sockets, running)?;
        self.machine = Some(machine);
        Ok(())
    }

    fn power_off(&mut self) -> Result<(), Error> {
        self.machine = None;
        Ok(())
    }

    fn console(&mut self) -> Result<Option<Duplex>, Error> {
        let console = self.machine.as_mut().and_then(Machine::take_console);
        let is_shared = self.board.agent.port == self.board.console.device;
        let is_agents = is_shared && self.images.network.is_none();
        let line = if is_agents { wire::to_agent } else { duplex };
        console.map(line).transpose()
    }

    fn agent(&mut self) -> Result<AgentLine, Error> {
        let agent = self.machine.as_mut().and_then(Machine::take_agent);
        let agent = agent.ok_or(Error::Unconnected)?;
        // What QEMU's model of a serial port has no room for waits in the socket. That of the
        // guest's terminal is another matter.
        Ok(if self.board.agent_is_serial() {
            AgentLine::Own(wire::to_agent(agent)?, link::Line::SERIAL)
        } else {
            AgentLine::Own(duplex(agent)?, link::Line::STREAM)
        })
    }

    fn ended(&mut self) -> Option<Error> {
        let machine = self.machine.as_mut()?;
        if !machine.has_ended() {
            return None;
        }
        let (status, stderr) = machine.end();
        Some(Error::Ended {
            status,
            stderr,
            console: self.console.last(),
        })
    }

    fn write_storage(&mut self, image: &Path) -> Result<(), Error> {
        let path = self.storage.as_ref().ok_or(Error::NoStorage)?;
        let failed = |source| Error::Storage {
            image: image.to_owned(),
            source,
        };
        // What is half-written has no name that a board is started with.
        let partial = path.with_extension("part");
        if let Err(source) = std::fs::copy(image, &partial) {
            // A full disk is not to be left fuller.
            let _ = std::fs::remove_file(&partial);
            return Err(failed(source));
        }
        std::fs::rename(&partial, path).map_err(failed)
    }

    fn stimulus(&self) -> Option<Arc<dyn Stimulus>> {
        Some(Arc::new(Hands {
            qemu: self.board.qemu.clone()?,
            running: self.running.clone(),
            peripherals: self.peripherals.clone(),
        }))
    }

    fn pid(&self) -> Option<u32> {
        self.machine.as_ref().map(Machine::pid)
    }
}

fn duplex(stream: UnixStream) -> Result<Duplex, Error> {
    let reader = stream.try_clone().map_err(Error::Channel)?;
    Ok(Duplex {
        reader: Box::new(reader),
        writer: Box::new(stream),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Fate;

    /// A board whose emulator is a script; 12 is its monitor.
    fn board(mut script: impl FnMut() -> String + Send + 'static) -> Emulated {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let mut boards = board_spec::Boards::find(&boards).unwrap().all().unwrap();
        boards.retain(|board| board.qemu.is_some());
        let images = Images {
            kernel: "k".into(),
            initramfs: "i".into(),
            device_tree: None,
            kernel_arguments: Vec::new(),
            network: None,
        };
        let console = Console::new(Fate::default(), None);
        Emulated::new(boards.remove(0), images, console, move || {
            let mut bash = Command::new("bash");
            bash.args(["-c", &script()]);
            bash
        })
    }

    #[test]
    fn the_emulator_is_told_to_quit_and_may_read_that() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        // `read -t` ends with more than 128 if the channel is open and nothing comes.
        let script = format!(
            "read -u 12 negotiation; read -u 12 command; read -t 0.2 -u 12; \
             test $? -gt 128 && echo \"$command\" > {}",
            told.display()
        );
        let mut board = board(move || script.clone());
        board.power_on(&Fate::default()).unwrap();
        board.power_off().unwrap();
        let told = std::fs::read_to_string(told).unwrap();
        assert!(told.contains("\"quit\""), "{told}");
    }

    #[test]
    fn a_board_that_has_gone_off_by_itself_is_switched_on_with_channels_of_its_own() {
        let mut boots = 0;
        let mut board = board(move || {
            boots += 1;
            let script = if boots == 1 {
                "true"
            } else {
                "read -u 12; read -u 12"
            };
            script.to_owned()
        });
        board.power_on(&Fate::default()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while board.ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        board.power_on(&Fate::default()).unwrap();
        assert!(board.running.lock().is_some());
        assert!(board.ended().is_none());
    }
}
