// SPDX-License-Identifier: GPL-2.0

//! A transfer in the hands of the function: one descriptor for each contiguous piece.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::ring::Ring;
use crate::{
    registers::{
        completion,
        flag,
        opcode,
        Completion,
        Descriptor, //
    },
    transfer::{
        Source,
        Transfer, //
    }, //
};

/// A transfer of which descriptors have been given to the function, or will be.
pub(super) struct Moving {
    transfer: Arc<Transfer>,
    /// Bytes of which there are descriptors.
    given: usize,
    /// Descriptors without a completion.
    outstanding: u32,
    result: Result,
}

impl Moving {
    /// A transfer of which the function has nothing yet.
    pub(super) fn new(transfer: Arc<Transfer>) -> Self {
        Self {
            transfer,
            given: 0,
            outstanding: 0,
            result: Ok(()),
        }
    }

    /// Whether descriptors are to be given to the function still.
    pub(super) fn has_rest(&self) -> bool {
        self.result.is_ok() && self.given < self.transfer.request().length
    }

    /// Whether the function has descriptors of it.
    pub(super) fn has_outstanding(&self) -> bool {
        self.outstanding > 0
    }

    /// Whether the function does not access its memory any more, nor will.
    pub(super) fn is_done(&self) -> bool {
        self.outstanding == 0 && !self.has_rest()
    }

    /// The transfer, and what has come of it.
    pub(super) fn into_result(self) -> (Arc<Transfer>, Result) {
        (self.transfer, self.result)
    }

    /// Gives as many descriptors to the function as there is room for.
    pub(super) fn give(&mut self, ring: &mut Ring, max_length: u32) {
        while self.has_rest() && ring.room() > 0 {
            match self.give_one(ring, max_length) {
                Ok(()) => self.outstanding += 1,
                Err(error) => self.result = Err(error),
            }
        }
    }

    fn give_one(&mut self, ring: &mut Ring, max_length: u32) -> Result {
        let request = self.transfer.request();
        let piece = request.piece(self.given, max_length as usize)?;
        let (opcode, source) = match (piece.source, &request.source) {
            (Some(source), _) => (opcode::COPY, source),
            (None, Source::Pattern(pattern)) => {
                // A piece begins where in the pattern the one before it has ended.
                let bits = 8 * (self.given % pattern.len());
                // CAST: Less than 64.
                let pattern = u64::from_le_bytes(*pattern).rotate_right(bits as u32);
                (opcode::FILL, pattern)
            }
            (None, _) => return Err(EINVAL),
        };
        let given = self.given + piece.length;
        // The last piece tells that the transfer is done, or that there is room for the rest.
        let is_last = given == request.length || ring.room() == 1;
        ring.push(&Descriptor {
            opcode,
            flags: if is_last { flag::INTERRUPT } else { 0 },
            reserved: 0,
            length: u32::try_from(piece.length)?,
            source,
            destination: piece.destination,
            cookie: self.transfer.sequence(),
        })?;
        self.given = given;
        Ok(())
    }

    /// The function is through with the first descriptor that has no completion.
    pub(super) fn complete(&mut self, completion: &Completion) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let is_ours = completion.cookie == self.transfer.sequence();
        if completion.status != completion::OK || !is_ours {
            self.result = Err(EIO);
        }
    }
}
