// SPDX-License-Identifier: GPL-2.0

//! Misc devices with what `kernel::miscdevice` lacks: a parent, attributes, a mode, and `poll`.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)

use core::marker::PhantomData;

use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    devres,
    error::{
        from_result,
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    fs::File,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::virt::VmaNew,
    page::PAGE_SHIFT,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        poll::PollTable, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

use super::{
    attribute::AttributeGroups,
    compat::this_module,
    poll::PollEvents,
    raw_device, //
};

/// What [`MiscDevice`] functions see of an open file's private data.
type Borrowed<'a, T> = <<T as MiscDevice>::File as ForeignOwnable>::Borrowed<'a>;

/// A kind of misc device.
///
/// Files cannot be seeked in. The module cannot be unloaded as long as one is open.
#[vtable]
pub(crate) trait MiscDevice: Sized + 'static {
    /// The data of a device.
    type Data: Send + Sync + 'static;

    /// The data of an open file.
    type File: ForeignOwnable + Send + Sync;

    /// The access mode of the device's node.
    const MODE: u16;

    /// The attributes of the class device, which are there before user space hears of it.
    fn attributes() -> AttributeGroups<Self>;

    /// Called when the device is opened; it is still registered then.
    ///
    /// This keeps all other misc devices from being opened.
    fn open(data: &Self::Data, file: &File) -> Result<Self::File>;

    /// Called when the last reference to an open file is gone.
    fn release(data: Self::File, _file: &Closed<'_>) {
        drop(data);
    }

    /// Reads from the device.
    fn read_iter(
        _data: Borrowed<'_, Self>,
        _file: &File,
        _iov: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes to the device.
    fn write_iter(
        _data: Borrowed<'_, Self>,
        _file: &File,
        _iov: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Registers the caller to be woken up with `table` and returns what the file is ready for.
    fn poll(_data: Borrowed<'_, Self>, _file: &File, _table: &PollTable<'_>) -> PollEvents {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Carries out an ioctl.
    fn ioctl(_data: Borrowed<'_, Self>, _file: &File, _cmd: u32, _arg: usize) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Sets up `area` as a mapping of the file from byte `offset` on.
    fn mmap(_data: Borrowed<'_, Self>, _file: &File, _area: &VmaNew, _offset: u64) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A file that nobody has open any more: no operation is under way, and no area maps it.
pub(crate) struct Closed<'a>(&'a File);

impl Closed<'_> {
    /// The file.
    pub(super) fn file(&self) -> &File {
        self.0
    }
}

/// A registered misc device.
///
/// # Invariants
///
/// `misc` is registered, and `T::open` is the only user of its `struct file`'s private data until it
/// puts a `T::File` there.
#[pin_data(PinnedDrop)]
#[repr(C)]
struct Registration<T: MiscDevice> {
    // First, so that a pointer to it is a pointer to the registration.
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    name: CString,
    data: T::Data,
}

// SAFETY: A misc device can be deregistered on any thread, and the other fields are `Send`.
unsafe impl<T: MiscDevice> Send for Registration<T> {}

/// Registers a misc device, until `parent` is unbound; returns its class device.
///
/// The device may have been opened even if this fails.
#[doc(alias = "misc_register")]
pub(crate) fn register<T: MiscDevice>(
    parent: &device::Device<Bound>,
    name: CString,
    data: T::Data,
) -> Result<ARef<device::Device>> {
    let mut class_device = None;

    // `misc` comes last, because `T` is called as soon as it is registered.
    let registration = try_pin_init!(Registration::<T> {
        name,
        data,
        misc <- Opaque::try_ffi_init(|slot: *mut bindings::miscdevice| {
            // SAFETY: `slot` is valid for writes.
            unsafe {
                slot.write(bindings::miscdevice {
                    // CAST: The constant is 255.
                    minor: bindings::MISC_DYNAMIC_MINOR as c_int,
                    name: name.as_char_ptr(),
                    fops: Operations::<T>::build(),
                    parent: raw_device(parent),
                    groups: T::attributes().as_raw(),
                    mode: T::MODE,
                    ..pin_init::zeroed()
                })
            };
            // SAFETY: `slot` has just been initialized. It and the name stay in place until
            // `drop` deregisters the device, because the registration is pinned, and the groups
            // live forever.
            to_result(unsafe { bindings::misc_register(slot) })
        }),
    })
    .pin_chain(|registration| {
        // SAFETY: The device is registered, so nobody writes to it.
        let device = unsafe { (*registration.misc.get()).this_device };
        // SAFETY: The device is registered, and as long as it is, its class device is valid.
        class_device = Some(unsafe { device::Device::get_device(device) });
        Ok(())
    });

    devres::register::<Registration<T>, Error>(parent, registration, GFP_KERNEL)?;
    class_device.ok_or(ENODEV)
}

/// The data of the device that `class_device` belongs to.
///
/// # Safety
///
/// `class_device` must be the class device of a `Registration<T>`, which must not be deregistered
/// during `'a`.
pub(super) unsafe fn data<'a, T: MiscDevice>(class_device: *mut bindings::device) -> &'a T::Data {
    // SAFETY: The caller promises that the device is valid.
    let misc = unsafe { bindings::dev_get_drvdata(class_device) };
    // SAFETY: `misc_register` has stored the `struct miscdevice`, which is the first field of the
    // `Registration<T>`; all fields but that were initialized before. The caller promises that the
    // registration stays.
    unsafe { &(*misc.cast::<Registration<T>>()).data }
}

#[pinned_drop]
impl<T: MiscDevice> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants, the device is registered.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

/// The file operations of a kind of misc device.
struct Operations<T: MiscDevice>(PhantomData<T>);

impl<T: MiscDevice> Operations<T> {
    const VTABLE: bindings::file_operations = bindings::file_operations {
        owner: this_module().as_ptr(),
        open: Some(Self::open),
        release: Some(Self::release),
        read_iter: if T::HAS_READ_ITER {
            Some(Self::read_iter)
        } else {
            None
        },
        write_iter: if T::HAS_WRITE_ITER {
            Some(Self::write_iter)
        } else {
            None
        },
        poll: if T::HAS_POLL { Some(Self::poll) } else { None },
        unlocked_ioctl: if T::HAS_IOCTL {
            Some(Self::ioctl)
        } else {
            None
        },
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: if T::HAS_IOCTL {
            bindings::compat_ptr_ioctl
        } else {
            None
        },
        mmap: if T::HAS_MMAP { Some(Self::mmap) } else { None },
        ..pin_init::zeroed()
    };

    const fn build() -> &'static bindings::file_operations {
        &Self::VTABLE
    }

    /// # Safety
    ///
    /// Must be called by `misc_open`, for a file of a `Registration<T>`.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The pointers are valid and for a file being opened.
        let result = unsafe { bindings::stream_open(inode, file) };
        if result != 0 {
            return result;
        }

        // SAFETY: The open call of a file can access the private data.
        let misc = unsafe { (*file).private_data };
        // SAFETY: `misc_open` has put the `struct miscdevice` there, which is the first field of a
        // `Registration<T>`. It holds `misc_mtx`, so `misc_deregister`, and with it the drop of the
        // registration, cannot happen before this returns.
        let registration = unsafe { &*misc.cast::<Registration<T>>() };
        // SAFETY: The file is valid for longer than this call, and there is no active fdget_pos
        // region on it on this thread.
        let opened = T::open(&registration.data, unsafe { File::from_raw_file(file) });

        match opened {
            Ok(data) => {
                // SAFETY: The open call of a file can access the private data. All other operations
                // expect a `T::File` from here on.
                unsafe { (*file).private_data = data.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened, and its last user.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The release call of a file owns the private data.
        let data = unsafe { (*file).private_data };
        // SAFETY: `open` has put a `T::File` there, and no other call uses it any more.
        let data = unsafe { T::File::from_foreign(data) };
        // SAFETY: The file is valid during the call, and there is no active fdget_pos region on it
        // on this thread.
        let file = unsafe { File::from_raw_file(file) };
        // This is called when the last reference to the file is gone, and an area has one.
        T::release(data, &Closed(file));
        0
    }

    /// The private data and the file, for the duration of an operation.
    ///
    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened and that is not released during `'a`.
    unsafe fn borrow<'a>(file: *mut bindings::file) -> (Borrowed<'a, T>, &'a File) {
        // SAFETY: The caller promises that the file is valid.
        let data = unsafe { (*file).private_data };
        // SAFETY: `open` has put a `T::File` there, and `release` is not called during `'a`.
        let data = unsafe { T::File::borrow(data) };
        // SAFETY: The file is valid during `'a`, and there is no active fdget_pos region on it: it
        // has no position, since `stream_open` opened it.
        (data, unsafe { File::from_raw_file(file) })
    }

    /// # Safety
    ///
    /// `kiocb` must be for a file that [`Self::open`] has opened, and `iter` a valid destination.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The caller promises that `kiocb` is valid.
        let file = unsafe { (*kiocb).ki_filp };
        // SAFETY: The caller promises that the file is open, and a kiocb keeps it so.
        let (data, file) = unsafe { Self::borrow(file) };
        // SAFETY: The caller promises that this is a destination, which is ours during the call.
        let iov = unsafe { IovIterDest::from_raw(iter) };
        from_result(|| Ok(isize::try_from(T::read_iter(data, file, iov)?)?))
    }

    /// # Safety
    ///
    /// `kiocb` must be for a file that [`Self::open`] has opened, and `iter` a valid source.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The caller promises that `kiocb` is valid.
        let file = unsafe { (*kiocb).ki_filp };
        // SAFETY: The caller promises that the file is open, and a kiocb keeps it so.
        let (data, file) = unsafe { Self::borrow(file) };
        // SAFETY: The caller promises that this is a source, which is ours during the call.
        let iov = unsafe { IovIterSource::from_raw(iter) };
        from_result(|| Ok(isize::try_from(T::write_iter(data, file, iov)?)?))
    }

    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened, and `table` null or valid.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: The caller promises that the file is open, and keeps it so during the call.
        let (data, file) = unsafe { Self::borrow(file) };
        // SAFETY: The caller promises that the table is null or valid.
        let table = unsafe { PollTable::from_raw(table) };
        T::poll(data, file, &table).as_raw()
    }

    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The caller promises that the file is open, and keeps it so during the call.
        let (data, file) = unsafe { Self::borrow(file) };
        from_result(|| T::ioctl(data, file, cmd, arg))
    }

    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened, and `area` be undergoing its setup.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        area: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The caller promises that the file is open, and keeps it so during the call.
        let (data, file) = unsafe { Self::borrow(file) };
        // SAFETY: The caller promises that `area` is valid.
        let page_offset = unsafe { (*area).vm_pgoff };
        // SAFETY: The caller promises that `area` is undergoing its setup.
        let area = unsafe { VmaNew::from_raw(area) };
        from_result(|| {
            let offset = u64::try_from(page_offset)?
                .checked_mul(1 << PAGE_SHIFT)
                .ok_or(EINVAL)?;
            T::mmap(data, file, area, offset)?;
            Ok(0)
        })
    }
}
