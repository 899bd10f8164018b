// SPDX-License-Identifier: MIT OR Apache-2.0

//! The rings of a session, for programs that share them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dmacopy_uapi::ioctl::Info;
use kernel_channels::mmap::dma_buf::DmaBuf;

use crate::error::Context;
use crate::memory::{Kind, Memory};
use crate::shared::{Shared, State};
use crate::{Batch, BufferNumber, Coalescing, Error, Operation, Pool, Region, Session};

/// Takes batches of work, and gives back what was given to them.
///
/// A queue has a session for itself. It can be cloned and shared: all threads and tasks submit to the
/// same rings, and each gets what is its own. The session is closed when there is no queue, pool,
/// region and pending work of it any more.
///
/// Whoever waits for completions takes those of all others, too. It costs one system call to look for
/// them, for any number of them, because a device that has gone takes the memory of the rings with
/// it: who would look there is ended by `SIGBUS`. So a queue asks first. A driver that is unbound
/// just between question and look is not met by this; [`Rings`](crate::Rings) never ask.
#[derive(Clone)]
pub struct Queue {
    pub(crate) shared: Arc<Shared>,
}

impl Session {
    /// Gives the session's rings and buffers to a [`Queue`], which cannot be misused.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when there is something in its rings; [`Error::Device`] as [`Self::rings`].
    pub fn queue(self) -> Result<Queue, Error> {
        let info = self.info()?;
        let rings = self.rings()?;
        if !rings.is_idle()? {
            let device = self.device().to_owned();
            return Err(Error::InUse { device });
        }
        let shared = Shared::new(self, rings, info.max_transfer_bytes);
        let shared = Arc::new(shared);
        Ok(Queue { shared })
    }
}

impl Queue {
    /// Begins a batch.
    pub fn batch(&self) -> Batch {
        Batch::new(self.clone())
    }

    /// The name of its device.
    pub fn device(&self) -> &str {
        self.shared.device()
    }

    /// How much work can be under way at a time.
    pub fn entries(&self) -> usize {
        self.shared.entries
    }

    /// How much is under way now, after a look for completions. What nobody waits for any more is
    /// among it until it is completed.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], [`Error::Foreign`], as whenever it is looked for completions.
    pub fn in_flight(&self) -> Result<usize, Error> {
        self.shared.look_once()?;
        Ok(self.shared.in_flight())
    }

    /// Waits until a batch of `count` finds room, or `timeout` has passed, and says whether it does.
    /// Others may be faster.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] when it never will; [`Error::Transfer`] with `ENODEV` when the device has
    /// gone; else as [`Self::in_flight`].
    pub fn wait_for_room(&self, count: usize, timeout: Option<Duration>) -> Result<bool, Error> {
        self.shared.has_room_one_day(count)?;
        let found = |state: &State| self.shared.room(state, count);
        match self.shared.wait(timeout, found)? {
            Some(found) => found.map(|()| true),
            None => Ok(false),
        }
    }

    /// Waits until nothing is under way, or `timeout` has passed, and says whether that is so.
    ///
    /// # Errors
    ///
    /// As [`Self::in_flight`].
    pub fn wait_until_idle(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let idle = |state: &State| state.is_idle().then_some(());
        Ok(self.shared.wait(timeout, idle)?.is_some())
    }

    /// Makes a cached buffer of `bytes` bytes, in whole pages, all of them zero. Its memory stays
    /// when the device goes.
    ///
    /// # Errors
    ///
    /// As [`Session::create_buffer`] and [`Session::map_buffer`].
    pub fn pool(&self, bytes: usize) -> Result<Pool, Error> {
        let session = self.session();
        let number = session.create_buffer(bytes as u64)?;
        let mapping = session.map_buffer(number, bytes).inspect_err(|_| {
            // It is given up by who cannot have it.
            let _ = session.free_buffer(number);
        })?;
        let link = Arc::clone(&self.shared.link);
        let whole = mapping.into_mapping().into();
        let memory = Memory::new(link, number, Kind::Cached, whole);
        Ok(Pool::new(memory, self.clone()))
    }

    /// The coherent buffer that the session has from the start. Both sides see it as it is, at the
    /// price of slow accesses on some hardware; see [`Device::attributes`](crate::Device::attributes)
    /// for its size.
    ///
    /// Its memory goes with the device: what is known to have gone is an error, but who accesses a
    /// region of it before the queue has noticed is ended by `SIGBUS`.
    ///
    /// # Errors
    ///
    /// As [`Session::buffer`].
    pub fn coherent_pool(&self) -> Result<Pool, Error> {
        let mut first = self.shared.first();
        let memory = match first.upgrade() {
            Some(memory) => memory,
            None => {
                let link = Arc::clone(&self.shared.link);
                let whole = link.session.buffer()?.into_mapping().into();
                let memory = Memory::new(link, BufferNumber::FIRST, Kind::Coherent, whole);
                *first = Arc::downgrade(&memory);
                memory
            }
        };
        Ok(Pool::new(memory, self.clone()))
    }

    /// The memory of a dma-buf as one region, which cannot be split: it is passed from one side to
    /// the other as a whole. What others do to it meanwhile is between them and this program.
    ///
    /// # Errors
    ///
    /// As [`Session::import_buffer`], and [`Error::Device`] when it cannot be mapped.
    pub fn import(&self, dma_buf: &DmaBuf) -> Result<Region, Error> {
        let session = self.session();
        let (number, bytes) = session.import_buffer(dma_buf)?;
        // Too long for this program's addresses is too long for the kernel as well.
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mapping = dma_buf
            .map(0, length)
            .on(self.device(), Operation::MapBuffer);
        let whole = mapping.inspect_err(|_| {
            let _ = session.free_buffer(number);
        })?;
        let link = Arc::clone(&self.shared.link);
        let memory = Memory::new(link, number, Kind::Imported, whole.into());
        Pool::new(memory, self.clone()).region(length)
    }

    /// What the device can do, and what this session has.
    ///
    /// # Errors
    ///
    /// As [`Session::info`].
    pub fn info(&self) -> Result<Info, Error> {
        self.session().info()
    }

    /// Sets when who waits is told of completions, as [`Session::coalesce`].
    ///
    /// # Errors
    ///
    /// As [`Session::coalesce`].
    pub fn coalesce(&self, coalescing: Coalescing) -> Result<Coalescing, Error> {
        self.session().coalesce(coalescing)
    }

    fn session(&self) -> &Session {
        &self.shared.link.session
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("device", &self.device())
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}
