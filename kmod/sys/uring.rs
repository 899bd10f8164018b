// SPDX-License-Identifier: GPL-2.0

//! Commands for a file by io_uring: the Rust side of `shim/uring.c`.
//!
//! C header: [`include/linux/io_uring/cmd.h`](srctree/include/linux/io_uring/cmd.h)

use core::{
    marker::PhantomData,
    mem,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    prelude::*, //
};

use super::compat::ECANCELED;

/// What `shim/uring.h` calls so.
#[derive(Default)]
#[repr(C)]
struct Entry {
    operation: u32,
    others: u32,
    address: u64,
    argument: [u32; 4],
}

extern "C" {
    // A `struct file`, of whose fields the compiler has an opinion that does not matter here.
    fn dmacopy_uring_file(command: *const bindings::io_uring_cmd) -> *mut c_void;
    fn dmacopy_uring_read(command: *const bindings::io_uring_cmd, entry: *mut Entry);
    fn dmacopy_uring_is_cancellation(issue_flags: c_uint) -> bool;
    fn dmacopy_uring_pend(command: *mut bindings::io_uring_cmd, issue_flags: c_uint);
    fn dmacopy_uring_complete(command: *mut bindings::io_uring_cmd, result: i32);
}

/// The file that a command is for.
///
/// # Safety
///
/// The command must be being issued or cancelled.
pub(super) unsafe fn file(command: *mut bindings::io_uring_cmd) -> *mut bindings::file {
    // SAFETY: The caller promises that the command is valid.
    unsafe { dmacopy_uring_file(command) }.cast()
}

/// Whether a command is cancelled, rather than issued.
pub(super) fn is_cancellation(issue_flags: c_uint) -> bool {
    // SAFETY: This can be called with any number.
    unsafe { dmacopy_uring_is_cancellation(issue_flags) }
}

/// A command that is being issued.
///
/// # Invariants
///
/// The pointer is that of a command which is being issued during `'a`, with these flags.
pub(crate) struct Command<'a> {
    command: NonNull<bindings::io_uring_cmd>,
    issue_flags: c_uint,
    entry: Entry,
    issue: PhantomData<&'a ()>,
}

/// What has become of a command that was issued.
pub(crate) struct Issued(c_int);

impl Issued {
    /// What C expects.
    pub(super) fn into_raw(self) -> c_int {
        self.0
    }
}

impl Command<'_> {
    /// Reads what the command says.
    ///
    /// # Safety
    ///
    /// The command must be being issued during `'a`, with these flags.
    pub(super) unsafe fn read(
        command: NonNull<bindings::io_uring_cmd>,
        issue_flags: c_uint,
    ) -> Self {
        let mut entry = Entry::default();
        // SAFETY: The caller promises that the command is being issued, and the entry is valid for
        // writes.
        unsafe { dmacopy_uring_read(command.as_ptr(), &mut entry) };
        // INVARIANT: As the caller promises.
        Self {
            command,
            issue_flags,
            entry,
            issue: PhantomData,
        }
    }

    /// Which command.
    pub(crate) fn operation(&self) -> u32 {
        self.entry.operation
    }

    /// The bytes that come with it, all that an entry of usual size has room for. [`None`] if there
    /// is something elsewhere in the entry that means nothing.
    pub(crate) fn argument(&self) -> Option<&[u32; 4]> {
        let entry = &self.entry;
        (entry.others == 0 && entry.address == 0).then_some(&entry.argument)
    }

    /// Completes it at once: with a result that is not negative, or with an error.
    pub(crate) fn complete(self, result: Result<u32>) -> Issued {
        Issued(match result {
            Ok(result) => c_int::try_from(result).unwrap_or(c_int::MAX),
            // What would make io_uring try again, or wait, is not for it to know.
            Err(error) if error == EAGAIN || error == EIOCBQUEUED => EINVAL.to_errno(),
            Err(error) => error.to_errno(),
        })
    }

    /// Completes it later. From here on, it can be cancelled.
    ///
    /// May sleep, and takes a lock of io_uring that is held when commands are issued and cancelled.
    #[doc(alias = "io_uring_cmd_mark_cancelable")]
    pub(crate) fn pend(self) -> (Pending, Issued) {
        // SAFETY: By the type invariants, the command is being issued with these flags. From here on
        // it is completed by `Pending` only: what is returned says so.
        unsafe { dmacopy_uring_pend(self.command.as_ptr(), self.issue_flags) };
        // INVARIANT: The command has not been completed.
        let pending = Pending(self.command);
        (pending, Issued(EIOCBQUEUED.to_errno()))
    }
}

/// A command that has been issued, and is completed with `ECANCELED` if it is dropped.
///
/// # Invariants
///
/// The pointer is that of a command that is pending, which nobody else completes.
pub(crate) struct Pending(NonNull<bindings::io_uring_cmd>);

// SAFETY: A command can be completed on any thread.
unsafe impl Send for Pending {}
// SAFETY: There is nothing that a shared reference can do but compare.
unsafe impl Sync for Pending {}

impl Pending {
    /// Completes it. Its client finds the result, or is woken up for it.
    ///
    /// Can be called in any context.
    #[doc(alias = "io_uring_cmd_complete_in_task")]
    pub(crate) fn complete(self, result: Result<u32>) {
        let result = match result {
            Ok(result) => i32::try_from(result).unwrap_or(i32::MAX),
            Err(error) => error.to_errno(),
        };
        // SAFETY: By the type invariants, the command is pending. It is completed once, since `self`
        // is gone after this.
        unsafe { dmacopy_uring_complete(self.0.as_ptr(), result) };
        mem::forget(self);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: As in `complete`, which does not drop what it has completed.
        unsafe { dmacopy_uring_complete(self.0.as_ptr(), ECANCELED.to_errno()) };
    }
}

/// A command that is being cancelled, unless it is completed at the same time.
pub(crate) struct Cancelled(NonNull<bindings::io_uring_cmd>);

impl Cancelled {
    /// That is pending, or was until a moment ago.
    pub(super) fn new(command: NonNull<bindings::io_uring_cmd>) -> Self {
        Self(command)
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, pending: &Pending) -> bool {
        self.0 == pending.0
    }
}
