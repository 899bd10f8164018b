// SPDX-License-Identifier: GPL-2.0

//! Signals to whoever has asked for them with `O_ASYNC`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use core::{
    cell::UnsafeCell,
    ptr, //
};

use kernel::{
    bindings,
    fs::File,
    prelude::*, //
};

/// What a signal is about, as `si_code` and `si_band` tell.
#[derive(Clone, Copy)]
pub(crate) enum Band {
    /// `POLL_IN`: there is something to read.
    Input,
    /// `POLL_ERR`: something has failed.
    Error,
    /// `POLL_HUP`: the device has gone.
    HangUp,
}

/// Who wants signals for one open file.
///
/// # Invariants
///
/// The list has entries for one file only, and none when that has been released.
pub(crate) struct AsyncQueue(UnsafeCell<*mut bindings::fasync_struct>);

// SAFETY: The list is not bound to a thread.
unsafe impl Send for AsyncQueue {}
// SAFETY: C changes the list with a lock of its own, and reads it under RCU; nobody else does.
unsafe impl Sync for AsyncQueue {}

impl AsyncQueue {
    /// A queue for a file that is being opened.
    pub(super) fn new() -> Self {
        // INVARIANT: There are no entries.
        Self(UnsafeCell::new(ptr::null_mut()))
    }

    /// `fasync`: adds an entry for `file`, or removes it.
    ///
    /// # Safety
    ///
    /// `file` must be the one that the queue was made for, and once it is closed, this must be called
    /// for its removal.
    #[doc(alias = "fasync_helper")]
    pub(super) unsafe fn change(&self, fd: c_int, file: &File, on: c_int) -> c_int {
        // SAFETY: The file and the list are valid, and all that changes the list is this.
        // INVARIANT: The caller promises that this is the one file, and that it comes again.
        unsafe { bindings::fasync_helper(fd, file.as_ptr(), on, self.0.get()) }
    }

    /// Sends `SIGIO`, or what was chosen by `F_SETSIG`, to who was chosen by `F_SETOWN`.
    ///
    /// Can be called in any context. Costs next to nothing when nobody has asked for it.
    #[doc(alias = "kill_fasync")]
    pub(crate) fn signal(&self, band: Band) {
        let band = match band {
            Band::Input => bindings::POLL_IN,
            Band::Error => bindings::POLL_ERR,
            Band::HangUp => bindings::POLL_HUP,
        };
        // CAST: All of the constants are small.
        let (signal, band) = (bindings::SIGIO as c_int, band as c_int);
        // SAFETY: The list is valid, and its entries are those of files that have not been released,
        // by the type invariants; RCU keeps those that are removed meanwhile.
        unsafe { bindings::kill_fasync(self.0.get(), signal, band) };
    }
}
