// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver's device whose engine is the peripheral that the bench plays, as programs on the
//! board use it.

use std::thread;
use std::time::{Duration, Instant};

use hil::agent::Process;
use hil::{Agent, Bench, Error};
use serde::Deserialize;

use crate::{Call, call_on_board, program};

/// The bench's name of the peripheral.
pub const PERIPHERAL: &str = "dmacopy";

/// What the driver calls the engine.
const ENGINE: &str = "pci";

/// The program on the board that can copy: the one that serves the bench.
const PROGRAM: &str = "/proc/1/exe";

/// The most devices that a board is taken to have.
const DEVICES: u32 = 8;

/// How often something is read once more that changes.
const TRIES: u32 = 5;

/// How long a program may copy: the board is asked to let go of a device meanwhile, which takes
/// some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long something may take that happens soon.
pub const SOON: Duration = Duration::from_secs(30);

/// What a program has copied.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// Copies that the driver says are done.
    pub copied: u64,
    /// Those of them of which some byte is another one.
    pub corrupted: u64,
    /// Those that failed.
    pub failed: Vec<Failure>,
    /// The device has hung up.
    pub hang_up: bool,
}

impl Report {
    /// Whether all `count` copies are as they must be.
    pub fn is_good(&self, count: u64) -> bool {
        self.copied == count && self.corrupted == 0 && self.failed.is_empty()
    }

    /// The numbers of those that failed with `errno`, if none failed in another way.
    pub fn failed_with(&self, errno: i32) -> Option<Vec<u64>> {
        let mut failed = self.failed.iter();
        let is_all = failed.all(|failure| failure.errno == errno);
        is_all.then(|| self.failed.iter().map(|failure| failure.number).collect())
    }
}

/// A copy that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Failure {
    /// Which one, counted from 0.
    pub number: u64,
    /// Why.
    pub errno: i32,
}

/// A device of the driver.
#[derive(Clone, Debug)]
pub struct Copier {
    agent: Agent,
    name: String,
}

impl Copier {
    /// The device whose engine is the peripheral. One that was just put in is waited for.
    ///
    /// # Errors
    ///
    /// When there is none, and soon after neither.
    pub fn find(bench: &mut Bench) -> hil::Result<Self> {
        Self::with_engine(bench, ENGINE)
    }

    /// The first device with an engine.
    ///
    /// # Errors
    ///
    /// When there is none, and soon after neither.
    pub fn with_engine(bench: &mut Bench, wanted: &str) -> hil::Result<Self> {
        let agent = bench.agent()?;
        let found = wait(|| {
            Ok((0..DEVICES).find_map(|number| {
                let copier = Self {
                    agent: agent.clone(),
                    name: format!("dmacopy{number}"),
                };
                let engine = copier.attribute("engine").ok()?;
                (engine == wanted).then_some(copier)
            }))
        })?;
        found.ok_or_else(|| format!("no device has the engine {wanted}").into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The agent of its board.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The value of an attribute.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn attribute(&self, name: &str) -> hil::Result<String> {
        let path = format!("/sys/class/misc/{}/{name}", self.name);
        let value = self.content(&path)?;
        Ok(value.trim_end().to_owned())
    }

    /// What the kernel says in a file. What changes while the agent reads it is read once more.
    fn content(&self, path: &str) -> hil::Result<String> {
        let mut read = self.agent.read(path);
        for _ in 0..TRIES {
            if !matches!(read, Err(Error::OutOfOrder { .. })) {
                break;
            }
            read = self.agent.read(path);
        }
        Ok(String::from_utf8(read?)?)
    }

    /// The value of an attribute that is a number.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is none.
    pub fn number(&self, name: &str) -> hil::Result<u64> {
        Ok(self.attribute(name)?.parse()?)
    }

    /// Sets an attribute.
    ///
    /// # Errors
    ///
    /// When the driver does not take the value.
    pub fn set(&self, name: &str, value: &str) -> hil::Result {
        let path = format!("/sys/class/misc/{}/{name}", self.name);
        write(&self.agent, &path, value)
    }

    /// Waits until an attribute has a value.
    ///
    /// # Errors
    ///
    /// When it has not soon.
    pub fn expect(&self, name: &str, value: &str) -> hil::Result {
        let mut last = String::new();
        let reached = wait(|| {
            last = self.attribute(name)?;
            Ok((last == value).then_some(()))
        })?;
        reached.ok_or_else(|| format!("{name} is {last}, not {value}").into())
    }

    /// A register of the function, from the dump for developers.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn register(&self, name: &str) -> hil::Result<u64> {
        self.dumped("registers", name)
    }

    /// A number of the driver's queue, from the dump for developers.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn counter(&self, name: &str) -> hil::Result<u64> {
        self.dumped("engine", name)
    }

    fn dumped(&self, file: &str, name: &str) -> hil::Result<u64> {
        let path = format!("/sys/kernel/debug/dmacopy/{}/{file}", self.name);
        let dump = self.content(&path)?;
        let mut lines = dump.lines().filter_map(|line| line.split_once(": "));
        let (_, value) = lines
            .find(|(register, _)| *register == name)
            .ok_or_else(|| format!("there is no {name} in {dump:?}"))?;
        Ok(match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16)?,
            None => value.parse()?,
        })
    }

    /// Where the two rings of the function are, and how many bytes each has; that with the lower
    /// address first.
    ///
    /// # Errors
    ///
    /// When the registers cannot be read.
    pub fn rings(&self) -> hil::Result<[(u64, u64); 2]> {
        let address = |ring: &str| -> hil::Result<u64> {
            let high = self.register(&format!("{ring}_BASE_HI"))?;
            Ok((high << 32) | self.register(&format!("{ring}_BASE_LO"))?)
        };
        let entries = self.register("RING_SIZE")?;
        // Descriptors have 32 bytes, completions 16.
        let mut rings = [
            (address("RING")?, entries * 32),
            (address("COMPLETION")?, entries * 16),
        ];
        rings.sort_unstable();
        Ok(rings)
    }

    /// The function's name on the bus.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn function(&self) -> hil::Result<String> {
        let path = format!("/sys/class/misc/{}/device/uevent", self.name);
        let keys = String::from_utf8(self.agent.read(&path)?)?;
        let mut names = keys
            .lines()
            .filter_map(|line| line.strip_prefix("PCI_SLOT_NAME="));
        Ok(names.next().ok_or("it is no PCI function")?.to_owned())
    }

    /// Whether the function may access memory.
    ///
    /// # Errors
    ///
    /// When its configuration cannot be read.
    pub fn is_bus_master(&self) -> hil::Result<bool> {
        self.is_bus_master_at(&self.function()?)
    }

    /// Whether a function may access memory.
    ///
    /// # Errors
    ///
    /// When its configuration cannot be read.
    pub fn is_bus_master_at(&self, function: &str) -> hil::Result<bool> {
        let path = format!("/sys/bus/pci/devices/{function}/config");
        let config = self.agent.read(&path)?;
        // Bit 2 of the command register (PCI Local Bus Specification 3.0, 6.2.2).
        let command = config.get(4).ok_or("there is no command register")?;
        Ok(command & 4 != 0)
    }

    /// Starts to copy, with these arguments of `dmacopy copy`.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start(&self, arguments: &[&str]) -> hil::Result<Copying> {
        let command = [PROGRAM, "dmacopy", "copy", "--json", "--device", &self.name];
        let mut program = program(&[command.as_slice(), arguments].concat());
        program.limit_ms = u64::try_from(PATIENCE.as_millis()).ok();
        Ok(Copying(self.agent.start(program)?))
    }

    /// Copies, with these arguments of `dmacopy copy`.
    ///
    /// # Errors
    ///
    /// When the program has no report.
    pub fn copy(&self, arguments: &[&str]) -> hil::Result<Report> {
        self.start(arguments)?.report()
    }

    /// Copies once more, and is sure that all is well.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn still_copies(&self) -> hil::Result {
        let report = self.copy(&["--count", "64", "--bytes", "300", "--batches", "4"])?;
        match report.is_good(256) {
            true => Ok(()),
            false => Err(format!("{} does not copy any more: {report:?}", self.name).into()),
        }
    }
}

/// A program that copies.
#[derive(Debug)]
pub struct Copying(Process);

impl Copying {
    /// What it has copied, when it has ended.
    ///
    /// # Errors
    ///
    /// When it has no report.
    pub fn report(self) -> hil::Result<Report> {
        let output = self.0.output()?;
        let report = serde_json::from_slice(&output.stdout);
        report.map_err(|_| {
            let error = String::from_utf8_lossy(&output.stderr);
            format!("it ended with {:?}, and says: {error}", output.ended).into()
        })
    }
}

/// Writes to a file that the board's kernel makes.
///
/// # Errors
///
/// When the kernel does not take it.
pub fn write(agent: &Agent, path: &str, text: &str) -> hil::Result {
    call_on_board(agent, &[Call::open_to_write(path), Call::write(3, text)])
}

/// Has the peripheral do something.
///
/// # Errors
///
/// When it does not understand.
pub fn instruct(bench: &Bench, instruction: &str) -> hil::Result {
    bench.instruct(PERIPHERAL, instruction)?;
    Ok(())
}

/// A number that the peripheral tells of itself.
///
/// # Errors
///
/// When it does not.
pub fn told(bench: &Bench, name: &str) -> hil::Result<u64> {
    let state = bench.instruct(PERIPHERAL, "\"state\"")?;
    let state: serde_json::Value = serde_json::from_str(&state)?;
    let number = state.get(name).and_then(serde_json::Value::as_u64);
    number.ok_or_else(|| format!("there is no number {name} in {state}").into())
}

/// Waits until a number that the peripheral tells of itself is what it must be.
///
/// # Errors
///
/// When it is not soon.
pub fn wait_until_told(bench: &Bench, name: &str, is_it: impl Fn(u64) -> bool) -> hil::Result<u64> {
    let mut last = 0;
    let reached = wait(|| {
        last = told(bench, name)?;
        Ok(is_it(last).then_some(last))
    })?;
    reached.ok_or_else(|| format!("{name} still is {last}").into())
}

/// Waits until there is what is looked for, not for long.
///
/// # Errors
///
/// When looking fails.
pub fn wait<T>(mut look: impl FnMut() -> hil::Result<Option<T>>) -> hil::Result<Option<T>> {
    let deadline = Instant::now() + SOON;
    loop {
        let found = look()?;
        if found.is_some() || Instant::now() > deadline {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
