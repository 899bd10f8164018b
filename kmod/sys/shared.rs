// SPDX-License-Identifier: GPL-2.0

//! Memory that the kernel and a program use as one, each word at a time.

use core::{
    marker::PhantomData,
    mem::{
        align_of,
        size_of, //
    }, //
};

use kernel::{
    dma::Coherent,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    }, //
};
use zerocopy::Immutable;

/// Memory that user space may write to at any time, also while it is read here.
///
/// So nothing in it is ever referenced: values are read once and written once, by words. An offset
/// that is not a multiple of the word's size, or a value that does not lie within, is `EINVAL`.
///
/// # Invariants
///
/// `bytes` bytes from `start` on are allocated for `'a`; `start` is page-aligned.
pub(crate) struct Shared<'a> {
    start: *mut u8,
    bytes: usize,
    _memory: PhantomData<&'a Coherent<[u8]>>,
}

impl<'a> Shared<'a> {
    /// All of `memory`.
    #[inline]
    pub(crate) fn new(memory: &'a Coherent<[u8]>) -> Self {
        // INVARIANT: The allocation lasts as long as it is borrowed. Coherent memory is allocated in
        // whole pages.
        Self {
            start: memory.as_mut_ptr().cast(),
            bytes: memory.size(),
            _memory: PhantomData,
        }
    }

    /// What lies from `offset` on, which is a multiple of the page size.
    #[inline]
    pub(crate) fn behind(&self, offset: usize) -> Result<Self> {
        let bytes = self.bytes.checked_sub(offset).ok_or(EINVAL)?;
        if offset % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        // SAFETY: `offset` is at most the size of the allocation, as has just been checked.
        let start = unsafe { self.start.add(offset) };
        // INVARIANT: So many bytes are left from there on, which is page-aligned as the start is.
        Ok(Self {
            start,
            bytes,
            _memory: PhantomData,
        })
    }

    /// The address of a `T` at `offset`, which lies within and is aligned.
    #[inline]
    fn at<T>(&self, offset: usize) -> Result<*mut T> {
        let end = offset.checked_add(size_of::<T>()).ok_or(EINVAL)?;
        if end > self.bytes || offset % align_of::<T>() != 0 {
            return Err(EINVAL);
        }
        // SAFETY: `offset` is within the allocation, as has just been checked.
        Ok(unsafe { self.start.add(offset) }.cast())
    }

    /// A copy of the value at `offset`, of which each word has been read once.
    pub(crate) fn read<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        Ok(self.ring::<T>(offset, 1)?.read(0))
    }

    /// Writes a value at `offset`.
    pub(crate) fn write<T: IntoBytes + Immutable>(&self, offset: usize, value: &T) -> Result {
        self.ring(offset, 1)?.write(0, value);
        Ok(())
    }

    /// The index at `offset`.
    #[inline]
    pub(crate) fn index(&self, offset: usize) -> Result<Index<'a>> {
        let word = self.at::<u32>(offset)?;
        // SAFETY: `at` has checked that the word is allocated and aligned, and by the type
        // invariants it stays so during `'a`. All accesses of the kernel to a word of the indices are atomic; those
        // of user space are no data races in the kernel's memory model.
        Ok(Index(unsafe { Atomic::from_ptr(word) }))
    }

    /// A ring of `count` values, a power of two, from `offset` on.
    #[inline]
    pub(crate) fn ring<T>(&self, offset: usize, count: u32) -> Result<Ring<'a, T>> {
        let bytes = size_of::<T>().checked_mul(count as usize).ok_or(EINVAL)?;
        let end = offset.checked_add(bytes).ok_or(EINVAL)?;
        if !count.is_power_of_two() || end > self.bytes {
            return Err(EINVAL);
        }
        // INVARIANT: The first is aligned, and the whole ring lies within, as has just been checked.
        Ok(Ring {
            first: self.at(offset)?,
            mask: count - 1,
            _memory: PhantomData,
        })
    }
}

/// A word that one side writes and the other one reads.
pub(crate) struct Index<'a>(&'a Atomic<u32>);

impl Index<'_> {
    /// Its value; what the other side wrote before it wrote that is seen from here on.
    #[inline]
    pub(crate) fn load_acquire(&self) -> u32 {
        self.0.load(Acquire)
    }

    /// Writes it, after everything that was written before.
    #[inline]
    pub(crate) fn store_release(&self, value: u32) {
        self.0.store(value, Release);
    }
}

/// A ring of values that one side writes and the other one reads.
///
/// # Invariants
///
/// `mask + 1` values from `first` on, which is aligned, are allocated for `'a`; `mask + 1` is a power
/// of two.
pub(crate) struct Ring<'a, T> {
    first: *mut T,
    mask: u32,
    _memory: PhantomData<&'a Coherent<[u8]>>,
}

impl<T> Ring<'_, T> {
    /// How many words a value has.
    const WORDS: usize = {
        assert!(size_of::<T>() % size_of::<u64>() == 0);
        assert!(align_of::<T>() == align_of::<u64>());
        size_of::<T>() / size_of::<u64>()
    };

    /// The first word of the value at the place of an index.
    #[inline]
    fn at(&self, index: u32) -> *mut u64 {
        // SAFETY: By the type invariants, this is the place of a value of the ring.
        unsafe { self.first.add((index & self.mask) as usize) }.cast()
    }

    /// A copy of the value at the place of an index, of which each word has been read once.
    #[inline]
    pub(crate) fn read(&self, index: u32) -> T
    where
        T: FromBytes,
    {
        let from = self.at(index);
        let mut value = T::new_zeroed();
        let to = (&raw mut value).cast::<u64>();
        for word in 0..Self::WORDS {
            // SAFETY: The word is one of the value's, by the type invariants; a volatile read of an
            // aligned word is one access. As to user space, see `Shared::index`.
            let read = unsafe { from.add(word).read_volatile() };
            // SAFETY: The value has as many words and is as aligned, and any bytes are a `T`.
            unsafe { to.add(word).write(read) };
        }
        value
    }

    /// Writes a value at the place of an index.
    #[inline]
    pub(crate) fn write(&self, index: u32, value: &T)
    where
        T: IntoBytes + Immutable,
    {
        let to = self.at(index);
        let from = core::ptr::from_ref(value).cast::<u64>();
        for word in 0..Self::WORDS {
            // SAFETY: The value has so many words, all of them initialized, and is as aligned.
            let written = unsafe { from.add(word).read() };
            // SAFETY: As in `read`.
            unsafe { to.add(word).write_volatile(written) };
        }
    }
}
