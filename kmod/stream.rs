// SPDX-License-Identifier: GPL-2.0

//! The byte stream of a session: `write(2)`, through the engine, to `read(2)`.
//!
//! The stream area has two halves of equal size, each used as a ring. A write fills a piece of the
//! first half and submits a transfer that copies it to the same place in the second half, where a
//! read finds it when the transfer has completed. So what the engine does not move is not read.
//!
//! User memory is accessed with the stream unlocked. Meanwhile the flags `writing` and `reading`
//! keep other threads from the piece in use.

use core::cmp::min;

use kernel::{
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

use crate::{
    lane::Place,
    session::Session,
    sys::poll::PollEvents,
    transfer::{
        Request,
        Source,
        Transfer, //
    }, //
};

/// How many bytes can be on their way from a write to a read.
const CAPACITY: usize = 64 << 10;
/// The size of the memory that the stream goes through, in bytes.
pub(crate) const AREA_BYTES: usize = 2 * CAPACITY;
/// The most that one write takes or one read gives, in bytes.
const CHUNK_BYTES: usize = 16 << 10;
/// How many writes can be on their way.
const MAX_SEGMENTS: usize = 64;

/// What one write has put into the stream.
///
/// # Invariants
///
/// `consumed` is at most the length of the transfer.
struct Segment {
    transfer: Arc<Transfer>,
    /// Bytes that have been read already.
    consumed: usize,
}

impl Segment {
    /// Bytes that have not been read yet.
    fn remaining(&self) -> usize {
        // OVERFLOW: No, by the type invariants.
        self.transfer.request().length - self.consumed
    }
}

/// The state of a stream.
///
/// # Invariants
///
/// `used` is the sum of what remains of the `segments`, and at most [`CAPACITY`]. `head` is less
/// than [`CAPACITY`]; the segments lie one after the other in the ring, from `head` on.
pub(crate) struct Stream {
    segments: KVec<Segment>,
    head: usize,
    used: usize,
    writing: bool,
    reading: bool,
    /// How many threads sleep until there is something to read.
    readers: usize,
    /// A failure that a writer has taken, and that no reader knows of.
    lost: Option<Error>,
}

/// A piece of the ring.
struct Piece {
    offset: usize,
    length: usize,
}

impl Stream {
    /// Creates an empty stream.
    pub(crate) fn new() -> Result<Self> {
        // INVARIANT: No segments, nothing used.
        Ok(Self {
            segments: KVec::with_capacity(MAX_SEGMENTS, GFP_KERNEL)?,
            head: 0,
            used: 0,
            writing: false,
            reading: false,
            readers: 0,
            lost: None,
        })
    }

    /// The free piece that the next write may fill.
    fn writable(&self) -> Option<Piece> {
        if self.writing || self.segments.len() == MAX_SEGMENTS || self.used == CAPACITY {
            return None;
        }
        let offset = (self.head + self.used) % CAPACITY;
        Some(Piece {
            offset,
            length: min(min(CAPACITY - self.used, CAPACITY - offset), CHUNK_BYTES),
        })
    }

    /// The piece that completed transfers have filled and nobody has read yet.
    fn readable(&self) -> Option<Piece> {
        if self.reading {
            return None;
        }
        let filled: usize = self
            .segments
            .iter()
            .take_while(|segment| matches!(segment.transfer.outcome(), Some(Ok(_))))
            .map(Segment::remaining)
            .sum();
        (filled > 0).then(|| Piece {
            offset: self.head,
            length: min(min(filled, CAPACITY - self.head), CHUNK_BYTES),
        })
    }

    /// How the first transfer failed, if it did and nobody reads.
    fn failure(&self) -> Option<Error> {
        if self.reading {
            return None;
        }
        self.segments.first()?.transfer.outcome()?.err()
    }

    /// Whether a read would not have to wait for something that is on its way.
    pub(crate) fn has_input(&self) -> bool {
        self.readable().is_some() || self.has_failure()
    }

    /// Whether that is a failure.
    pub(crate) fn has_failure(&self) -> bool {
        self.failure().is_some() || self.lost.is_some()
    }

    /// Takes a failure off the front, with all that failed right behind it.
    fn take_failure(&mut self) -> Option<Error> {
        let failure = self.failure()?;
        while self.failure().is_some() {
            let lost = self.segments.first().map_or(0, Segment::remaining);
            self.consume(lost);
        }
        Some(failure)
    }

    /// Whether there is no room because of a failure, and no reader to take it.
    fn is_blocked_by_failure(&self) -> bool {
        !self.writing && self.writable().is_none() && self.readers == 0 && self.failure().is_some()
    }

    /// Whether a read would find nothing, now and after what is on its way.
    fn is_finished(&self) -> bool {
        self.segments.is_empty() && !self.writing && !self.reading
    }

    /// How many writes are on their way, and how many bytes.
    pub(crate) fn on_their_way(&self) -> (usize, usize) {
        (self.segments.len(), self.used)
    }

    /// Takes `bytes` bytes off the front, at most what is there.
    fn consume(&mut self, bytes: usize) {
        let mut left = min(bytes, self.used);
        // INVARIANT: What is taken off the segments is taken off `used`, and `head` follows.
        self.used -= left;
        self.head = (self.head + left) % CAPACITY;
        while let Some(segment) = self.segments.first_mut() {
            let taken = min(left, segment.remaining());
            // INVARIANT: No more is taken than remains.
            segment.consumed += taken;
            left -= taken;
            if segment.remaining() > 0 {
                break;
            }
            let _ = self.segments.remove(0);
        }
    }
}

impl Session {
    /// `write(2)`: queues a transfer and returns how many bytes it took.
    pub(crate) fn write(
        self: ArcBorrow<'_, Self>,
        nonblocking: bool,
        data: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        if data.is_empty() {
            return self.nothing();
        }
        let (piece, place) = self.claim_writable(nonblocking)?;
        let result = self.fill(&piece, data);

        let mut stream = self.stream().lock();
        stream.writing = false;
        let result = result.and_then(|length| {
            let request = Request {
                session: self.number(),
                buffer: self.stream_area().clone(),
                source: Source::Offset(piece.offset),
                destination: CAPACITY + piece.offset,
                length,
            };
            // With the stream locked, so that the segments are in the order of submission.
            let transfer = self.submit_transfer(place, request)?;
            // INVARIANT: Nothing is consumed yet.
            let segment = Segment {
                transfer,
                consumed: 0,
            };
            // INVARIANT: The piece begins where the last segment ends and was free. There is room
            // for the segment, since `claim_writable` and nobody has pushed one meanwhile.
            stream.segments.push(segment, GFP_KERNEL)?;
            stream.used += length;
            Ok(length)
        });
        drop(stream);
        self.changed().notify_all();
        result
    }

    /// What reading or writing no bytes returns.
    fn nothing(&self) -> Result<usize> {
        if self.device().is_gone() {
            return Err(ENODEV);
        }
        Ok(0)
    }

    fn claim_writable(&self, nonblocking: bool) -> Result<(Piece, Place)> {
        let _sleeper = self.notifier().sleeper();
        let mut stream = self.stream().lock();
        loop {
            if self.device().is_gone() {
                return Err(ENODEV);
            }
            if let Some(piece) = stream.writable() {
                if let Ok(place) = self.admit() {
                    stream.writing = true;
                    return Ok((piece, place));
                }
            }
            if stream.is_blocked_by_failure() {
                if let Some(failure) = stream.take_failure() {
                    stream.lost = Some(failure);
                    drop(stream);
                    self.changed().notify_all();
                    return Err(failure);
                }
            }
            if nonblocking {
                return Err(EAGAIN);
            }
            if self.changed().wait_interruptible(&mut stream) {
                return Err(ERESTARTSYS);
            }
        }
    }

    /// Copies user data into a piece that has been claimed.
    fn fill(&self, piece: &Piece, data: &mut IovIterSource<'_>) -> Result<usize> {
        let mut bytes = KVVec::from_elem(0u8, min(piece.length, data.len()), GFP_KERNEL)?;
        let length = data.copy_from_iter(&mut bytes);
        if length == 0 {
            return Err(EFAULT);
        }
        bytes.truncate(length);
        self.stream_area().write(piece.offset, &bytes)?;
        Ok(length)
    }

    /// `read(2)`: returns what has come through the engine, and 0 at the end of the stream.
    pub(crate) fn read(&self, nonblocking: bool, data: &mut IovIterDest<'_>) -> Result<usize> {
        if data.is_empty() {
            return self.nothing();
        }
        let Some(piece) = self.claim_readable(nonblocking)? else {
            return Ok(0);
        };
        let result = self.drain(&piece, data);

        let mut stream = self.stream().lock();
        stream.reading = false;
        if let Ok(length) = result {
            stream.consume(length);
        }
        drop(stream);
        self.changed().notify_all();
        result
    }

    fn claim_readable(&self, nonblocking: bool) -> Result<Option<Piece>> {
        let _sleeper = self.notifier().sleeper();
        let mut stream = self.stream().lock();
        loop {
            if self.device().is_gone() {
                return Err(ENODEV);
            }
            // What a writer has taken away was before all that is there now.
            if let Some(failure) = stream.lost.take() {
                return Err(failure);
            }
            if let Some(piece) = stream.readable() {
                stream.reading = true;
                return Ok(Some(piece));
            }
            if let Some(failure) = stream.take_failure() {
                drop(stream);
                // There is room again.
                self.changed().notify_all();
                return Err(failure);
            }
            if stream.is_finished() {
                return Ok(None);
            }
            if nonblocking {
                return Err(EAGAIN);
            }
            stream.readers += 1;
            let interrupted = self.changed().wait_interruptible(&mut stream);
            stream.readers -= 1;
            if interrupted {
                drop(stream);
                // A writer may have left a failure to this thread.
                self.changed().notify_all();
                return Err(ERESTARTSYS);
            }
        }
    }

    /// Takes back all transfers that still wait for the engine, and waits for the one that it
    /// moves.
    pub(crate) fn end_stream(&self) {
        let _sleeper = self.notifier().sleeper();
        let mut stream = self.stream().lock();
        for segment in stream.segments.iter() {
            if segment.transfer.outcome().is_none() {
                self.device()
                    .queue()
                    .cancel(self.lane(), &segment.transfer, ENODEV);
            }
        }
        while stream
            .segments
            .iter()
            .any(|segment| segment.transfer.outcome().is_none())
        {
            self.changed().wait(&mut stream);
        }
    }

    /// Copies a piece that has been claimed to user memory.
    fn drain(&self, piece: &Piece, data: &mut IovIterDest<'_>) -> Result<usize> {
        let mut bytes = KVVec::from_elem(0u8, min(piece.length, data.len()), GFP_KERNEL)?;
        self.stream_area()
            .read(CAPACITY + piece.offset, &mut bytes)?;
        match data.copy_to_iter(&bytes) {
            0 => Err(EFAULT),
            length => Ok(length),
        }
    }

    /// What a thread can do without blocking.
    pub(crate) fn readiness(&self) -> PollEvents {
        if self.device().is_gone() {
            return PollEvents::HANG_UP | PollEvents::ERROR;
        }
        let stream = self.stream().lock();
        let mut events = PollEvents::NONE;
        if stream.has_input() || self.has_unread_completions() {
            events = events | PollEvents::READABLE;
        }
        if (stream.writable().is_some() && self.has_place()) || stream.is_blocked_by_failure() {
            events = events | PollEvents::WRITABLE;
        }
        events
    }
}
