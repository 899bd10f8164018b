// SPDX-License-Identifier: GPL-2.0

//! Memory that is shared between devices and with user space by a file descriptor.
//!
//! C header: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h)

mod export;
mod import;

use core::ptr::NonNull;

use kernel::{
    bindings,
    error::from_err_ptr,
    fs::{
        file::flags,
        File, //
    },
    prelude::*,
    sync::aref::ARef, //
};

pub(crate) use export::export;
pub(crate) use import::ImportedMemory;

/// A reference to a dma-buf.
///
/// # Invariants
///
/// The pointer is valid, and this owns a reference.
pub(crate) struct DmaBuf(NonNull<bindings::dma_buf>);

// SAFETY: A dma-buf can be used and given up on any thread.
unsafe impl Send for DmaBuf {}
// SAFETY: Its functions can be called in parallel.
unsafe impl Sync for DmaBuf {}

impl DmaBuf {
    /// The dma-buf that the calling process has open as `fd`, for reading and writing; `EACCES` if it
    /// is not open for both.
    #[doc(alias = "dma_buf_get")]
    pub(crate) fn open(fd: i32) -> Result<Self> {
        // SAFETY: Any number may be asked for.
        let raw = from_err_ptr(unsafe { bindings::dma_buf_get(fd) })?;
        // INVARIANT: `dma_buf_get` returns a reference.
        let this = Self(NonNull::new(raw).ok_or(EINVAL)?);
        // SAFETY: The pointer is valid. A dma-buf has a file, whose position nobody is using.
        let file = unsafe { File::from_raw_file((*raw).file) };
        if file.flags() & flags::O_ACCMODE != flags::O_RDWR {
            return Err(EACCES);
        }
        Ok(this)
    }

    /// The size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        // SAFETY: By the type invariants, the pointer is valid; the size never changes.
        unsafe { (*self.as_ptr()).size }
    }

    /// The file behind it.
    pub(crate) fn into_file(self) -> ARef<File> {
        // SAFETY: By the type invariants, the pointer is valid. A dma-buf has a file, whose position
        // nobody is using: it was opened just now, or is one that files are shared by.
        let file = unsafe { File::from_raw_file((*self.as_ptr()).file) };
        // The references to a dma-buf are those to its file.
        file.into()
    }

    fn as_ptr(&self) -> *mut bindings::dma_buf {
        self.0.as_ptr()
    }
}

impl Clone for DmaBuf {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariants, the pointer is valid. A dma-buf has a file, and the
        // references to it are those to the file.
        let file = unsafe { File::from_raw_file((*self.as_ptr()).file) };
        core::mem::forget(ARef::<File>::from(file));
        // INVARIANT: The reference that has just been taken is owned by this.
        Self(self.0)
    }
}

impl Drop for DmaBuf {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this owns a reference.
        unsafe { bindings::dma_buf_put(self.as_ptr()) };
    }
}
