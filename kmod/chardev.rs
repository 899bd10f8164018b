// SPDX-License-Identifier: GPL-2.0

//! `/dev/dmacopyN`: open, close, read, write and poll.

use kernel::{
    device::{
        self,
        Bound, //
    },
    fs::File,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    mm::virt::VmaNew,
    prelude::*,
    str::CString,
    sync::{
        poll::PollTable,
        Arc,
        ArcBorrow, //
    }, //
};

use crate::{
    ioctl,
    mmap,
    netlink,
    registry::Listed,
    session::Session,
    sys::{
        attribute::AttributeGroups,
        fasync::AsyncQueue,
        miscdevice::{
            self,
            Closed,
            MiscDevice, //
        },
        poll::PollEvents,
        uring::{
            Cancelled,
            Command,
            Issued, //
        }, //
    },
    sysfs, //
};

/// The character device of a [`crate::device::Device`].
pub(crate) struct CharDevice;

/// Makes a device visible to user space, until `parent` is unbound.
pub(crate) fn register(parent: &device::Device<Bound>, listed: Listed) -> Result {
    let device = listed.device().clone();
    let name = CString::try_from_fmt(fmt!("{}", device.name()))?;
    let class_device = miscdevice::register::<CharDevice>(parent, name, listed)
        // Somebody may have opened it meanwhile.
        .inspect_err(|_| device.shut_down())?;
    netlink::device_added(&device);
    device.queue().health().attach(device.clone(), class_device);
    Ok(())
}

#[vtable]
impl MiscDevice for CharDevice {
    type Data = Listed;
    type File = Arc<Session>;

    // The group is root's until a udev rule gives it another one, see `udev/60-dmacopy.rules`.
    const MODE: u16 = 0o660;

    fn attributes() -> AttributeGroups<Self> {
        sysfs::GROUPS.all()
    }

    fn open(listed: &Listed, _file: &File, signals: Arc<AsyncQueue>) -> Result<Arc<Session>> {
        Session::open(listed.device(), signals)
    }

    fn release(session: Arc<Session>, file: &Closed<'_>) {
        session.close(file);
    }

    fn read_iter(
        session: ArcBorrow<'_, Session>,
        nonblocking: bool,
        data: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        session.read(nonblocking, data)
    }

    fn write_iter(
        session: ArcBorrow<'_, Session>,
        nonblocking: bool,
        data: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        session.write(nonblocking, data)
    }

    fn poll(session: ArcBorrow<'_, Session>, file: &File, table: &PollTable<'_>) -> PollEvents {
        table.register_wait(file, session.changed());
        session.notifier().polled();
        session.readiness()
    }

    #[inline]
    fn ioctl(
        session: ArcBorrow<'_, Session>,
        _file: &File,
        request: u32,
        argument: usize,
    ) -> Result {
        ioctl::dispatch(session, request, argument)
    }

    fn uring_cmd(session: ArcBorrow<'_, Session>, command: Command<'_>) -> Issued {
        session.command(command)
    }

    fn uring_cancel(session: ArcBorrow<'_, Session>, cancelled: &Cancelled) {
        session.cancel_command(cancelled);
    }

    fn mmap(session: ArcBorrow<'_, Session>, _file: &File, area: &VmaNew, offset: u64) -> Result {
        mmap::map(&session, area, offset)
    }
}
