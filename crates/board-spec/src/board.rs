// SPDX-License-Identifier: MIT OR Apache-2.0

//! One board: the typed form of `board.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Stimulus};

/// One type of board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The name of its folder, by which commands call it.
    pub name: String,
    /// The folder itself.
    pub folder: PathBuf,
    /// The name its maker gave it.
    pub title: String,
    /// `compatible` of the device tree's root node, most specific first.
    pub compatible: Vec<String>,
    /// What it can do that not every board can: names from `boards.toml`.
    pub capabilities: BTreeSet<String>,
    /// What it needs of the kernel package.
    pub kernel: Kernel,
    /// Where the kernel prints.
    pub console: Console,
    /// Where the agent speaks.
    pub agent: Agent,
    /// How QEMU emulates it, if it can.
    pub qemu: Option<Qemu>,
    /// The kit's additions to the device tree, if the folder has an `overlay.dtso`.
    pub overlay: Option<PathBuf>,
    /// The device tree of the emulated board, if that differs and the folder has an `emulator.dts`.
    /// It includes `stock.dts`, the kernel package's.
    pub emulator_tree: Option<PathBuf>,
}

/// What a board needs of the kernel package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// The device tree blob, below the package's `dtb` folder. A machine that brings its own
    /// device tree has none.
    pub device_tree: Option<PathBuf>,
    /// Names of modules, without dependencies.
    #[serde(default)]
    pub modules: Vec<String>,
}

/// The serial port that the kernel prints to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Name of the character device, as in `console=` on the kernel's command line.
    pub device: String,
    /// Baud rate, bits per second.
    pub baud: u32,
}

/// The port that the agent speaks on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// A character device's name or a virtio-serial port's name.
    pub port: String,
}

/// QEMU's model of a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// Argument of `-machine`.
    pub machine: String,
    /// Argument of `-cpu`, where the machine leaves a choice.
    pub cpu: Option<String>,
    /// Argument of `-m`.
    pub memory: String,
    /// Argument of `-smp`.
    pub cpus: u32,
    /// What each of the machine's serial ports is used for, in QEMU's order.
    #[serde(default)]
    pub serial: Vec<SerialUse>,
    /// What is offered as a virtio-serial port.
    #[serde(default)]
    pub virtio_serial: Vec<SerialUse>,
    /// The network adapter that it can be given.
    pub network: Option<Network>,
    /// What else is connected with it.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// The card or disk that it can be given.
    pub storage: Option<Storage>,
    /// What can be done to it from outside while it runs, by name. A line has the name that the
    /// board's kernel knows it by, or else the label of its chip, a colon and its offset there.
    #[serde(default)]
    pub stimulus: BTreeMap<String, Stimulus>,
    /// The PCI functions that whoever runs the emulator plays for it, by name.
    #[serde(default)]
    pub peripheral: BTreeMap<String, Peripheral>,
}

/// The place of a PCI function that is none of the emulator's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peripheral {
    /// Argument of `-device`: the slot that it is in, and can be pulled out of.
    pub slot: String,
    /// What the kernel must be told on its command line.
    #[serde(default)]
    pub kernel_arguments: Vec<String>,
}

/// The card or disk that QEMU can give a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Argument of `-drive`, besides file and format.
    pub drive: String,
    /// Names of the modules that drive it, without dependencies.
    #[serde(default)]
    pub modules: Vec<String>,
}

/// A device that QEMU connects with a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Argument of `-device`.
    pub device: String,
    /// Names of the modules that drive it, without dependencies.
    #[serde(default)]
    pub modules: Vec<String>,
}

/// A network adapter that QEMU can add to a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Argument of `-device`.
    pub device: String,
    /// What the kernel calls the interface.
    pub interface: String,
    /// Names of the modules that drive it, without dependencies.
    #[serde(default)]
    pub modules: Vec<String>,
}

/// What a serial port is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SerialUse {
    /// The kernel's console.
    Console,
    /// The agent's port.
    Agent,
    /// Nothing is connected.
    Unused,
}

/// The file as written; [`Board`] adds what the folder tells.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardToml {
    title: String,
    compatible: Vec<String>,
    #[serde(default)]
    capabilities: BTreeSet<String>,
    kernel: Kernel,
    console: Console,
    agent: Agent,
    qemu: Option<Qemu>,
}

impl Board {
    /// Reads the board that `folder` describes.
    ///
    /// # Errors
    ///
    /// When `board.toml` cannot be read, is not TOML of the known form, or contradicts itself.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("board.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let file: BoardToml = toml::from_str(&text).map_err(|source| Error::Parse {
            path: path.clone(),
            source: Box::new(source),
        })?;
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
        let source = |name| Some(folder.join(name)).filter(|path| path.is_file());
        let board = Self {
            name: name.unwrap_or_default(),
            folder: folder.to_path_buf(),
            title: file.title,
            compatible: file.compatible,
            capabilities: file.capabilities,
            kernel: file.kernel,
            console: file.console,
            agent: file.agent,
            qemu: file.qemu,
            overlay: source("overlay.dtso"),
            emulator_tree: source("emulator.dts"),
        };
        match board.contradiction() {
            Some(what) => Err(Error::Contradiction { path, what }),
            None => Ok(board),
        }
    }

    /// Whether the agent's port is a serial line, which has no room for more than a terminal's
    /// buffer holds.
    pub fn agent_is_serial(&self) -> bool {
        let qemu = self.qemu.as_ref();
        !qemu.is_some_and(|qemu| qemu.virtio_serial.contains(&SerialUse::Agent))
    }

    /// What the types cannot rule out.
    fn contradiction(&self) -> Option<String> {
        if self.compatible.is_empty() {
            return Some("compatible names nothing, so the board could not be recognised".into());
        }
        // They become words of a command line.
        let network = self.qemu.as_ref().and_then(|qemu| qemu.network.as_ref());
        let of_network = network.into_iter().flat_map(|network| {
            [
                ("qemu.network.device", &network.device),
                ("qemu.network.interface", &network.interface),
            ]
        });
        let peripherals = self.qemu.iter().flat_map(|qemu| &qemu.peripheral);
        let of_peripherals = peripherals.flat_map(|(name, peripheral)| {
            [
                ("the name of qemu.peripheral", name),
                ("qemu.peripheral.slot", &peripheral.slot),
            ]
        });
        let words = [
            ("console.device", &self.console.device),
            ("agent.port", &self.agent.port),
        ];
        let words = words.into_iter().chain(of_network).chain(of_peripherals);
        for (key, word) in words {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if word.is_empty() || !word.chars().all(is_plain) {
                return Some(format!("{key} {word:?} is no name of a port or device"));
            }
        }
        if let Some(tree) = &self.kernel.device_tree {
            let inside = tree
                .components()
                .all(|c| matches!(c, std::path::Component::Normal(_)));
            if !inside {
                return Some(format!(
                    "kernel.device_tree {} is not a path below the dtb folder",
                    tree.display()
                ));
            }
        }
        if self.kernel.device_tree.is_none() {
            if self.overlay.is_some() {
                return Some("overlay.dtso has no kernel.device_tree to be merged into".into());
            }
            if self.emulator_tree.is_some() {
                return Some("emulator.dts has no kernel.device_tree to include".into());
            }
        }
        let qemu = self.qemu.as_ref()?;
        if let Some(what) = qemu
            .stimulus
            .iter()
            .find_map(|(name, s)| s.contradiction(name))
        {
            return Some(what);
        }
        for (used, what) in [(SerialUse::Console, "console"), (SerialUse::Agent, "agent")] {
            let ports = qemu.serial.iter().chain(&qemu.virtio_serial);
            let count = ports.filter(|port| **port == used).count();
            if count != 1 {
                return Some(format!(
                    "qemu.serial and qemu.virtio_serial name the {what} {count} times, \
                     but it needs exactly one port"
                ));
            }
        }
        None
    }
}
