// SPDX-License-Identifier: GPL-2.0

//! Misc devices with what `kernel::miscdevice` lacks: a parent, attributes, a mode, `poll`, and
//! signals, and commands by io_uring.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

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
    fs::{
        file::flags::O_NONBLOCK,
        File, //
    },
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
        poll::PollTable,
        Arc, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

use super::{
    attribute::AttributeGroups,
    compat::this_module,
    fasync::AsyncQueue,
    poll::PollEvents,
    raw_device,
    uring::{
        self,
        Cancelled,
        Command,
        Issued, //
    }, //
};

/// The file can be asked not to wait, call by call; `shim/uring.c` checks the number.
const FMODE_NOWAIT: u32 = 1 << 27;
/// A call is asked not to wait; likewise.
const IOCB_NOWAIT: c_int = 8;

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
    /// This keeps all other misc devices from being opened. With `signals`, whoever has asked for
    /// signals for the file can be sent them.
    fn open(data: &Self::Data, file: &File, signals: Arc<AsyncQueue>) -> Result<Self::File>;

    /// Called when the last reference to an open file is gone.
    fn release(data: Self::File, _file: &Closed<'_>) {
        drop(data);
    }

    /// Reads from the device; waits for nothing but other calls if it is to be `nonblocking`.
    fn read_iter(
        _data: Borrowed<'_, Self>,
        _nonblocking: bool,
        _iov: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes to the device, likewise.
    fn write_iter(
        _data: Borrowed<'_, Self>,
        _nonblocking: bool,
        _iov: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Registers the caller to be woken up with `table` and returns what the file is ready for.
    fn poll(_data: Borrowed<'_, Self>, _file: &File, _table: &PollTable<'_>) -> PollEvents {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Carries out an ioctl.
    fn ioctl(_data: Borrowed<'_, Self>, _file: &File, _cmd: u32, _arg: usize) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Carries out a command by io_uring, or keeps it.
    ///
    /// Waits for nothing but other calls: io_uring may have asked for that.
    fn uring_cmd(_data: Borrowed<'_, Self>, _command: Command<'_>) -> Issued {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Completes a command that was kept, unless that has happened.
    fn uring_cancel(_data: Borrowed<'_, Self>, _cancelled: &Cancelled) {
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

/// The private data of an open file.
///
/// # Invariants
///
/// `data` is a `T::File` that was made foreign and is not taken back before this is dropped.
/// `signals` was made for the file.
struct OpenFile<T: MiscDevice> {
    data: *mut c_void,
    signals: Arc<AsyncQueue>,
    kind: PhantomData<T>,
}

// SAFETY: What `data` stands for is `Send`, and so is the queue.
unsafe impl<T: MiscDevice> Send for OpenFile<T> {}
// SAFETY: What `data` stands for is `Sync`, and so is the queue.
unsafe impl<T: MiscDevice> Sync for OpenFile<T> {}

/// A registered misc device.
///
/// # Invariants
///
/// `misc` is registered, and `open` is the only user of its `struct file`'s private data until it
/// puts an `OpenFile<T>` there.
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
        fasync: Some(Self::fasync),
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
        uring_cmd: if T::HAS_URING_CMD {
            Some(Self::uring_cmd)
        } else {
            None
        },
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
        // SAFETY: The file is being opened, so nobody else accesses its mode. `read_iter` and
        // `write_iter` do what it promises.
        unsafe { (*file).f_mode |= FMODE_NOWAIT };

        // SAFETY: The open call of a file can access the private data.
        let misc = unsafe { (*file).private_data };
        // SAFETY: `misc_open` has put the `struct miscdevice` there, which is the first field of a
        // `Registration<T>`. It holds `misc_mtx`, so `misc_deregister`, and with it the drop of the
        // registration, cannot happen before this returns.
        let registration = unsafe { &*misc.cast::<Registration<T>>() };
        // SAFETY: The file is valid for longer than this call, and there is no active fdget_pos
        // region on it on this thread.
        let opened = Self::prepare(&registration.data, unsafe { File::from_raw_file(file) });

        match opened {
            Ok(opened) => {
                // SAFETY: The open call of a file can access the private data. All other operations
                // expect an `OpenFile<T>` from here on.
                unsafe { (*file).private_data = opened.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// What a file that is being opened gets.
    fn prepare(data: &T::Data, file: &File) -> Result<KBox<OpenFile<T>>> {
        let room = KBox::new_uninit(GFP_KERNEL)?;
        let signals = Arc::new(AsyncQueue::new(), GFP_KERNEL)?;
        let data = T::open(data, file, signals.clone())?.into_foreign();
        // INVARIANT: The data has just been made foreign, and the queue is new.
        Ok(KBox::write(
            room,
            OpenFile {
                data,
                signals,
                kind: PhantomData,
            },
        ))
    }

    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened, and its last user.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The release call of a file owns the private data.
        let opened = unsafe { (*file).private_data };
        // SAFETY: `open` has put an `OpenFile<T>` there, and no other call uses it any more.
        let opened = unsafe { KBox::<OpenFile<T>>::from_foreign(opened) };
        // SAFETY: By the type invariants, this is a `T::File` that has not been taken back.
        let data = unsafe { T::File::from_foreign(opened.data) };
        // SAFETY: The file is valid during the call, and there is no active fdget_pos region on it
        // on this thread.
        let file = unsafe { File::from_raw_file(file) };
        // This is called when the last reference to the file is gone, and an area has one.
        T::release(data, &Closed(file));
        0
    }

    /// The private data.
    ///
    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened and that is not released during `'a`.
    unsafe fn opened<'a>(file: *mut bindings::file) -> &'a OpenFile<T> {
        // SAFETY: The caller promises that the file is valid.
        let opened = unsafe { (*file).private_data };
        // SAFETY: `open` has put an `OpenFile<T>` there, and `release` is not called during `'a`.
        unsafe { KBox::<OpenFile<T>>::borrow(opened) }
    }

    /// The data and the file, for the duration of an operation.
    ///
    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened and that is not released during `'a`.
    unsafe fn borrow<'a>(file: *mut bindings::file) -> (Borrowed<'a, T>, &'a File) {
        // SAFETY: The caller promises that the file is one of ours.
        let opened = unsafe { Self::opened(file) };
        // SAFETY: By the type invariants, this is a `T::File`, and `release` is not called during
        // `'a`.
        let data = unsafe { T::File::borrow(opened.data) };
        // SAFETY: The file is valid during `'a`, and there is no active fdget_pos region on it: it
        // has no position, since `stream_open` opened it.
        (data, unsafe { File::from_raw_file(file) })
    }

    /// Whether a call must not wait: because of the call, or of how the file was opened.
    ///
    /// # Safety
    ///
    /// `kiocb` must be valid.
    unsafe fn is_nonblocking(kiocb: *mut bindings::kiocb, file: &File) -> bool {
        // SAFETY: The caller promises that `kiocb` is valid.
        let flags = unsafe { (*kiocb).ki_flags };
        flags & IOCB_NOWAIT != 0 || file.flags() & O_NONBLOCK != 0
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
        // SAFETY: The caller promises that `kiocb` is valid.
        let nonblocking = unsafe { Self::is_nonblocking(kiocb, file) };
        from_result(|| Ok(isize::try_from(T::read_iter(data, nonblocking, iov)?)?))
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
        // SAFETY: The caller promises that `kiocb` is valid.
        let nonblocking = unsafe { Self::is_nonblocking(kiocb, file) };
        from_result(|| Ok(isize::try_from(T::write_iter(data, nonblocking, iov)?)?))
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
    unsafe extern "C" fn fasync(fd: c_int, file: *mut bindings::file, on: c_int) -> c_int {
        // SAFETY: The caller promises that the file is open, and keeps it so during the call.
        let opened = unsafe { Self::opened(file) };
        // SAFETY: The file is valid during the call, and there is no active fdget_pos region on it:
        // it has no position.
        let file = unsafe { File::from_raw_file(file) };
        // SAFETY: By the type invariants, the queue is that of the file. Before a file with an entry
        // is released, this is called to remove it.
        unsafe { opened.signals.change(fd, file, on) }
    }

    /// # Safety
    ///
    /// `file` must be one that [`Self::open`] has opened.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The caller promises that the file is open, and keeps it so during the call.
        let (data, file) = unsafe { Self::borrow(file) };
        from_result(|| T::ioctl(data, file, cmd, arg).map(|()| 0))
    }

    /// # Safety
    ///
    /// `command` must be for a file that [`Self::open`] has opened, and be issued or cancelled, as
    /// the flags say.
    unsafe extern "C" fn uring_cmd(
        command: *mut bindings::io_uring_cmd,
        issue_flags: c_uint,
    ) -> c_int {
        // SAFETY: The caller promises that the command is issued or cancelled.
        let file = unsafe { uring::file(command) };
        // SAFETY: The caller promises that the file is open, and a command keeps it so.
        let (data, _) = unsafe { Self::borrow(file) };
        // SAFETY: A command that is issued or cancelled is not null.
        let command = unsafe { NonNull::new_unchecked(command) };
        if uring::is_cancellation(issue_flags) {
            T::uring_cancel(data, &Cancelled::new(command));
            return 0;
        }
        // SAFETY: The command is issued during the call, with these flags.
        let command = unsafe { Command::read(command, issue_flags) };
        T::uring_cmd(data, command).into_raw()
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
