// SPDX-License-Identifier: MIT OR Apache-2.0

//! A buffer of a session, as those that have parts of it share it.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel_channels::mmap::Part;

use crate::free_list::FreeList;
use crate::{BufferNumber, Direction, Error, Operation, Session};

/// `ENODEV`, the same on all architectures.
pub(crate) const GONE: i32 = 19;

/// A session, and whether its device is known to have gone. It is open as long as there is anything
/// of it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) session: Session,
    is_gone: AtomicBool,
}

impl Link {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            is_gone: AtomicBool::new(false),
        }
    }

    /// Remembers that the device has gone, which it has for ever.
    pub(crate) fn set_gone(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// The error of what a device that has gone cannot do any more.
    pub(crate) fn gone(&self, operation: Operation) -> Error {
        Error::Transfer {
            device: self.session.device().to_owned(),
            operation,
            source: io::Error::from_raw_os_error(GONE),
        }
    }
}

/// Whose the memory of a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The device's: it goes with it.
    Coherent,
    /// The kernel's: it stays as long as it is mapped.
    Cached,
    /// Somebody else's. It is passed from one side to the other as a whole.
    Imported,
}

/// A buffer, and which parts of it nobody has. It is given up when nobody has any part, nor can get
/// one.
pub(crate) struct Memory {
    pub(crate) link: Arc<Link>,
    pub(crate) number: BufferNumber,
    pub(crate) kind: Kind,
    pub(crate) bytes: usize,
    free: Mutex<FreeList>,
}

impl Memory {
    pub(crate) fn new(link: Arc<Link>, number: BufferNumber, kind: Kind, whole: Part) -> Arc<Self> {
        Arc::new(Self {
            link,
            number,
            kind,
            bytes: whole.len(),
            free: Mutex::new(FreeList::new(whole)),
        })
    }

    pub(crate) fn free(&self) -> MutexGuard<'_, FreeList> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a range to the device, before transfers access it.
    pub(crate) fn pass_to_device(
        &self,
        range: Range<u64>,
        direction: Direction,
    ) -> Result<(), Error> {
        match self.kind {
            // Both sides see it as it is.
            Kind::Coherent => Ok(()),
            _ => self
                .link
                .session
                .sync_for_device(self.number, range, direction),
        }
    }

    /// Passes a range that transfers have written to the program.
    pub(crate) fn pass_to_program(&self, range: Range<u64>) -> Result<(), Error> {
        match self.kind {
            Kind::Coherent => Ok(()),
            _ => self
                .link
                .session
                .sync_for_cpu(self.number, range, Direction::FromDevice),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.kind != Kind::Coherent {
            // Nobody is left to tell, and a device that has gone has given it up already.
            let _ = self.link.session.free_buffer(self.number);
        }
    }
}
