// SPDX-License-Identifier: MIT OR Apache-2.0

//! A driver as simple as possible, and the emulator between it and the function.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use dmacopy_device::device::State;
use dmacopy_device::faults::Command;
use dmacopy_device::model::Model;
use dmacopy_device::registers::{
    Completion, Descriptor, control, flag, interrupt, offset, opcode, sequence, slot, status,
};
use nix::sys::eventfd::{EfdFlags, EventFd};
use vfio_user::Client;
use zerocopy::{FromZeros, IntoBytes};

/// Where the guest's memory is.
pub(crate) const RAM: u64 = 0x4000_0000;
const RAM_BYTES: u64 = 1 << 20;
const COMPLETIONS: u64 = RAM + 0x1000;
/// Where the memory is that the rings do not need.
pub(crate) const DATA: u64 = RAM + 0x2000;
const SIZE: u32 = 16;

const REGISTERS: u32 = 0;
const CONFIG: u32 = 7;
const MSI: u32 = 1;
const COMMAND: u64 = 0x04;
const DEVICE_CONTROL: u64 = 0x68;
/// `VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER`.
const EVENTFD: u32 = 0x24;

/// A driver of a function of its own.
pub(crate) struct Driver {
    client: Client,
    model: Model,
    memory: File,
    message: EventFd,
    tail: u32,
    resets: u64,
}

impl Driver {
    /// A function whose engine runs.
    pub(crate) fn started() -> Self {
        let mut driver = Self::connected(Model::start().unwrap());
        driver.share_memory();
        driver.set_command(0x06);
        driver.start();
        driver
    }

    /// A function that was just found on the bus.
    pub(crate) fn connected(model: Model) -> Self {
        let socket = model.socket().unwrap();
        let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let mut client = Client::new(Path::new(&path)).unwrap();
        let memory = tempfile::tempfile().unwrap();
        memory.set_len(RAM_BYTES).unwrap();
        let message = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK).unwrap();
        let fds = [message.as_raw_fd()];
        client.set_irqs(MSI, EVENTFD, 0, 1, &fds).unwrap();
        Self {
            client,
            model,
            memory,
            message,
            tail: 0,
            resets: 0,
        }
    }

    /// Pulls the function out.
    pub(crate) fn unplug(self) -> Model {
        self.client.shutdown().unwrap();
        self.model
    }

    pub(crate) fn share_memory(&mut self) {
        let fd = self.memory.as_raw_fd();
        self.client.dma_map(0, RAM, RAM_BYTES, fd).unwrap();
    }

    pub(crate) fn take_memory_away(&mut self) {
        self.client.dma_unmap(RAM, RAM_BYTES).unwrap();
    }

    pub(crate) fn set_command(&mut self, bits: u8) {
        self.client
            .region_write(CONFIG, COMMAND, &[bits, 0])
            .unwrap();
    }

    pub(crate) fn function_level_reset(&mut self) {
        let flr = 0x8000_u16.to_le_bytes();
        let client = &mut self.client;
        client.region_write(CONFIG, DEVICE_CONTROL, &flr).unwrap();
    }

    pub(crate) fn config(&mut self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.client.region_read(CONFIG, offset, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    pub(crate) fn read_bytes(&mut self, offset: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.client
            .region_read(REGISTERS, offset, &mut bytes)
            .unwrap();
        bytes
    }

    pub(crate) fn write_bytes(&mut self, offset: u64, bytes: &[u8]) {
        self.client.region_write(REGISTERS, offset, bytes).unwrap();
    }

    pub(crate) fn read(&mut self, register: usize) -> u32 {
        let bytes = self.read_bytes(register as u64, 4);
        u32::from_le_bytes(bytes.try_into().unwrap())
    }

    pub(crate) fn write(&mut self, register: usize, value: u32) {
        self.write_bytes(register as u64, &value.to_le_bytes());
    }

    /// Resets the engine and waits for the end of it.
    pub(crate) fn reset(&mut self) {
        self.write(offset::CONTROL, control::RESET);
        assert!(eventually(Duration::from_secs(20), || self
            .read(offset::CONTROL)
            == 0));
    }

    /// Starts the engine as the datasheet says.
    pub(crate) fn start(&mut self) {
        self.memory.write_all_at(&[0; 0x2000], 0).unwrap();
        self.tail = 0;
        self.write(offset::RING_BASE_LO, RAM as u32);
        self.write(offset::COMPLETION_BASE_LO, COMPLETIONS as u32);
        self.write(offset::RING_SIZE, SIZE);
        self.write(offset::IRQ_ENABLE, interrupt::ALL);
        self.write(offset::CONTROL, control::ENABLE);
        let running = || self.read(offset::STATUS) == status::RUNNING;
        assert!(eventually(Duration::from_secs(20), running));
        self.resets = self.state().resets;
    }

    pub(crate) fn submit(&mut self, descriptors: &[Descriptor]) {
        for descriptor in descriptors {
            let place = u64::from(slot(self.tail, SIZE)) * 32;
            self.memory
                .write_all_at(descriptor.as_bytes(), place)
                .unwrap();
            self.tail = self.tail.wrapping_add(1);
        }
        self.write(offset::TAIL, self.tail);
    }

    pub(crate) fn completion(&self, index: u32) -> Completion {
        let mut found = Completion::new_zeroed();
        let place = COMPLETIONS - RAM + u64::from(slot(index, SIZE)) * 16;
        let bytes = found.as_mut_bytes();
        self.memory.read_exact_at(bytes, place).unwrap();
        found
    }

    /// Whether so many descriptors are completed in time.
    pub(crate) fn completed_within(&self, count: u32, limit: Duration) -> bool {
        let last = count - 1;
        eventually(limit, || self.completion(last).sequence == sequence(last))
    }

    /// Whether a message comes in time. Several that came together count as one.
    pub(crate) fn message_within(&self, limit: Duration) -> bool {
        eventually(limit, || match self.message.read() {
            Ok(_) => true,
            Err(error) => {
                let error = std::io::Error::from(error);
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        })
    }

    pub(crate) fn fill(&self, address: u64, bytes: &[u8]) {
        self.memory.write_all_at(bytes, address - RAM).unwrap();
    }

    pub(crate) fn bytes(&self, address: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.memory
            .read_exact_at(&mut bytes, address - RAM)
            .unwrap();
        bytes
    }

    pub(crate) fn command(&self, command: &Command) -> State {
        self.model.command(command)
    }

    pub(crate) fn state(&self) -> State {
        self.command(&Command::State)
    }

    /// How many resets there were when the engine was started.
    pub(crate) fn resets_before(&self) -> u64 {
        self.resets
    }
}

/// Whether something becomes true in time.
pub(crate) fn eventually(limit: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if is_true() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

pub(crate) fn nop() -> Descriptor {
    Descriptor {
        opcode: opcode::NOP,
        flags: flag::INTERRUPT,
        ..Descriptor::default()
    }
}

pub(crate) fn copy(source: u64, destination: u64, length: u32) -> Descriptor {
    Descriptor {
        opcode: opcode::COPY,
        flags: flag::INTERRUPT,
        length,
        source,
        destination,
        cookie: 0xc0ffee,
        ..Descriptor::default()
    }
}
