// SPDX-License-Identifier: MIT OR Apache-2.0

//! What reading and writing a register does.

use super::{Engine, MAX_LENGTH, MAX_RING_SIZE_LOG2, State};
use crate::registers::{
    Completion, Descriptor, ID, MIN_RING_SIZE, RING_ALIGNMENT, VERSION_MAJOR, VERSION_MINOR,
    control, error, offset, status,
};

/// All addresses of the bus.
const ADDRESS_BITS: u32 = 64;

/// The register with bits 31 to 0 of an address.
fn low(address: u64) -> u32 {
    // CAST: the rest is in the other register.
    address as u32
}

/// The register with bits 63 to 32 of an address.
fn high(address: u64) -> u32 {
    low(address >> 32)
}

impl Engine {
    /// Reads the register at an offset that is a multiple of four.
    pub fn read(&self, register: usize) -> u32 {
        let state = &self.state;
        match register {
            offset::ID => ID,
            offset::VERSION => (VERSION_MAJOR << 16) | VERSION_MINOR,
            offset::LIMITS => MAX_RING_SIZE_LOG2 | (ADDRESS_BITS << 8),
            offset::MAX_LENGTH => MAX_LENGTH,
            offset::CONTROL => state.control(),
            offset::STATUS => state.status(),
            offset::ERROR_INFO => state.error,
            offset::RING_BASE_LO => low(state.ring_base),
            offset::RING_BASE_HI => high(state.ring_base),
            offset::RING_SIZE => state.ring_size,
            offset::COMPLETION_BASE_LO => low(state.completion_base),
            offset::COMPLETION_BASE_HI => high(state.completion_base),
            offset::TAIL => state.tail,
            offset::HEAD => state.head,
            offset::IRQ_STATUS => state.interrupts.status(),
            offset::IRQ_ENABLE => state.interrupts.enable(),
            offset::COALESCE_COUNT => state.interrupts.count(),
            offset::COALESCE_MICROSECONDS => state.interrupts.microseconds(),
            _ => 0,
        }
    }

    /// Writes the register at an offset that is a multiple of four.
    pub fn write(&mut self, register: usize, value: u32) {
        let state = &mut self.state;
        if state.is_resetting {
            return;
        }
        match register {
            offset::CONTROL if value & control::RESET != 0 => state.is_resetting = true,
            offset::CONTROL => state.is_enabled = value & control::ENABLE != 0,
            offset::TAIL => state.ring_doorbell(value),
            offset::IRQ_STATUS => state.interrupts.clear(value),
            offset::IRQ_ENABLE => state.interrupts.set_enable(value),
            offset::COALESCE_COUNT => state.interrupts.set_count(value),
            offset::COALESCE_MICROSECONDS => state.interrupts.set_microseconds(value),
            _ if state.is_stopped() => state.set_rings(register, value),
            _ => {}
        }
    }
}

impl State {
    fn control(&self) -> u32 {
        let enable = if self.is_enabled { control::ENABLE } else { 0 };
        let reset = if self.is_resetting { control::RESET } else { 0 };
        enable | reset
    }

    fn status(&self) -> u32 {
        let has_work = self.is_running && self.is_enabled && self.head != self.tail;
        let bits = [
            (self.is_running, status::RUNNING),
            (has_work || self.transfer.is_some(), status::BUSY),
            (self.error != error::NONE, status::FATAL),
        ];
        let set = bits.iter().filter(|(is_set, _)| *is_set);
        set.fold(0, |bits, (_, bit)| bits | bit)
    }

    fn is_stopped(&self) -> bool {
        !self.is_enabled && !self.is_running && self.error == error::NONE
    }

    fn set_rings(&mut self, register: usize, value: u32) {
        let value_in = |address: u64, shift: u32| {
            let kept = address & !(u64::from(u32::MAX) << shift);
            kept | (u64::from(value) << shift)
        };
        match register {
            offset::RING_BASE_LO => self.ring_base = value_in(self.ring_base, 0),
            offset::RING_BASE_HI => self.ring_base = value_in(self.ring_base, 32),
            offset::RING_SIZE => self.ring_size = value,
            offset::COMPLETION_BASE_LO => self.completion_base = value_in(self.completion_base, 0),
            offset::COMPLETION_BASE_HI => self.completion_base = value_in(self.completion_base, 32),
            _ => {}
        }
    }

    /// Whether the rings are as they must be; else one of [`error`].
    pub(super) fn check_rings(&self) -> Result<(), u32> {
        let sizes = MIN_RING_SIZE..=1 << MAX_RING_SIZE_LOG2;
        if !self.ring_size.is_power_of_two() || !sizes.contains(&self.ring_size) {
            Err(error::RING_SIZE)
        } else if !self.has_place(self.ring_base, size_of::<Descriptor>()) {
            Err(error::RING_BASE)
        } else if !self.has_place(self.completion_base, size_of::<Completion>()) {
            Err(error::COMPLETION_BASE)
        } else {
            Ok(())
        }
    }

    /// Whether a ring with entries of so many bytes can be here.
    fn has_place(&self, base: u64, entry: usize) -> bool {
        let bytes = u64::from(self.ring_size) * entry as u64;
        base % RING_ALIGNMENT == 0 && base.checked_add(bytes).is_some()
    }

    /// Takes over the index behind the last descriptor.
    fn ring_doorbell(&mut self, tail: u32) {
        if !self.is_running {
            return;
        }
        let [before, after] = [self.tail, tail].map(|tail| tail.wrapping_sub(self.head));
        if after > self.ring_size || after < before {
            self.fail(error::DOORBELL);
        } else {
            self.tail = tail;
        }
    }
}
