// SPDX-License-Identifier: GPL-2.0

//! Workqueues of one's own, which can be flushed, and delayed work that can be moved and cancelled.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::{
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    bindings,
    container_of,
    prelude::*,
    sync::Arc,
    time::Jiffies,
    workqueue::{
        HasDelayedWork,
        Queue,
        Work,
        WorkItem, //
    }, //
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

/// The system's workqueue for work that nothing special is asked of.
#[doc(alias = "system_dfl_wq")]
pub(crate) fn system_default() -> &'static Queue {
    // SAFETY: `system_dfl_wq` is set before any module is loaded, and lives forever.
    unsafe { Queue::from_raw(bindings::system_dfl_wq) }
}

/// The C side of `work`.
///
/// # Safety
///
/// `work` must come from an `Arc<T>` that is alive.
unsafe fn delayed_work<T, const ID: u64>(work: *const T) -> *mut bindings::delayed_work
where
    T: HasDelayedWork<T, ID>,
{
    // SAFETY: The caller promises that `work` is valid.
    let work = unsafe { T::raw_get_work(work.cast_mut()) };
    // SAFETY: `raw_get_work` returns a pointer to a valid field.
    let work = unsafe { Work::raw_get(work) };
    // SAFETY: By the safety requirements of `HasDelayedWork`, this is the `work` of a
    // `struct delayed_work`.
    unsafe { container_of!(work, bindings::delayed_work, work) }
}

/// Runs `work` on `queue` after `delay`, or moves it to then if it is waiting for its time already.
///
/// The reference is leaked if [`cancel`] is called at the same time.
#[doc(alias = "mod_delayed_work")]
pub(crate) fn reschedule<T, const ID: u64>(queue: &'static Queue, work: Arc<T>, delay: Jiffies)
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasDelayedWork<T, ID> + Send + Sync + 'static,
{
    let work = Arc::into_raw(work);
    // SAFETY: `work` has just been made from an `Arc<T>`, whose reference is kept.
    let delayed = unsafe { delayed_work(work) };
    // SAFETY: The workqueue lives forever. The delayed work was initialized for `Arc<T>`, and can
    // run on any thread. Being pending, it owns a reference, which its function takes over: the
    // one from above, unless it was pending before.
    let was_pending = unsafe {
        bindings::mod_delayed_work_on(
            // CAST: The constant is the number of processors at most.
            bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
            // CAST: `Queue` is a transparent wrapper of `struct workqueue_struct`.
            ptr::from_ref(queue).cast_mut().cast(),
            delayed,
            delay,
        )
    };
    if was_pending {
        // SAFETY: `work` comes from `into_raw`. The pending work owns a reference of its own, so
        // this one has not been given away.
        drop(unsafe { Arc::from_raw(work) });
    }
}

/// Takes `work` back if it is waiting for its time, and waits until it is not running.
///
/// Must not be called by the work itself.
#[doc(alias = "cancel_delayed_work_sync")]
pub(crate) fn cancel<T, const ID: u64>(work: &Arc<T>)
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasDelayedWork<T, ID>,
{
    let work = Arc::as_ptr(work);
    // SAFETY: `work` comes from an `Arc<T>` that is borrowed.
    let delayed = unsafe { delayed_work(work) };
    // SAFETY: The delayed work is initialized, as part of a `T`, and valid, as above.
    if unsafe { bindings::cancel_delayed_work_sync(delayed) } {
        // SAFETY: The work was pending, so it owned a reference, which its function would have
        // taken over. It has been taken back, so the function is not called for it.
        drop(unsafe { Arc::from_raw(work) });
    }
}
