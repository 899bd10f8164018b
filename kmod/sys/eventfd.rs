// SPDX-License-Identifier: GPL-2.0

//! Eventfds of user space, to be signalled.
//!
//! C header: [`include/linux/eventfd.h`](srctree/include/linux/eventfd.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    error::from_err_ptr,
    prelude::*, //
};

/// An eventfd, which may have been closed meanwhile.
///
/// # Invariants
///
/// The pointer is that of an eventfd context, of which this owns a reference.
pub(crate) struct EventFd(NonNull<bindings::eventfd_ctx>);

// SAFETY: A reference to a context can be dropped on any thread.
unsafe impl Send for EventFd {}
// SAFETY: A context has a lock of its own.
unsafe impl Sync for EventFd {}

impl EventFd {
    /// The eventfd that the calling process has as descriptor `fd`: `EBADF` if nothing is open
    /// there, `EINVAL` if something else is.
    #[doc(alias = "eventfd_ctx_fdget")]
    pub(crate) fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: This can be called with any number.
        let context = from_err_ptr(unsafe { bindings::eventfd_ctx_fdget(fd) })?;
        // INVARIANT: `eventfd_ctx_fdget` has taken a reference for its caller.
        NonNull::new(context).map(Self).ok_or(EBADF)
    }

    /// Adds 1 to its counter and wakes up who waits for it.
    ///
    /// Can be called in any context, but from what an eventfd wakes up.
    #[doc(alias = "eventfd_signal")]
    pub(crate) fn signal(&self) {
        // SAFETY: By the type invariants, the context is valid.
        unsafe { bindings::eventfd_signal_mask(self.0.as_ptr(), 0) };
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this owns a reference, which is given up.
        unsafe { bindings::eventfd_ctx_put(self.0.as_ptr()) };
    }
}
