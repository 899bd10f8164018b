// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work that is submitted together.

use std::error;
use std::fmt;

use crate::{Error, Pending, Queue, Region, Work};

/// Work that is submitted together, and done in order.
///
/// ```no_run
/// # fn example(queue: dmacopy_client::Queue, pool: dmacopy_client::Pool)
/// # -> Result<(), dmacopy_client::Error> {
/// let (source, copied, filled) = (pool.region(100)?, pool.region(100)?, pool.region(64)?);
/// let pending = queue.batch().copy(source, copied).fill(filled, 0xff).nop().submit()?;
/// for done in pending {
///     let _regions = done?.ok()?.into_regions();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is done before it is submitted"]
pub struct Batch {
    queue: Queue,
    works: Vec<Work>,
}

impl Batch {
    pub(crate) fn new(queue: Queue) -> Self {
        let works = Vec::new();
        Self { queue, works }
    }

    /// Copies all of `source` to the start of `destination`.
    pub fn copy(self, source: Region, destination: Region) -> Self {
        self.with(Work::Copy {
            source,
            destination,
        })
    }

    /// Sets each byte of `destination`.
    pub fn fill(self, destination: Region, byte: u8) -> Self {
        self.fill_with(destination, [byte; 8])
    }

    /// Fills `destination` with a pattern, which is repeated from the first byte on.
    pub fn fill_with(self, destination: Region, pattern: [u8; 8]) -> Self {
        self.with(Work::Fill {
            destination,
            pattern,
        })
    }

    /// Does nothing, in its turn: when it is done, all before it is.
    pub fn nop(self) -> Self {
        self.with(Work::Nop)
    }

    /// Does this.
    pub fn with(mut self, work: Work) -> Self {
        self.works.push(work);
        self
    }

    /// How much work it is.
    pub fn len(&self) -> usize {
        self.works.len()
    }

    /// Whether it is none.
    pub fn is_empty(&self) -> bool {
        self.works.is_empty()
    }

    /// Where it goes.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The work, for who does not want to submit it any more.
    pub fn into_works(self) -> Vec<Work> {
        self.works
    }

    /// Gives all of it to the device, and does not wait. What the driver has no place for is taken
    /// when something else is done.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the batch as it was, for these reasons: [`Error::Misfit`] when the session
    /// cannot do some of it; [`Error::Full`] when the ring has no room for all of it;
    /// [`Error::Transfer`] or [`Error::Device`] with `ENODEV` when the device has gone;
    /// [`Error::Device`], [`Error::Foreign`].
    pub fn submit(self) -> Result<Pending, Refused> {
        let Self { queue, works } = self;
        let count = works.len();
        match queue.shared.submit(works) {
            Ok(inbox) => Ok(Pending::new(queue, inbox, count)),
            Err((error, works)) => Err(Refused {
                error,
                batch: Self { queue, works },
            }),
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn refused(self, error: Error) -> Refused {
        Refused {
            error: Box::new(error),
            batch: self,
        }
    }
}

/// A batch that was not submitted, nothing of it.
#[derive(Debug)]
pub struct Refused {
    error: Box<Error>,
    batch: Batch,
}

impl Refused {
    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The batch, to submit it once more or to have its regions.
    pub fn into_batch(self) -> Batch {
        self.batch
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl error::Error for Refused {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.error.source()
    }
}

/// For who has no use for the batch any more: its regions are free again.
impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        *refused.error
    }
}
