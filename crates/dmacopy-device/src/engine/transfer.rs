// SPDX-License-Identifier: MIT OR Apache-2.0

//! One descriptor: checked, executed piece by piece, completed.

use std::time::Instant;

use zerocopy::IntoBytes;

use super::MAX_LENGTH;
use crate::memory::{Memory, Refused};
use crate::registers::{Completion, Descriptor, completion, flag, opcode, sequence};

/// The most bytes that are moved before someone else has a turn.
pub(super) const PIECE: u32 = 256 << 10;

/// A descriptor in execution.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub(super) descriptor: Descriptor,
    pub(super) index: u32,
    pub(super) started: Instant,
    /// Bytes that are done.
    pub(super) moved: u32,
    /// What came of it, once that is known.
    status: Option<u32>,
}

impl Transfer {
    /// Looks at a descriptor: what is wrong with it is known at once, and `failure` is what a
    /// fault makes of it.
    pub(super) fn new(
        descriptor: Descriptor,
        index: u32,
        failure: Option<u32>,
        memory: &Memory,
        now: Instant,
    ) -> Self {
        let status = failure.or(check(&descriptor, memory).err());
        Self {
            descriptor,
            index,
            started: now,
            moved: 0,
            status,
        }
    }

    /// Moves the next piece; returns the status if nothing is left to be done.
    pub(super) fn advance(&mut self, memory: &Memory) -> Option<u32> {
        if self.status.is_some() {
            return self.status;
        }
        let done = u64::from(self.moved);
        let left = self.descriptor.length - self.moved;
        let length = left.min(PIECE);
        let to = self.descriptor.destination + done;
        let piece = match self.descriptor.opcode {
            opcode::COPY => memory.copy(self.descriptor.source + done, to, u64::from(length)),
            opcode::FILL => fill(memory, to, self.descriptor.source, length),
            _ => Ok(()),
        };
        self.moved += length;
        let is_nop = self.descriptor.opcode == opcode::NOP;
        self.status = match piece {
            // The memory has gone since it was checked.
            Err(Refused { .. }) => Some(completion::INTERNAL),
            Ok(()) if is_nop || self.moved == self.descriptor.length => Some(completion::OK),
            Ok(()) => None,
        };
        self.status
    }

    /// Bytes that a completion with this status has moved.
    pub(super) fn bytes(&self, status: u32) -> u64 {
        let is_nop = self.descriptor.opcode == opcode::NOP;
        let is_moved = status == completion::OK && !is_nop;
        u64::from(if is_moved { self.descriptor.length } else { 0 })
    }

    /// Changes a byte of what was moved.
    pub(super) fn corrupt(&self, memory: &Memory) {
        let mut byte = [0];
        let place = self.descriptor.destination;
        // The memory may have gone, and with it what could be harmed.
        if memory.read(place, &mut byte).is_ok() {
            let _ = memory.write(place, &[!byte[0]]);
        }
    }

    /// Writes the completion at `address`.
    pub(super) fn complete(
        &self,
        memory: &Memory,
        address: u64,
        status: u32,
    ) -> Result<(), Refused> {
        let completion = Completion {
            cookie: self.descriptor.cookie,
            status,
            sequence: sequence(self.index),
        };
        let word = u64::from(completion.status) | (u64::from(completion.sequence) << 32);
        memory.write(address, completion.cookie.as_bytes())?;
        memory.publish(address + 8, word)
    }
}

/// What is wrong with a descriptor, in the order of the datasheet.
fn check(descriptor: &Descriptor, memory: &Memory) -> Result<(), u32> {
    let Descriptor {
        opcode,
        flags,
        reserved,
        length,
        source,
        destination,
        ..
    } = *descriptor;
    if opcode > opcode::FILL || flags & !flag::ALL != 0 || reserved != 0 {
        return Err(completion::BAD_DESCRIPTOR);
    }
    if opcode == opcode::NOP {
        return Ok(());
    }
    if length == 0 || length > MAX_LENGTH {
        return Err(completion::BAD_LENGTH);
    }
    let length = u64::from(length);
    if opcode == opcode::COPY {
        let source = memory.check_read(source, length);
        source.map_err(|_| completion::SOURCE_REFUSED)?;
    }
    let destination = memory.check_write(destination, length);
    destination.map_err(|_| completion::DESTINATION_REFUSED)
}

/// Fills with a pattern that begins at the first byte. Pieces are multiples of the pattern.
fn fill(memory: &Memory, address: u64, pattern: u64, length: u32) -> Result<(), Refused> {
    let bytes = pattern.to_le_bytes();
    let bytes: Vec<u8> = bytes.into_iter().cycle().take(length as usize).collect();
    memory.write(address, &bytes)
}

const _: () = assert!(
    PIECE % 8 == 0,
    "a pattern would begin anew within a transfer"
);
