// SPDX-License-Identifier: GPL-2.0

//! Workqueues of one's own, which can be flushed.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    prelude::*,
    workqueue::Queue, //
};

/// An unbound workqueue that runs one work item at a time.
///
/// When it is dropped, the work that is pending is run first. So it must not be dropped by work
/// that runs on it: that would wait for itself.
///
/// # Invariants
///
/// The pointer is what `alloc_workqueue` returned, and the workqueue has not been destroyed.
pub(crate) struct Workqueue(NonNull<bindings::workqueue_struct>);

// SAFETY: The functions on a workqueue can be called on any thread.
unsafe impl Send for Workqueue {}
// SAFETY: The functions on a workqueue can be called in parallel.
unsafe impl Sync for Workqueue {}

impl Workqueue {
    /// Creates a workqueue.
    #[doc(alias = "alloc_workqueue")]
    pub(crate) fn new(name: &CStr) -> Result<Self> {
        // SAFETY: The format and its only argument are C strings.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                bindings::wq_flags_WQ_UNBOUND,
                1,
                name.as_char_ptr(),
            )
        };
        // INVARIANT: The workqueue has just been created.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Waits until all work that has been enqueued before has run.
    #[doc(alias = "flush_workqueue")]
    pub(crate) fn flush(&self) {
        // SAFETY: By the type invariants, this is a workqueue.
        unsafe { bindings::__flush_workqueue(self.0.as_ptr()) };
    }
}

impl Deref for Workqueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariants, this is a workqueue, and it is not destroyed as long as
        // `self` is borrowed.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for Workqueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the workqueue has not been destroyed. Nobody can enqueue
        // work on it any more, since that takes a reference.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}
