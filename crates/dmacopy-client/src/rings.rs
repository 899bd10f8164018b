// SPDX-License-Identifier: MIT OR Apache-2.0

//! The rings of a session: many descriptors for one system call.

use dmacopy_uapi::ioctl::Submit;
use dmacopy_uapi::ring::{self, index};
use kernel_channels::mmap::Mapping;
use kernel_channels::uring::Ring;

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
    /// Behind the last one that the driver has been told of.
    told: u32,
    /// Behind the last one that the driver has taken, when that was looked at.
    taken: u32,
    /// The next completion to pop.
    popped: u32,
    /// The first completion that the driver does not know to have been popped.
    returned: u32,
    /// Behind the last completion that was there, when that was looked at.
    completed: u32,
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
            told: 0,
            taken: 0,
            popped: 0,
            returned: 0,
            completed: 0,
        };
        // The session may have used them before.
        rings.pushed = rings.load(index::SUBMISSION_TAIL)?;
        rings.told = rings.pushed;
        rings.taken = rings.load(index::SUBMISSION_HEAD)?;
        rings.popped = rings.load(index::COMPLETION_HEAD)?;
        rings.returned = rings.popped;
        rings.completed = rings.popped;
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
    #[inline]
    pub fn push(&mut self, descriptor: &Descriptor) -> Result<bool, Error> {
        if self.pushed.wrapping_sub(self.taken) >= self.entries {
            self.taken = self.load(index::SUBMISSION_HEAD)?;
            if self.pushed.wrapping_sub(self.taken) >= self.entries {
                return Ok(false);
            }
        }
        let place = ring::descriptor_offset(self.pushed, self.entries);
        self.mapping
            .store_words::<4>(place, zerocopy::transmute!(*descriptor))
            .on(&self.device, Operation::AccessRings)?;
        self.pushed = self.pushed.wrapping_add(1);
        Ok(true)
    }

    /// Whether there is nothing in them, and nothing under way.
    pub(crate) fn is_idle(&self) -> Result<bool, Error> {
        let completed = self.load(index::COMPLETION_TAIL)?;
        Ok([self.taken, self.popped, completed] == [self.pushed; 3])
    }

    /// Takes back the last `count` descriptors that were pushed, which the driver has not taken.
    pub(crate) fn withdraw(&mut self, count: u32) -> Result<(), Error> {
        self.pushed = self.pushed.wrapping_sub(count);
        self.publish()
    }

    /// Tells the driver of what was pushed and popped, which [`Self::submit`] does by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the rings are not what the driver said.
    #[inline]
    pub fn publish(&mut self) -> Result<(), Error> {
        if self.told != self.pushed {
            self.store(index::SUBMISSION_TAIL, self.pushed)?;
            self.told = self.pushed;
        }
        if self.returned != self.popped {
            self.store(index::COMPLETION_HEAD, self.popped)?;
            self.returned = self.popped;
        }
        Ok(())
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
        self.publish()?;
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
        self.publish()?;
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
    #[inline]
    pub fn pop(&mut self) -> Result<Option<RingCompletion>, Error> {
        if self.completed == self.popped {
            self.completed = self.load(index::COMPLETION_TAIL)?;
            if self.completed == self.popped {
                return Ok(None);
            }
        }
        let place = ring::completion_offset(self.popped, self.entries);
        let words = self
            .mapping
            .load_words::<2>(place)
            .on(&self.device, Operation::AccessRings)?;
        self.popped = self.popped.wrapping_add(1);
        // The driver need not be told of each one.
        if self.completed == self.popped {
            self.store(index::COMPLETION_HEAD, self.popped)?;
            self.returned = self.popped;
        }
        let completion: ring::Completion = zerocopy::transmute!(words);
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

    #[inline]
    fn load(&self, index: usize) -> Result<u32, Error> {
        self.mapping
            .load_acquire(index)
            .on(&self.device, Operation::AccessRings)
    }

    #[inline]
    fn store(&mut self, index: usize, value: u32) -> Result<(), Error> {
        self.mapping
            .store_release(index, value)
            .on(&self.device, Operation::AccessRings)
    }
}
