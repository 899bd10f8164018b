// SPDX-License-Identifier: GPL-2.0

//! `/dev/dmacopyN`: open, close, read, write and poll.

use kernel::{
    device::{
        self,
        Bound, //
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
        miscdevice::{
            self,
            Closed,
            MiscDevice, //
        },
        poll::PollEvents, //
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

    fn open(listed: &Listed, _file: &File) -> Result<Arc<Session>> {
        Session::open(listed.device())
    }

    fn release(session: Arc<Session>, file: &Closed<'_>) {
        session.close(file);
    }

    fn read_iter(
        session: ArcBorrow<'_, Session>,
        file: &File,
        data: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        session.read(is_nonblocking(file), data)
    }

    fn write_iter(
        session: ArcBorrow<'_, Session>,
        file: &File,
        data: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        session.write(is_nonblocking(file), data)
    }

    fn poll(session: ArcBorrow<'_, Session>, file: &File, table: &PollTable<'_>) -> PollEvents {
        table.register_wait(file, session.changed());
        session.readiness()
    }

    fn ioctl(
        session: ArcBorrow<'_, Session>,
        _file: &File,
        request: u32,
        argument: usize,
    ) -> Result<isize> {
        ioctl::dispatch(session, request, argument)
    }

    fn mmap(session: ArcBorrow<'_, Session>, _file: &File, area: &VmaNew, offset: u64) -> Result {
        mmap::map(&session, area, offset)
    }
}

fn is_nonblocking(file: &File) -> bool {
    file.flags() & O_NONBLOCK != 0
}
