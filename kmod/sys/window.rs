// SPDX-License-Identifier: GPL-2.0

//! Memory of user space that the processor copies in an engine's place.

use core::{
    cmp::min,
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    dma::Coherent,
    prelude::*, //
};

/// Memory that user space may write to at any time, also while it is copied here.
///
/// So nothing in it is ever referenced. A range that does not lie within is `EINVAL`.
///
/// # Invariants
///
/// `bytes` bytes from `start` on are valid for reads and writes during `'a`.
pub(crate) struct Window<'a> {
    start: NonNull<u8>,
    bytes: usize,
    _memory: PhantomData<&'a ()>,
}

impl<'a> Window<'a> {
    /// `bytes` bytes from `start` on.
    ///
    /// # Safety
    ///
    /// They must be valid for reads and writes during `'a`. Nobody may take a reference to them.
    pub(super) unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
        // INVARIANT: As promised by the caller.
        Self {
            start,
            bytes,
            _memory: PhantomData,
        }
    }

    /// All of `memory`.
    pub(crate) fn of(memory: &'a Coherent<[u8]>) -> Result<Self> {
        let start = NonNull::new(memory.as_mut_ptr().cast()).ok_or(EINVAL)?;
        // SAFETY: The allocation lasts as long as it is borrowed, and nobody takes a reference to
        // memory that a device shares.
        Ok(unsafe { Self::new(start, memory.size()) })
    }

    /// The address of the first of `length` bytes from `offset` on, which lie within.
    fn range(&self, offset: usize, length: usize) -> Result<*mut u8> {
        let end = offset.checked_add(length).ok_or(EINVAL)?;
        if end > self.bytes {
            return Err(EINVAL);
        }
        // SAFETY: `offset` lies within the memory or at its end, as has just been checked.
        Ok(unsafe { self.start.as_ptr().add(offset) })
    }

    /// Copies `length` bytes from `offset` on to `to_offset` of `to`, which may be the same memory.
    pub(crate) fn copy(
        &self,
        offset: usize,
        to: &Window<'_>,
        to_offset: usize,
        length: usize,
    ) -> Result {
        let from = self.range(offset, length)?;
        let to = to.range(to_offset, length)?;
        // SAFETY: Both ranges have just been checked to lie within memory that is valid by the type
        // invariants; they may overlap. User space may write to it at the same time. That makes its
        // contents arbitrary, but it is no data race in the memory model of the kernel, which
        // `memmove` belongs to: it is opaque to the compiler.
        unsafe { bindings::memmove(to.cast(), from.cast_const().cast(), length) };
        Ok(())
    }

    /// Writes `pattern`, repeated, to `length` bytes from `offset` on.
    pub(crate) fn fill(&self, offset: usize, length: usize, pattern: [u8; 8]) -> Result {
        let to = self.range(offset, length)?;
        let first = min(length, pattern.len());
        // SAFETY: The range has just been checked to lie within memory that is valid by the type
        // invariants. As to user space, see `copy`.
        unsafe { bindings::memcpy(to.cast(), pattern.as_ptr().cast(), first) };
        // What has been written is a whole number of patterns, until the last piece.
        let mut written = first;
        while written < length {
            let piece = min(written, length - written);
            // SAFETY: `written` is less than `length`, and so within the range.
            let next = unsafe { to.add(written) };
            // SAFETY: `written + piece` is at most `length`, and the two ranges do not overlap, as
            // `piece` is at most `written`. As to user space, see `copy`.
            unsafe { bindings::memcpy(next.cast(), to.cast_const().cast(), piece) };
            written += piece;
        }
        Ok(())
    }
}
