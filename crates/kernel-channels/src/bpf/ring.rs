// SPDX-License-Identifier: MIT OR Apache-2.0

//! Records that programs write and this reads, in memory that both have.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};
use nix::unistd::{SysconfVar, sysconf};

use super::system_call;
use crate::{Error, Interest, Operation, poll};

const MAP_TYPE_RINGBUF: u32 = 27;
/// What precedes each record: its length, with two flags, and a number of the kernel's own.
const HEADER_BYTES: usize = 8;
/// Flag of a record that is still being written.
const BUSY: u32 = 1 << 31;
/// Flag of a record that its writer has thrown away.
const DISCARDED: u32 = 1 << 30;

/// Records of any length, in the order in which programs have reserved them.
/// `BPF_MAP_TYPE_RINGBUF`
///
/// When it is full, programs cannot write, and see that.
#[derive(Debug)]
pub struct RingBuffer {
    map: OwnedFd,
    /// One page: how far this has read.
    consumer: MmapRaw,
    /// One page: how far programs have written. Then the records, twice in a row, so that each is
    /// in one piece.
    producer: MmapRaw,
    page: usize,
    bytes: usize,
}

impl RingBuffer {
    /// Creates a buffer of so many bytes: a power of two, and at least a page.
    ///
    /// # Errors
    ///
    /// [`Error::Bpf`] with what `bpf(2)` returned: `EPERM` without `CAP_BPF`, `EINVAL` for another
    /// size; or what `mmap(2)` returned.
    pub fn new(name: &str, bytes: u32) -> Result<Self, Error> {
        let failed = |operation, source| Error::bpf(operation, "map", name, source);
        let map = system_call::create_map(MAP_TYPE_RINGBUF, 0, 0, bytes, name)
            .map_err(|source| failed(Operation::Create, source))?;
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        let page = page.and_then(|page| usize::try_from(page).ok());
        let page = page.unwrap_or(4096);
        let bytes = bytes as usize;
        let consumer = MmapOptions::new().len(page).map_raw(map.as_raw_fd());
        let mut options = MmapOptions::new();
        options.offset(page as u64).len(page + 2 * bytes);
        let producer = options.map_raw_read_only(map.as_raw_fd());
        Ok(Self {
            consumer: consumer.map_err(|source| failed(Operation::Map, source))?,
            producer: producer.map_err(|source| failed(Operation::Map, source))?,
            map,
            page,
            bytes,
        })
    }

    /// Waits for the next record, and takes it out; `None` when the time ran out.
    ///
    /// # Errors
    ///
    /// [`Error::Descriptor`] when the wait fails.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Vec<u8>>, Error> {
        // A timeout too far away for the clock is as good as none.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(record) = self.take() {
                return Ok(Some(record));
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if poll(&self.map, Interest::READABLE, left)?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Takes the first record out that has not been thrown away.
    fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            // SAFETY: the position is at the start of the page, so it is aligned, and the mapping
            // lives as long as `self`. Both sides access it atomically.
            let read = unsafe { AtomicU64::from_ptr(self.consumer.as_mut_ptr().cast()) };
            // SAFETY: as above. Only loads are made, since the page is mapped for reading.
            let written = unsafe { &*self.producer.as_ptr().cast::<AtomicU64>() };
            let from = read.load(Ordering::Relaxed);
            // The records up to there are visible after this.
            if from == written.load(Ordering::Acquire) {
                return None;
            }
            let start = self.page + usize::try_from(from).ok()? % self.bytes;
            let header = self.producer.as_ptr().wrapping_add(start);
            // SAFETY: headers are aligned to eight bytes, and this one lies within the first of the
            // two images of the records. It is written atomically.
            let header = unsafe { &*header.cast::<AtomicU32>() };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return None;
            }
            let length = (header & !(BUSY | DISCARDED)) as usize;
            let record = (header & DISCARDED == 0).then(|| self.copy(start, length));
            let next = from + (HEADER_BYTES + length).next_multiple_of(8) as u64;
            // The program may use the place again only when it has been copied.
            read.store(next, Ordering::Release);
            if record.is_some() {
                return record;
            }
        }
    }

    /// A copy of the record whose header is at `start`.
    fn copy(&self, start: usize, length: usize) -> Vec<u8> {
        let length = length.min(self.bytes - HEADER_BYTES);
        let first = self.producer.as_ptr().wrapping_add(start + HEADER_BYTES);
        // SAFETY: a record is no longer than the buffer, and it begins in the first image of it, so
        // all of it is mapped. Nobody writes to it: its writer has finished, which the load of the
        // header has made visible, and the place is not used again before `read` is moved on.
        unsafe { std::slice::from_raw_parts(first, length) }.to_vec()
    }
}

impl AsFd for RingBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use memmap2::MmapMut;

    use super::*;

    const PAGE: usize = 4096;
    const BYTES: usize = 4096;

    /// A buffer that a program seems to have written records to, each with its flags.
    fn holding(records: &[(&[u8], u32)]) -> RingBuffer {
        let mut producer = MmapMut::map_anon(PAGE + 2 * BYTES).unwrap();
        let mut at = 0;
        for (record, flags) in records {
            let header = u32::try_from(record.len()).unwrap() | flags;
            let place = &mut producer[PAGE + at..];
            place[..4].copy_from_slice(&header.to_ne_bytes());
            place[HEADER_BYTES..][..record.len()].copy_from_slice(record);
            at += (HEADER_BYTES + record.len()).next_multiple_of(8);
        }
        producer[..8].copy_from_slice(&(at as u64).to_ne_bytes());
        RingBuffer {
            map: File::open("/dev/null").unwrap().into(),
            consumer: MmapMut::map_anon(PAGE).unwrap().into(),
            producer: producer.into(),
            page: PAGE,
            bytes: BYTES,
        }
    }

    #[test]
    fn the_longest_timeout_is_none() {
        let mut ring = holding(&[(b"first", 0)]);
        assert_eq!(ring.next(Duration::MAX).unwrap().unwrap(), b"first");
    }

    #[test]
    fn what_a_program_has_thrown_away_is_passed_over() {
        let mut ring = holding(&[
            (b"away", DISCARDED),
            (b"first", 0),
            (b"away too", DISCARDED),
            (b"second", 0),
            (b"at last", DISCARDED),
        ]);
        assert_eq!(ring.take().unwrap(), b"first");
        assert_eq!(ring.take().unwrap(), b"second");
        assert_eq!(ring.take(), None);
    }

    #[test]
    fn what_a_program_still_writes_to_is_waited_for() {
        let mut ring = holding(&[(b"first", 0), (b"not yet", BUSY), (b"third", 0)]);
        assert_eq!(ring.take().unwrap(), b"first");
        // It is the next one, so those behind it wait, too.
        assert_eq!(ring.take(), None);
        assert_eq!(ring.take(), None);
    }
}
