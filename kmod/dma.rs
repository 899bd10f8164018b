// SPDX-License-Identifier: GPL-2.0

//! Memory that an engine and user space share.

use core::ops::Range;

use kernel::{
    dma::DataDirection,
    mm::virt::VmaNew,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    }, //
};

use crate::{
    limits::Charge,
    sys::{
        binding::Binding,
        cached::CachedMemory,
        compat::{
            io_project,
            Io, //
        },
        dma::RevocableMemory,
        dma_buf::{
            self,
            DmaBuf,
            ImportedMemory, //
        },
        miscdevice::Closed,
        shared::Shared,
        streaming::Side,
        window::Window, //
    },
    transfer::{
        Request,
        Source, //
    }, //
};

/// A part of a buffer that is contiguous for the device.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// Where the device finds it.
    pub(crate) address: u64,
    /// How many bytes, at least one.
    pub(crate) length: usize,
}

/// A reference to memory that transfers move in.
///
/// After [`Self::revoke`], everything that needs the device's access to it fails with `ENODEV`.
///
/// User space may write to the memory at any time. So its contents are only ever copied, never
/// referenced, and no decision is based on them.
#[derive(Clone)]
pub(crate) enum Buffer {
    /// Zeroed, coherent, allocated on first use, and gone when it is revoked.
    Coherent(Arc<RevocableMemory>),
    /// Of a program's own, by a number.
    Numbered(Numbered),
}

/// Memory that a program has given a number.
enum Memory {
    /// Zeroed and cached.
    Cached(Arc<CachedMemory>),
    /// Somebody else's.
    Imported(Arc<ImportedMemory>),
}

/// A reference that is counted, to see whether a transfer has one.
pub(crate) struct Numbered(Arc<Counted>);

struct Counted {
    memory: Memory,
    references: Atomic<usize>,
}

impl Numbered {
    fn new(memory: Memory) -> Result<Self> {
        let references = Atomic::new(1);
        Ok(Self(Arc::new(Counted { memory, references }, GFP_KERNEL)?))
    }

    fn memory(&self) -> &Memory {
        &self.0.memory
    }
}

impl Clone for Numbered {
    fn clone(&self) -> Self {
        self.0.references.add(1, Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        // What was done with the memory was before this; see `Buffer::is_last`.
        self.0.references.fetch_sub(1, Release);
    }
}

impl Buffer {
    /// A coherent buffer of `bytes` bytes.
    pub(crate) fn new(binding: &Arc<Binding>, bytes: usize) -> Result<Self> {
        let memory = RevocableMemory::new(binding.clone(), bytes)?;
        Ok(Self::Coherent(memory))
    }

    /// A cached buffer of `bytes` bytes, in whole pages. Its memory keeps `charge`, whoever has it.
    pub(crate) fn cached(binding: &Arc<Binding>, bytes: usize, charge: Charge) -> Result<Self> {
        let memory = Memory::Cached(CachedMemory::new(binding, bytes, charge)?);
        Ok(Self::Numbered(Numbered::new(memory)?))
    }

    /// The memory of a dma-buf, which is charged for as long as the device has it.
    pub(crate) fn imported(
        binding: &Arc<Binding>,
        dma_buf: DmaBuf,
        charge: Charge,
    ) -> Result<Self> {
        let memory = Memory::Imported(ImportedMemory::new(binding, dma_buf, charge)?);
        Ok(Self::Numbered(Numbered::new(memory)?))
    }

    /// What a new buffer still needs, with no lock held: it may take long.
    pub(crate) fn settle(&self) -> Result {
        match self {
            Self::Numbered(numbered) => match numbered.memory() {
                Memory::Imported(memory) => memory.settle(),
                Memory::Cached(_) => Ok(()),
            },
            Self::Coherent(_) => Ok(()),
        }
    }

    /// The coherent memory, if it is that.
    fn coherent(&self) -> Result<&Arc<RevocableMemory>> {
        match self {
            Self::Coherent(memory) => Ok(memory),
            Self::Numbered(_) => Err(EINVAL),
        }
    }

    /// The size of the buffer, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Coherent(memory) => memory.bytes(),
            Self::Numbered(numbered) => match numbered.memory() {
                Memory::Cached(memory) => memory.bytes(),
                Memory::Imported(memory) => memory.bytes(),
            },
        }
    }

    /// Whether this is the only reference, so that no transfer has one, and none will.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Coherent(_) => false,
            Self::Numbered(numbered) => numbered.0.references.load(Acquire) == 1,
        }
    }

    /// Makes sure that the buffer has its memory.
    pub(crate) fn allocate(&self) -> Result {
        match self {
            Self::Coherent(memory) => memory.allocate(),
            Self::Numbered(_) => Ok(()),
        }
    }

    /// Copies from the buffer, which is coherent, from `offset` on.
    pub(crate) fn read(&self, offset: usize, data: &mut [u8]) -> Result {
        let end = offset.checked_add(data.len()).ok_or(EINVAL)?;
        self.coherent()?.access(|memory| {
            io_project!(memory, [try: offset..end]).copy_to_slice(data);
            Ok(())
        })
    }

    /// Copies to the buffer, which is coherent, from `offset` on.
    pub(crate) fn write(&self, offset: usize, data: &[u8]) -> Result {
        let end = offset.checked_add(data.len()).ok_or(EINVAL)?;
        self.coherent()?.access(|memory| {
            io_project!(memory, [try: offset..end]).copy_from_slice(data);
            Ok(())
        })
    }

    /// What is contiguous for the device from `offset` on.
    ///
    /// The addresses are valid until the buffer is revoked or freed. So an engine may use them for a
    /// transfer that it has taken and not completed, and no longer.
    pub(crate) fn segment(&self, offset: usize) -> Result<Segment> {
        let (address, length) = match self {
            Self::Coherent(memory) => memory.segment(offset),
            Self::Numbered(numbered) => match numbered.memory() {
                Memory::Cached(memory) => memory.segment(offset),
                Memory::Imported(memory) => memory.segment(offset),
            },
        }?;
        Ok(Segment { address, length })
    }

    /// Calls `f` with the memory, for the processor to access it in the engine's place: what the
    /// device has written is seen, and so will it see what `f` writes. `f` reads nothing but `read`
    /// and writes nothing but `written`. What is in neither stays with whoever has it, but of an
    /// import, which is passed as a whole.
    fn access<R>(
        &self,
        read: Option<Range<usize>>,
        written: Option<Range<usize>>,
        f: impl FnOnce(&Window<'_>) -> Result<R>,
    ) -> Result<R> {
        let numbered = match self {
            Self::Coherent(memory) => return memory.access(|memory| f(&Window::of(memory)?)),
            Self::Numbered(numbered) => numbered,
        };
        match numbered.memory() {
            Memory::Cached(memory) => {
                // Of what is written, too: the first and the last line of the cache hold more.
                for range in Iterator::chain(read.into_iter(), written.clone()) {
                    memory.pass(range, DataDirection::FromDevice, Side::Cpu)?;
                }
                let value = f(&memory.window())?;
                if let Some(range) = written {
                    memory.pass(range, DataDirection::ToDevice, Side::Device)?;
                }
                Ok(value)
            }
            // Likewise: `ToDevice` alone would leave stale lines around what is written.
            Memory::Imported(memory) if written.is_some() => {
                memory.access(DataDirection::Bidirectional, f)
            }
            Memory::Imported(memory) => memory.access(DataDirection::FromDevice, f),
        }
    }

    /// Passes a range to a side; `direction` says who writes.
    pub(crate) fn pass(&self, range: Range<usize>, direction: DataDirection, to: Side) -> Result {
        match self {
            // Both sides see it as it is.
            Self::Coherent(_) => Ok(()),
            Self::Numbered(numbered) => match numbered.memory() {
                Memory::Cached(memory) => memory.pass(range, direction, to),
                Memory::Imported(memory) => memory.pass(direction, to),
            },
        }
    }

    /// A dma-buf of the memory; `EINVAL` if that is the device's own.
    pub(crate) fn export(&self) -> Result<DmaBuf> {
        match self {
            Self::Coherent(_) => Err(EINVAL),
            Self::Numbered(numbered) => match numbered.memory() {
                Memory::Cached(memory) => dma_buf::export(memory.clone()),
                Memory::Imported(memory) => memory.dma_buf(),
            },
        }
    }

    /// Calls `f` with the buffer, which is coherent, as memory that user space changes at any time.
    /// It cannot be revoked meanwhile; `f` must not access user memory by its addresses.
    pub(crate) fn shared<R>(&self, f: impl FnOnce(&Shared<'_>) -> Result<R>) -> Result<R> {
        self.coherent()?.access(|memory| f(&Shared::new(memory)))
    }

    /// Maps the buffer into user space: a coherent one from the area's own offset on, until it is
    /// revoked; a cached one from `offset` on, for as long as user space likes.
    pub(crate) fn map(&self, area: &VmaNew, offset: usize) -> Result {
        match self {
            Self::Coherent(memory) => memory.map(area),
            Self::Numbered(numbered) => match numbered.memory() {
                Memory::Cached(memory) => memory.map(area, offset / PAGE_SIZE),
                // The dma-buf does that.
                Memory::Imported(_) => Err(EINVAL),
            },
        }
    }

    /// Takes the memory from the device. The engine must not be using it; user space that has mapped
    /// coherent memory gets a `SIGBUS`.
    pub(crate) fn revoke(&self) {
        match self {
            Self::Coherent(memory) => memory.revoke(),
            Self::Numbered(numbered) => match numbered.memory() {
                Memory::Cached(memory) => memory.revoke(),
                Memory::Imported(memory) => memory.revoke(),
            },
        }
    }

    /// As [`Self::revoke`], for when the file of the session has been closed.
    pub(crate) fn free(&self, file: &Closed<'_>) {
        match self {
            Self::Coherent(memory) => memory.free(file),
            Self::Numbered(_) => self.revoke(),
        }
    }
}

impl Request {
    /// Makes sure that its buffers have their memory.
    pub(crate) fn allocate(&self) -> Result {
        if let Source::Buffer(ref buffer, _) = self.source {
            buffer.allocate()?;
        }
        self.buffer.allocate()
    }

    /// Moves `length` bytes from the `done`th on by the processor, in the engine's place.
    ///
    /// At most the lock of one coherent buffer is held meanwhile.
    pub(crate) fn move_by_processor(&self, done: usize, length: usize) -> Result {
        let end = done.checked_add(length).filter(|&end| end <= self.length);
        end.ok_or(EINVAL)?;
        let range = |start: usize| -> Result<Range<usize>> {
            let start = start.checked_add(done).ok_or(EINVAL)?;
            Ok(start..start.checked_add(length).ok_or(EINVAL)?)
        };
        let to = range(self.destination)?;
        match self.source {
            Source::Pattern(mut pattern) => {
                pattern.rotate_left(done % 8);
                let start = to.start;
                self.buffer
                    .access(None, Some(to), |memory| memory.fill(start, length, pattern))
            }
            Source::Offset(offset) => {
                let (from, start) = (range(offset)?, to.start);
                let place = from.start;
                // One access to both: the memory is the same.
                self.buffer.access(Some(from), Some(to), |memory| {
                    memory.copy(place, memory, start, length)
                })
            }
            Source::Buffer(ref buffer, offset) => {
                let (from, start) = (range(offset)?, to.start);
                let place = from.start;
                buffer.access(Some(from), None, |source| {
                    self.buffer.access(None, Some(to), |destination| {
                        source.copy(place, destination, start, length)
                    })
                })
            }
        }
    }
}
