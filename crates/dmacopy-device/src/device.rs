// SPDX-License-Identifier: MIT OR Apache-2.0

//! The function as a whole: engine, configuration space, memory, messages, and what goes wrong.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Next};
use crate::faults::{Command, Faults};
use crate::memory::Memory;
use crate::pci::Config;
use crate::registers::{offset, pci};

/// What the fault port tells of the function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// An emulator is connected.
    pub is_connected: bool,
    /// The register `STATUS`.
    pub status: u32,
    /// The register `ERROR_INFO`.
    pub error_info: u32,
    /// The register `HEAD`.
    pub head: u32,
    /// The register `TAIL`.
    pub tail: u32,
    /// Descriptors that were completed, since the model was started.
    pub descriptors: u64,
    /// Those of them with an error.
    pub errors: u64,
    /// Bytes that were moved.
    pub bytes: u64,
    /// Resets, by whatever means.
    pub resets: u64,
    /// Messages (interrupts) that were sent.
    pub messages: u64,
    /// Messages that a fault has lost.
    pub lost_messages: u64,
    /// Messages that could not be sent: no Bus Master, or none set up.
    pub blocked_messages: u64,
    /// Accesses to the registers that were not 32 bits wide and aligned.
    pub bad_accesses: u64,
    /// The last thing that went wrong between model and emulator.
    pub trouble: Option<String>,
}

/// The function.
#[derive(Debug, Default)]
pub struct Device {
    engine: Engine,
    config: Config,
    memory: Memory,
    faults: Faults,
    /// Where a message is sent: an eventfd.
    message: Option<File>,
    state: State,
}

impl Device {
    /// Reads from the registers.
    pub fn read_registers(&mut self, offset: u64, bytes: &mut [u8]) {
        bytes.fill(0xff);
        if !self.answers() {
            return;
        }
        match place(offset, bytes.len()) {
            Some(register) => bytes.copy_from_slice(&self.engine.read(register).to_le_bytes()),
            None => self.state.bad_accesses += 1,
        }
    }

    /// Writes to the registers.
    pub fn write_registers(&mut self, offset: u64, bytes: &[u8]) {
        if !self.answers() {
            return;
        }
        let register = place(offset, bytes.len());
        let (Some(register), Ok(value)) = (register, bytes.try_into()) else {
            self.state.bad_accesses += 1;
            return;
        };
        self.engine.write(register, u32::from_le_bytes(value));
        self.send();
    }

    /// Reads from the configuration space.
    pub fn read_config(&self, offset: u64, bytes: &mut [u8]) {
        match usize::try_from(offset) {
            Ok(offset) if !self.faults.is_dead => self.config.read(offset, bytes),
            _ => bytes.fill(0xff),
        }
    }

    /// Writes to the configuration space.
    pub fn write_config(&mut self, offset: u64, bytes: &[u8]) {
        let Ok(offset) = usize::try_from(offset) else {
            return;
        };
        if self.faults.is_dead {
            return;
        }
        if self.config.write(offset, bytes) {
            self.reset();
        }
        self.memory.set_master(self.config.is_master());
    }

    /// Opens a window to the guest's memory.
    pub fn map(&mut self, address: u64, length: u64, file: File, offset: u64, is_writable: bool) {
        let mapped = self.memory.map(address, length, file, offset, is_writable);
        if let Err(error) = mapped {
            self.trouble(&error);
        }
    }

    /// The windows to the guest's memory.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Where a message is sent from now on: an eventfd, or nowhere.
    pub fn set_message(&mut self, message: Option<File>) {
        self.message = message;
    }

    /// Resets the function. Where messages go is the emulator's, and so are the windows.
    pub fn reset(&mut self) {
        if self.faults.is_frozen || self.faults.is_dead {
            return;
        }
        self.engine.reset();
        self.config = Config::default();
        self.memory.set_master(false);
    }

    /// Another emulator is there, or none: power was cut in between.
    pub fn set_connected(&mut self, is_connected: bool) {
        self.engine.reset();
        self.config = Config::default();
        self.memory.set_master(false);
        self.memory.unmap_all();
        self.message = None;
        self.state.is_connected = is_connected;
    }

    /// Keeps what went wrong between model and emulator.
    pub fn trouble(&mut self, error: &dyn std::error::Error) {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        self.state.trouble = Some(text);
    }

    /// Does the next thing that is to be done, and says when to call again.
    pub fn step(&mut self, now: Instant) -> Next {
        let next = self.engine.step(&self.memory, &mut self.faults, now);
        self.send();
        next
    }

    /// Obeys the fault port.
    pub fn command(&mut self, command: &Command) -> State {
        let faults = &mut self.faults;
        match *command {
            Command::State => {}
            Command::Clear => {
                *faults = Faults::default();
                self.memory.refuse_nothing();
            }
            Command::LoseMessages(count) => faults.lose_messages = count,
            Command::SpuriousMessages(count) => (0..count).for_each(|_| self.send_one()),
            Command::Stick(on) => faults.is_stuck = on,
            Command::Freeze(on) => faults.is_frozen = on,
            Command::Die(on) => {
                faults.is_dead = on;
                if on {
                    // What is dead does not go on where it was when it is back, with memory that
                    // nobody has kept for it.
                    self.engine.reset();
                }
            }
            Command::Fail { count, status } => faults.fail = (count, status),
            Command::FailCookie { cookie, status } => {
                faults.fail_cookies.insert(cookie, status);
            }
            Command::Refuse { address, length } => self.memory.refuse(address, length),
            Command::Slow(microseconds) => faults.slow = Duration::from_micros(microseconds),
            Command::Corrupt(count) => faults.corrupt = count,
        }
        self.state()
    }

    /// What there is to tell.
    pub fn state(&self) -> State {
        let counters = self.engine.counters();
        State {
            status: self.engine.read(offset::STATUS),
            error_info: self.engine.read(offset::ERROR_INFO),
            head: self.engine.read(offset::HEAD),
            tail: self.engine.read(offset::TAIL),
            descriptors: counters.descriptors,
            errors: counters.errors,
            bytes: counters.bytes,
            resets: counters.resets,
            ..self.state.clone()
        }
    }

    /// Whether the registers answer.
    fn answers(&self) -> bool {
        !self.faults.is_dead && self.config.is_memory_enabled()
    }

    /// Sends what the engine wants to send.
    fn send(&mut self) {
        for _ in 0..self.engine.take_messages() {
            if self.faults.take_message() {
                self.state.lost_messages += 1;
            } else {
                self.send_one();
            }
        }
    }

    fn send_one(&mut self) {
        let may = self.memory.is_master() && !self.faults.is_dead && !self.faults.is_frozen;
        let one = 1u64.to_ne_bytes();
        let message = self.message.as_mut().filter(|_| may);
        match message.map(|message| message.write_all(&one)) {
            Some(Ok(())) => self.state.messages += 1,
            Some(Err(error)) => self.trouble(&error),
            None => self.state.blocked_messages += 1,
        }
    }
}

/// The register at an offset, if the access is as it must be.
fn place(offset: u64, bytes: usize) -> Option<usize> {
    let offset = usize::try_from(offset).ok()?;
    let is_good = bytes == 4 && offset % 4 == 0 && offset < pci::REGISTERS_BYTES;
    is_good.then_some(offset)
}
