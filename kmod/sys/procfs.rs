// SPDX-License-Identifier: GPL-2.0

//! Files in procfs whose contents are generated in one go.
//!
//! C header: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    bindings,
    prelude::*,
    seq_file::SeqFile,
    sync::Arc, //
};

/// Generates the contents of a file.
pub(crate) trait Show: Send + Sync + 'static {
    /// Prints the contents to `file`; called again with more room if it did not fit.
    fn show(&self, file: &SeqFile);
}

/// A file in procfs, which is removed when this is dropped.
///
/// # Invariants
///
/// `entry` is what `proc_create_single_data` returned for [`Self::show`] and a pointer to the
/// contents of `data`, and has not been removed.
pub(crate) struct Entry<T: Show> {
    entry: NonNull<bindings::proc_dir_entry>,
    _data: Arc<T>,
}

// SAFETY: An entry can be removed on any thread, and `Arc<T>` is `Send`, since `T` is `Send +
// Sync`.
unsafe impl<T: Show> Send for Entry<T> {}
// SAFETY: There are no methods with `&self`.
unsafe impl<T: Show> Sync for Entry<T> {}

impl<T: Show> Entry<T> {
    /// Creates the file `path`, below `/proc`.
    #[doc(alias = "proc_create_single_data")]
    pub(crate) fn create(path: &'static CStr, mode: u16, data: Arc<T>) -> Result<Self> {
        // SAFETY: The path is a C string, a null parent stands for `/proc`, and `Self::show` gets
        // what it asks for: the contents of `data`, which are alive until the file is removed.
        let entry = unsafe {
            bindings::proc_create_single_data(
                path.as_char_ptr(),
                mode,
                ptr::null_mut(),
                Some(Self::show),
                Arc::as_ptr(&data).cast_mut().cast(),
            )
        };
        // INVARIANT: The entry has just been created, and `data` is kept with it.
        Ok(Self {
            entry: NonNull::new(entry).ok_or(ENOMEM)?,
            _data: data,
        })
    }

    /// # Safety
    ///
    /// `file` must be a valid `struct seq_file` that nobody else accesses, and its `private` must
    /// point to a `T` that is alive during the call.
    unsafe extern "C" fn show(file: *mut bindings::seq_file, _unused: *mut c_void) -> c_int {
        // SAFETY: The caller promises that `file` is valid.
        let data = unsafe { (*file).private };
        // SAFETY: The caller promises that `private` points to a `T`, and only shared references
        // are ever made of it.
        let data = unsafe { &*data.cast::<T>() };
        // SAFETY: The caller promises that `file` is valid and ours alone.
        let file = unsafe { SeqFile::from_raw(file) };
        data.show(file);
        0
    }
}

impl<T: Show> Drop for Entry<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the entry has not been removed. `proc_remove` returns
        // when no call to `Self::show` is running and none can begin; `_data` is dropped after
        // that.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) };
    }
}
