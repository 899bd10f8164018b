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
    pub(crate) fn new(memory: &'a Coherent<[u8]>) -> Self {
        // INVARIANT: The allocation lasts as long as it is borrowed. Coherent memory is allocated in
        // whole pages.
        Self {
            start: memory.as_mut_ptr().cast(),
            bytes: memory.size(),
            _memory: PhantomData,
        }
    }

    /// The address of a `T` at `offset`, which lies within and is aligned.
    fn at<T>(&self, offset: usize) -> Result<*mut T> {
        let end = offset.checked_add(size_of::<T>()).ok_or(EINVAL)?;
        if end > self.bytes || offset % align_of::<T>() != 0 {
            return Err(EINVAL);
        }
        // SAFETY: `offset` is within the allocation, as has just been checked.
        Ok(unsafe { self.start.add(offset) }.cast())
    }

    /// The index at `offset`; what the other side wrote before it wrote that is seen from here on.
    pub(crate) fn load_acquire(&self, offset: usize) -> Result<u32> {
        let word = self.at::<u32>(offset)?;
        // SAFETY: `at` has checked that the word is allocated and aligned, by the type invariants.
        // All accesses of the kernel to a word of the indices are atomic; those of user space are
        // no data races in the kernel's memory model.
        Ok(unsafe { Atomic::from_ptr(word) }.load(Acquire))
    }

    /// Writes the index at `offset`, after everything that was written before.
    pub(crate) fn store_release(&self, offset: usize, value: u32) -> Result {
        let word = self.at::<u32>(offset)?;
        // SAFETY: As in `load_acquire`.
        unsafe { Atomic::from_ptr(word) }.store(value, Release);
        Ok(())
    }

    /// A copy of the value at `offset`, of which each word has been read once.
    pub(crate) fn read<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        const { assert!(size_of::<T>() % size_of::<u64>() == 0) };
        const { assert!(align_of::<T>() <= align_of::<u64>()) };
        let mut value = T::new_zeroed();
        let words = value.as_mut_bytes().chunks_exact_mut(size_of::<u64>());
        for (index, word) in words.enumerate() {
            let from = self.at::<u64>(offset + index * size_of::<u64>())?;
            // SAFETY: As in `load_acquire`; a volatile read of an aligned word is one access.
            let read = unsafe { from.read_volatile() };
            word.copy_from_slice(&read.to_ne_bytes());
        }
        Ok(value)
    }

    /// Writes a value at `offset`.
    pub(crate) fn write<T: IntoBytes + Immutable>(&self, offset: usize, value: &T) -> Result {
        const { assert!(size_of::<T>() % size_of::<u64>() == 0) };
        let words = value.as_bytes().chunks_exact(size_of::<u64>());
        for (index, word) in words.enumerate() {
            let to = self.at::<u64>(offset + index * size_of::<u64>())?;
            let word = u64::from_ne_bytes(word.try_into().map_err(|_| EINVAL)?);
            // SAFETY: As in `read`.
            unsafe { to.write_volatile(word) };
        }
        Ok(())
    }
}
