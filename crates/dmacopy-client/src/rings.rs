// SPDX-License-Identifier: MIT OR Apache-2.0

//! The rings of a session: many descriptors for one system call.

use dmacopy_uapi::ioctl::Submit;
use dmacopy_uapi::ring::{self, index};
use kernel_channels::mmap::Mapping;
use kernel_channels::uring::Ring;
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::error::Context;
use crate::session::Session;
use crate::{Error, Operation, request};

pub use dmacopy_uapi::ring::Descriptor;

/// The rings of a session, for one thread. They stay valid when the session is closed, but nothing
/// happens in them any more.
#[derive(Debug)]
pub struct Rings {
    mapping: Mapping,
    device: String,
    entries: u32,
    /// Behind the last descriptor that was pushed.
    pushed: u32,
    /// The next completion to pop.
    popped: u32,
}

/// How a descriptor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingCompletion {
    /// The descriptor's.
    pub user_data: u64,
    /// The error number, if it failed.
    pub errno: Option<i32>,
}

impl Rings {
    pub(crate) fn new(mapping: Mapping, device: String, entries: u32) -> Result<Self, Error> {
        let mut rings = Self {
            mapping,
            device,
            entries,
            pushed: 0,
            popped: 0,
        };
        // The session may have used them before.
        rings.pushed = rings.load(index::SUBMISSION_TAIL)?;
        rings.popped = rings.load(index::COMPLETION_HEAD)?;
        Ok(rings)
    }

    /// How many entries each of the two has.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Puts a descriptor into its ring, for the next [`Self::submit`]; whether there was room.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the rings are not what the driver said.
    pub fn push(&mut self, descriptor: &Descriptor) -> Result<bool, Error> {
        let taken = self.load(index::SUBMISSION_HEAD)?;
        if self.pushed.wrapping_sub(taken) >= self.entries {
            return Ok(false);
        }
        let place = ring::descriptor_offset(self.pushed, self.entries);
        self.mapping
            .write(place, descriptor.as_bytes())
            .on(&self.device, Operation::AccessRings)?;
        self.pushed = self.pushed.wrapping_add(1);
        self.store(index::SUBMISSION_TAIL, self.pushed)?;
        Ok(true)
    }

    /// Has the driver take what was pushed, and waits until `wait` completions can be popped, or all
    /// there will be. Returns how many descriptors were taken: fewer than were pushed when there is
    /// no room for their completions.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `ENODEV` when the device has gone; `EINTR` when a signal came before
    /// anything was taken.
    pub fn submit(&mut self, session: &Session, wait: u32) -> Result<u32, Error> {
        let mut submit = Submit {
            count: u32::MAX,
            wait,
            ..Submit::default()
        };
        request::SUBMIT
            .read_write(session.node(), &mut submit)
            .on(&self.device, Operation::Submit)?;
        Ok(submit.taken)
    }

    /// As [`Self::submit`], by an io_uring, with which any number of threads and files can wait for
    /// this at once: what is returned there, with `token`, is how many descriptors were taken.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when it cannot be submitted there. In its completion the driver says
    /// `ENODEV` when the device has gone, and `EBUSY` when 64 commands wait already.
    pub fn submit_by(
        &mut self,
        ring: &mut Ring,
        session: &Session,
        wait: u32,
        token: u64,
    ) -> Result<(), Error> {
        let submit = Submit {
            count: u32::MAX,
            wait,
            ..Submit::default()
        };
        request::submit_by(ring, session.node(), submit, token).on(&self.device, Operation::Submit)
    }

    /// The next completion, if there is one: no system call.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the rings are not what the driver said.
    pub fn pop(&mut self) -> Result<Option<RingCompletion>, Error> {
        if self.load(index::COMPLETION_TAIL)? == self.popped {
            return Ok(None);
        }
        let mut bytes = [0; size_of::<ring::Completion>()];
        let place = ring::completion_offset(self.popped, self.entries);
        self.mapping
            .read(place, &mut bytes)
            .on(&self.device, Operation::AccessRings)?;
        self.popped = self.popped.wrapping_add(1);
        self.store(index::COMPLETION_HEAD, self.popped)?;
        let completion = ring::Completion::read_from_bytes(&bytes).unwrap_or_default();
        Ok(Some(RingCompletion {
            user_data: completion.user_data,
            errno: (completion.result != 0).then_some(-completion.result),
        }))
    }

    /// The memory itself, for those who want to see how the driver takes what
    /// [`Self::push`] would not write.
    pub fn memory(&mut self) -> &mut Mapping {
        &mut self.mapping
    }

    fn load(&self, index: usize) -> Result<u32, Error> {
        self.mapping
            .load_acquire(index)
            .on(&self.device, Operation::AccessRings)
    }

    fn store(&mut self, index: usize, value: u32) -> Result<(), Error> {
        self.mapping
            .store_release(index, value)
            .on(&self.device, Operation::AccessRings)
    }
}
