// SPDX-License-Identifier: MIT OR Apache-2.0

//! The engine without its surroundings: registers in, memory accesses and messages out.
//!
//! Nothing here waits or runs by itself: whoever owns an [`Engine`] calls [`Engine::step`] after
//! each write, and as often and as late as its answer says.

mod interrupts;
mod register_file;
#[cfg(test)]
mod tests;
mod transfer;

use std::time::Instant;

use zerocopy::{FromZeros, IntoBytes};

use crate::faults::Faults;
use crate::memory::Memory;
use crate::registers::{Completion, Descriptor, completion, error, flag, interrupt, slot};
use interrupts::Interrupts;
use transfer::Transfer;

/// The binary logarithm of the most entries of a ring.
pub const MAX_RING_SIZE_LOG2: u32 = 12;
/// The longest transfer, in bytes.
pub const MAX_LENGTH: u32 = 1 << 20;

/// What the engine has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More, at once.
    Step,
    /// Something at this time.
    At(Instant),
    /// Nothing until a register is written or a fault changes.
    Write,
}

/// What the engine has done since it was made; no reset changes this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Descriptors that were completed.
    pub descriptors: u64,
    /// Those of them with an error.
    pub errors: u64,
    /// Bytes that were moved.
    pub bytes: u64,
    /// Resets, by whatever means.
    pub resets: u64,
}

/// All that a reset forgets.
#[derive(Clone, Debug, Default)]
struct State {
    is_enabled: bool,
    is_resetting: bool,
    is_running: bool,
    /// One of [`error`].
    error: u32,
    ring_base: u64,
    completion_base: u64,
    ring_size: u32,
    tail: u32,
    head: u32,
    transfer: Option<Transfer>,
    interrupts: Interrupts,
}

/// The DMA copy engine.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    state: State,
    counters: Counters,
}

impl Engine {
    /// Resets all registers and forgets what was going on.
    pub fn reset(&mut self) {
        self.state = State::default();
        self.counters.resets += 1;
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The messages that are to be sent now, once.
    pub fn take_messages(&mut self) -> u32 {
        self.state.interrupts.take_messages()
    }

    /// Does the next thing that is to be done, and says when to call again.
    pub fn step(&mut self, memory: &Memory, faults: &mut Faults, now: Instant) -> Next {
        if faults.is_frozen || faults.is_dead {
            return Next::Write;
        }
        if self.state.is_resetting {
            self.reset();
            return Next::Write;
        }
        self.state.interrupts.tick(now);
        if let Some(transfer) = self.state.transfer.take() {
            return self.execute(transfer, memory, faults, now);
        }
        let state = &mut self.state;
        if state.is_running && !state.is_enabled {
            state.is_running = false;
            state.interrupts.flush();
        } else if state.is_enabled && !state.is_running && state.error == error::NONE {
            self.start();
        } else if state.is_running && state.head != state.tail && !faults.is_stuck {
            return self.fetch(memory, faults, now);
        }
        self.idle()
    }

    fn idle(&self) -> Next {
        let deadline = self.state.interrupts.deadline();
        deadline.map_or(Next::Write, Next::At)
    }

    /// Takes over the rings.
    fn start(&mut self) {
        match self.state.check_rings() {
            Ok(()) => {
                self.state.is_running = true;
                self.state.head = 0;
                self.state.tail = 0;
            }
            Err(code) => self.state.fail(code),
        }
    }

    /// Reads the next descriptor.
    fn fetch(&mut self, memory: &Memory, faults: &mut Faults, now: Instant) -> Next {
        let index = self.state.head;
        let mut descriptor = Descriptor::new_zeroed();
        let place = slot(index, self.state.ring_size);
        let address = entry(self.state.ring_base, place, size_of::<Descriptor>());
        let read = memory.read(address, descriptor.as_mut_bytes());
        if read.is_err() {
            self.state.fail(error::DESCRIPTOR_READ);
            return Next::Write;
        }
        let failure = faults.take_failure(descriptor.cookie);
        let transfer = Transfer::new(descriptor, index, failure, memory, now);
        self.state.transfer = Some(transfer);
        Next::Step
    }

    /// Goes on with a descriptor, and completes it when it is done.
    fn execute(
        &mut self,
        mut transfer: Transfer,
        memory: &Memory,
        faults: &mut Faults,
        now: Instant,
    ) -> Next {
        let due = transfer.started + faults.slow;
        let status = if faults.is_stuck {
            None
        } else {
            transfer.advance(memory)
        };
        let Some(status) = status.filter(|_| due <= now) else {
            let is_moved = status.is_some();
            self.state.transfer = Some(transfer);
            return match self.state.interrupts.deadline() {
                _ if faults.is_stuck => self.idle(),
                Some(deadline) if is_moved => Next::At(deadline.min(due)),
                None if is_moved => Next::At(due),
                _ => Next::Step,
            };
        };
        if transfer.bytes(status) > 0 && faults.take_corruption() {
            transfer.corrupt(memory);
        }
        self.complete(&transfer, status, memory, now)
    }

    fn complete(
        &mut self,
        transfer: &Transfer,
        status: u32,
        memory: &Memory,
        now: Instant,
    ) -> Next {
        let place = slot(transfer.index, self.state.ring_size);
        let address = entry(self.state.completion_base, place, size_of::<Completion>());
        if transfer.complete(memory, address, status).is_err() {
            self.state.fail(error::COMPLETION_WRITE);
            return Next::Write;
        }
        self.state.head = transfer.index.wrapping_add(1);
        let is_error = status != completion::OK;
        self.counters.descriptors += 1;
        self.counters.errors += u64::from(is_error);
        self.counters.bytes += transfer.bytes(status);
        if is_error || transfer.descriptor.flags & flag::INTERRUPT != 0 {
            self.state.interrupts.completed(is_error, now);
        }
        Next::Step
    }
}

/// The address of an entry of a ring, which does not pass the last address.
fn entry(base: u64, place: u32, size: usize) -> u64 {
    base + u64::from(place) * size as u64
}

impl State {
    /// Stops for good.
    fn fail(&mut self, code: u32) {
        self.error = code;
        self.is_running = false;
        self.transfer = None;
        self.interrupts.flush();
        self.interrupts.cause(interrupt::ERROR);
    }
}
