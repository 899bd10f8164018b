// SPDX-License-Identifier: GPL-2.0

//! The buffers of a session that a program makes and gives up, by their numbers.

use core::{
    mem,
    ops::Range, //
};

use kernel::{
    dma::DataDirection,
    prelude::*, //
};

use crate::{
    device::MAX_BUFFER_BYTES,
    dma::Buffer,
    session::Session,
    sys::{
        dma_buf::DmaBuf,
        streaming::Side, //
    },
    transfer::{
        Request,
        Source, //
    },
    uapi::{
        ioctl::MAX_BUFFERS,
        ring::Work, //
    }, //
};

/// The buffers of a session besides number 0.
///
/// What a device has access to is in here: it is added and given up with this locked, so that
/// [`Self::revoke`] finds all of it.
pub(crate) struct Buffers {
    /// By their numbers, less one.
    numbered: KVec<Option<Buffer>>,
    /// Those without a number any more that a transfer may still use. The device has access to them
    /// until it is done, and no longer than it is bound.
    retired: KVec<Buffer>,
    revoked: bool,
}

impl Buffers {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            numbered: KVec::new(),
            retired: KVec::new(),
            revoked: false,
        }
    }

    /// The buffer with a number that is not 0.
    fn get(&self, number: u8) -> Result<&Buffer> {
        let index = usize::from(number).checked_sub(1).ok_or(EINVAL)?;
        let buffer = self.numbered.get(index).and_then(Option::as_ref);
        buffer.ok_or(EINVAL)
    }

    /// Adds the buffer that `make` makes, and returns its number: the lowest that is free.
    fn add(&mut self, make: impl FnOnce() -> Result<Buffer>) -> Result<u8> {
        if self.revoked {
            return Err(ENODEV);
        }
        self.free_unused();
        let index = match self.numbered.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.numbered.push(None, GFP_KERNEL)?;
                self.numbered.len() - 1
            }
        };
        // Whoever gives buffers up while transfers use them has them for longer.
        let numbered = self.numbered.iter().flatten().count();
        if numbered + self.retired.len() >= MAX_BUFFERS as usize {
            return Err(ENOSPC);
        }
        let number = u8::try_from(index + 1).map_err(|_| ENOSPC)?;
        *self.numbered.get_mut(index).ok_or(EINVAL)? = Some(make()?);
        Ok(number)
    }

    /// Takes the number of a buffer away.
    fn retire(&mut self, number: u8) -> Result {
        self.get(number)?;
        self.retired.reserve(1, GFP_KERNEL)?;
        let index = usize::from(number) - 1;
        if let Some(buffer) = self.numbered.get_mut(index).and_then(Option::take) {
            self.retired.push(buffer, GFP_KERNEL)?;
        }
        self.free_unused();
        Ok(())
    }

    /// Gives up those that have no number, and that no transfer uses any more.
    fn free_unused(&mut self) {
        self.retired.retain(|buffer| {
            let is_unused = buffer.is_last();
            if is_unused {
                buffer.revoke();
            }
            !is_unused
        });
    }

    /// Takes all from the device. No more are added.
    fn revoke(&mut self) {
        self.revoked = true;
        let numbered = mem::take(&mut self.numbered);
        let retired = mem::take(&mut self.retired);
        for buffer in Iterator::chain(numbered.iter().flatten(), retired.iter()) {
            buffer.revoke();
        }
    }
}

/// The buffers that a transfer names, each looked up once. [`None`] stands for number 0.
pub(crate) struct Ends<'a> {
    session: &'a Session,
    source: Option<Buffer>,
    destination: Option<Buffer>,
    is_one_buffer: bool,
}

impl Ends<'_> {
    fn bytes(&self, other: &Option<Buffer>) -> u64 {
        // Of number 0, all but the rings.
        let bytes = other.as_ref().map(Buffer::bytes);
        // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
        bytes.unwrap_or(self.session.buffer_bytes()) as u64
    }

    /// What a transfer can read, in bytes.
    pub(crate) fn source_bytes(&self) -> u64 {
        self.bytes(&self.source)
    }

    /// What a transfer can write, in bytes.
    pub(crate) fn destination_bytes(&self) -> u64 {
        self.bytes(&self.destination)
    }

    /// Passes a range of the destination to a side; `direction` says who writes.
    pub(crate) fn pass(self, range: Range<usize>, direction: DataDirection, to: Side) -> Result {
        match self.destination {
            // Number 0 is coherent: both sides see it as it is.
            None => Ok(()),
            Some(buffer) => buffer.pass(range, direction, to),
        }
    }

    /// What the engine is asked for, if it is anything. `work` has been checked.
    pub(crate) fn request(self, work: Work) -> Result<Option<Request>> {
        let or_first =
            |other: Option<Buffer>| other.unwrap_or_else(|| self.session.buffer().clone());
        let (source, destination, length) = match work {
            Work::Nop => return Ok(None),
            Work::Copy {
                source,
                destination,
                length,
            } => {
                let offset = usize::try_from(source)?;
                let source = if self.is_one_buffer {
                    Source::Offset(offset)
                } else {
                    Source::Buffer(or_first(self.source), offset)
                };
                (source, destination, length)
            }
            Work::Fill {
                pattern,
                destination,
                length,
            } => (Source::Pattern(pattern), destination, length),
        };
        Ok(Some(Request {
            session: self.session.number(),
            buffer: or_first(self.destination),
            source,
            destination: usize::try_from(destination)?,
            length: usize::try_from(length)?,
        }))
    }
}

impl Session {
    /// The buffer with that number, [`None`] for 0; `EINVAL` if there is none.
    fn other(&self, number: u8) -> Result<Option<Buffer>> {
        if number == 0 {
            return Ok(None);
        }
        self.buffers().lock().get(number).cloned().map(Some)
    }

    /// The buffer with that number; `EINVAL` if there is none.
    pub(crate) fn numbered(&self, number: u8) -> Result<Buffer> {
        let other = self.other(number)?;
        Ok(other.unwrap_or_else(|| self.buffer().clone()))
    }

    /// The buffers of a transfer; `EINVAL` if one is none.
    pub(crate) fn ends(&self, source: u8, destination: u8) -> Result<Ends<'_>> {
        Ok(Ends {
            session: self,
            source: self.other(source)?,
            destination: self.other(destination)?,
            is_one_buffer: source == destination,
        })
    }

    /// Makes a cached buffer and returns its number.
    pub(crate) fn create_buffer(&self, bytes: u64) -> Result<u8> {
        let bytes = usize::try_from(bytes).map_err(|_| EINVAL)?;
        if bytes > MAX_BUFFER_BYTES {
            return Err(EINVAL);
        }
        let make = || {
            let charge = self.account().charge(bytes)?;
            Buffer::cached(self.device().binding(), bytes, charge)
        };
        self.buffers().lock().add(make)
    }

    /// Makes the memory of a dma-buf a buffer and returns its number and its size.
    pub(crate) fn import_buffer(&self, fd: i32) -> Result<(u8, u64)> {
        let dma_buf = DmaBuf::open(fd)?;
        let bytes = dma_buf.bytes();
        let make = || {
            let charge = self.account().charge(bytes)?;
            Buffer::imported(self.device().binding(), dma_buf, charge)
        };
        let number = self.buffers().lock().add(make)?;
        // The device has it, and would lose it, from now on. With nothing locked: whoever else has
        // the dma-buf can make us wait.
        let settled = self.numbered(number).and_then(|buffer| buffer.settle());
        settled.inspect_err(|_| {
            // It is not there any more only when another thread has guessed its number.
            let _ = self.free_buffer(number);
        })?;
        // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
        Ok((number, bytes as u64))
    }

    /// Gives a buffer up; transfers that use it are still completed.
    pub(crate) fn free_buffer(&self, number: u8) -> Result {
        self.buffers().lock().retire(number)
    }

    /// Takes all buffers from the device, which must not be using them any more. No more are added.
    pub(crate) fn revoke_buffers(&self) {
        self.buffers().lock().revoke();
    }
}
