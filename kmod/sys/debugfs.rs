// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs with what `kernel::debugfs` lacks: an owner.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use core::{
    marker::PhantomData,
    ptr, //
};

use kernel::{
    bindings,
    error::{
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader, //
    }, //
};

use super::compat::this_module;

/// A kind of file, which is writable if it has [`File::store`].
///
/// The module cannot be unloaded as long as one is open.
#[vtable]
pub(crate) trait File: Sized + 'static {
    /// What the file is a view of.
    type Data: Send + Sync + 'static;

    /// Prints the contents to `file`; called again with more room if it did not fit.
    fn show(data: &Self::Data, file: &SeqFile);

    /// Takes what user space writes, as a whole.
    fn store(_data: &Self::Data, _reader: &mut UserSliceReader) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A directory, which is removed with all that is in it when this is dropped.
///
/// As is the custom with debugfs, it may have failed to come into being, and nobody cares.
///
/// # Invariants
///
/// `entry` is what `debugfs_create_dir` returned, an error or a directory, and has not been
/// removed, nor has a directory above it.
pub(crate) struct Dir {
    entry: *mut bindings::dentry,
    _parent: Option<Arc<Dir>>,
}

// SAFETY: A directory can be removed on any thread, and `Arc<Dir>` is `Send` if `Dir` is `Send +
// Sync`: there is nothing else in it.
unsafe impl Send for Dir {}
// SAFETY: With `&self`, `entry` is only used as a parent, which debugfs locks.
unsafe impl Sync for Dir {}

impl Dir {
    /// Creates the directory `name` at the root of debugfs.
    pub(crate) fn create(name: &CStr) -> Result<Arc<Self>> {
        Ok(Arc::new(Self::below(None, name), GFP_KERNEL)?)
    }

    #[doc(alias = "debugfs_create_dir")]
    fn below(parent: Option<Arc<Self>>, name: &CStr) -> Self {
        let raw_parent = parent
            .as_ref()
            .map_or(ptr::null_mut(), |parent| parent.entry);
        // SAFETY: The name is a C string, which is copied. A null parent stands for the root of
        // debugfs, an error is handed back, and by the type invariants of `parent`, anything else
        // is a directory that has not been removed.
        let entry = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), raw_parent) };
        // INVARIANT: The directory has just been created, only its own drop removes it, and the
        // reference to the parent keeps that, and so all above, from being dropped before it.
        Self {
            entry,
            _parent: parent,
        }
    }
}

impl Drop for Dir {
    #[doc(alias = "debugfs_remove")]
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this is an error, which is ignored, or a directory that
        // has not been removed. The directories below it have been: each has a reference to this.
        unsafe { bindings::debugfs_remove(self.entry) };
    }
}

/// A directory whose files are views of the same data.
///
/// # Invariants
///
/// All files in `dir` have been created by [`Self::file`], with a pointer to the contents of
/// `data`.
pub(crate) struct Scope<T> {
    // Dropped in this order: the data stays until the files are gone.
    dir: Dir,
    data: Arc<T>,
}

impl<T: Send + Sync + 'static> Scope<T> {
    /// Creates the directory `name`, with no files yet, in `parent`.
    pub(crate) fn create(parent: Arc<Dir>, name: &CStr, data: Arc<T>) -> Self {
        // INVARIANT: There are no files.
        Self {
            dir: Dir::below(Some(parent), name),
            data,
        }
    }

    /// Creates the file `name`.
    #[doc(alias = "debugfs_create_file")]
    pub(crate) fn file<F: File<Data = T>>(&self, name: &CStr) {
        let data = Arc::as_ptr(&self.data).cast_mut().cast();
        // INVARIANT: The file gets a pointer to the contents of `data`.
        // SAFETY: The name is a C string, which is copied, and by the type invariants of `Dir`, the
        // parent is an error, which is handed back, or a directory that has not been removed. The
        // operations live as long as the module, and get what they ask for: the contents of `data`,
        // an `F::Data`, are alive until `dir` is dropped, which removes the file.
        unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                Operations::<F>::MODE,
                self.dir.entry,
                data,
                ptr::null(),
                Operations::<F>::build(),
            )
        };
    }
}

/// The file operations of a kind of file.
///
/// debugfs calls them, but for `release`, only while the file has not been removed, and its removal
/// waits for those that are running. `release` leaves the data alone.
struct Operations<F: File>(PhantomData<F>);

impl<F: File> Operations<F> {
    const MODE: u16 = if F::HAS_STORE { 0o600 } else { 0o400 };

    const VTABLE: bindings::file_operations = bindings::file_operations {
        // An open file outlives its removal, and calls `release` through this table.
        owner: this_module().as_ptr(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        write: if F::HAS_STORE {
            Some(Self::write)
        } else {
            None
        },
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    };

    const fn build() -> &'static bindings::file_operations {
        &Self::VTABLE
    }

    /// # Safety
    ///
    /// `inode` must be valid, and its private data point to an `F::Data` that is alive as long as
    /// the file has not been removed. `file` must be a file of it that is being opened.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The caller promises that `inode` is valid; its private data never changes.
        let data = unsafe { (*inode).i_private };
        // SAFETY: The caller promises that `file` is being opened, and `Self::show` gets what it
        // asks for: `seq_read` and `seq_lseek`, which call it, are called only while the file has
        // not been removed.
        unsafe { bindings::single_open(file, Some(Self::show), data) }
    }

    /// # Safety
    ///
    /// `file` must be a valid `struct seq_file` that nobody else accesses, and its `private` must
    /// point to an `F::Data` that is alive during the call.
    unsafe extern "C" fn show(file: *mut bindings::seq_file, _unused: *mut c_void) -> c_int {
        // SAFETY: The caller promises that `file` is valid.
        let data = unsafe { (*file).private };
        // SAFETY: The caller promises that `private` points to an `F::Data`, and only shared
        // references are ever made of it.
        let data = unsafe { &*data.cast::<F::Data>() };
        // SAFETY: The caller promises that `file` is valid and ours alone.
        let file = unsafe { SeqFile::from_raw(file) };
        F::show(data, file);
        0
    }

    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened, and that is not removed during the call.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buffer: *const c_char,
        length: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The caller promises that `file` is open; its private data does not change.
        let seq_file = unsafe { (*file).private_data }.cast::<bindings::seq_file>();
        // SAFETY: `single_open` has put a `struct seq_file` there, which is valid until the file is
        // released, and whose `private` does not change.
        let data = unsafe { (*seq_file).private };
        // SAFETY: `open` has put a pointer to an `F::Data` there, which is alive because the file
        // is not removed during the call. Only shared references are ever made of it.
        let data = unsafe { &*data.cast::<F::Data>() };
        let buffer = UserPtr::from_ptr(buffer.cast_mut().cast());
        from_result(|| {
            F::store(data, &mut UserSlice::new(buffer, length).reader())?;
            Ok(isize::try_from(length)?)
        })
    }
}
