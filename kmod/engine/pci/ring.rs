// SPDX-License-Identifier: GPL-2.0

//! The two rings that driver and function share: descriptors there, completions back.

use core::mem::{
    offset_of,
    size_of, //
};

use kernel::{
    device::{
        Bound,
        Device, //
    },
    dma::Coherent,
    prelude::*, //
};

use crate::{
    registers::{
        sequence,
        slot,
        Completion,
        Descriptor, //
    },
    sys::{
        compat::{
            dma_address,
            dma_rmb, //
        },
        shared::Shared, //
    }, //
};

/// Where status and sequence of a completion are, which the function writes together, and last.
const LAST: usize = offset_of!(Completion, status);

/// The rings, and where the driver is in them.
///
/// # Invariants
///
/// There are as many entries in each ring as `entries` says, a power of two, and
/// `tail` is at most so many ahead of `head`.
pub(super) struct Ring {
    descriptors: Coherent<[u8]>,
    completions: Coherent<[u8]>,
    entries: u32,
    /// Index of the next descriptor.
    tail: u32,
    /// What the function has been told of `tail`.
    told: u32,
    /// Index of the next completion.
    head: u32,
}

impl Ring {
    /// Rings of `entries` entries each, a power of two, for `device`.
    pub(super) fn new(device: &Device<Bound>, entries: u32) -> Result<Self> {
        // Coherent memory begins at a page, which is more than the function asks for.
        let memory =
            |each| Coherent::<u8>::zeroed_slice(device, entries as usize * each, GFP_KERNEL);
        // INVARIANT: There are as many bytes as `entries` entries have. Nothing is in the rings.
        Ok(Self {
            descriptors: memory(size_of::<Descriptor>())?,
            completions: memory(size_of::<Completion>())?,
            entries,
            tail: 0,
            told: 0,
            head: 0,
        })
    }

    /// Where the function finds the descriptors.
    pub(super) fn descriptors(&self) -> u64 {
        dma_address(&self.descriptors)
    }

    /// Where the function puts the completions.
    pub(super) fn completions(&self) -> u64 {
        dma_address(&self.completions)
    }

    /// What the function is to be told: the index behind all descriptors that have been pushed, if
    /// there are any that it does not know of.
    pub(super) fn take_doorbell(&mut self) -> Option<u32> {
        let has_more = self.told != self.tail;
        self.told = self.tail;
        has_more.then_some(self.tail)
    }

    /// How many descriptors there is room for.
    pub(super) fn room(&self) -> u32 {
        self.entries - self.tail.wrapping_sub(self.head)
    }

    /// Empties the rings. The function must not be running.
    pub(super) fn clear(&mut self) -> Result {
        let completions = Shared::new(&self.completions);
        for place in 0..self.entries as usize {
            completions.write(place * size_of::<Completion>(), &Completion::default())?;
        }
        // INVARIANT: Nothing is in the rings.
        (self.tail, self.told, self.head) = (0, 0, 0);
        Ok(())
    }

    /// Writes the next descriptor, for which there is room. The function reads it after the next
    /// doorbell.
    pub(super) fn push(&mut self, descriptor: &Descriptor) -> Result {
        if self.room() == 0 {
            return Err(ENOSPC);
        }
        let place = slot(self.tail, self.entries) as usize * size_of::<Descriptor>();
        Shared::new(&self.descriptors).write(place, descriptor)?;
        // INVARIANT: There was room for one more.
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Takes the next completion, if the function has written it. What it did before that, the
    /// processor sees from here on.
    pub(super) fn pop(&mut self) -> Result<Option<Completion>> {
        if self.tail == self.head {
            return Ok(None);
        }
        let completions = Shared::new(&self.completions);
        let place = slot(self.head, self.entries) as usize * size_of::<Completion>();
        let last: u64 = completions.read(place + LAST)?;
        // CAST: The lower half is the status, the upper one the sequence.
        let (status, number) = (last as u32, (last >> 32) as u32);
        if number != sequence(self.head) {
            return Ok(None);
        }
        dma_rmb();
        let cookie = completions.read(place)?;
        // INVARIANT: `head` was behind `tail`.
        self.head = self.head.wrapping_add(1);
        Ok(Some(Completion {
            cookie,
            status,
            sequence: number,
        }))
    }
}
