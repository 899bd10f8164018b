// SPDX-License-Identifier: GPL-2.0

//! `ioctl(2)`: one function per command.
//!
//! The size in the request code says how much of a structure the caller knows, see
//! [`uapi::ioctl`](crate::uapi::ioctl).

use core::{
    cmp::min,
    mem::size_of, //
};

use kernel::{
    dma::DataDirection,
    fs::file::{
        flags::O_CLOEXEC,
        FileDescriptorReservation, //
    },
    ioctl::{
        _IOR,
        _IOW,
        _IOWR, //
    },
    prelude::*,
    sync::ArcBorrow,
    uaccess::{
        UserSlice,
        UserSliceReader,
        UserSliceWriter, //
    }, //
};

use crate::{
    notify::Coalescing,
    session::Session,
    sys::{
        capability::require_admin,
        eventfd::EventFd,
        streaming::Side, //
    },
    uapi::{
        self,
        ioctl::{
            Coalesce,
            Copy,
            CreateBuffer,
            Eventfd,
            ExportBuffer,
            FreeBuffer,
            ImportBuffer,
            Info,
            Reset,
            Submit,
            Sync, //
        },
        ring::Work, //
    }, //
};

const _: () = {
    const MAGIC: u32 = uapi::ioctl::MAGIC as u32;
    assert!(uapi::ioctl::INFO == _IOR::<Info>(MAGIC, 0));
    assert!(uapi::ioctl::COPY == _IOWR::<Copy>(MAGIC, 1));
    assert!(uapi::ioctl::SUBMIT == _IOWR::<Submit>(MAGIC, 2));
    assert!(uapi::ioctl::RESET == _IOW::<Reset>(MAGIC, 8));
    assert!(uapi::ioctl::EVENTFD == _IOW::<Eventfd>(MAGIC, 3));
    assert!(uapi::ioctl::COALESCE == _IOWR::<Coalesce>(MAGIC, 4));
    assert!(uapi::ioctl::CREATE_BUFFER == _IOWR::<CreateBuffer>(MAGIC, 16));
    assert!(uapi::ioctl::IMPORT_BUFFER == _IOWR::<ImportBuffer>(MAGIC, 17));
    assert!(uapi::ioctl::EXPORT_BUFFER == _IOWR::<ExportBuffer>(MAGIC, 18));
    assert!(uapi::ioctl::FREE_BUFFER == _IOW::<FreeBuffer>(MAGIC, 19));
    assert!(uapi::ioctl::SYNC == _IOW::<Sync>(MAGIC, 20));
};

const INFO: u32 = uapi::ioctl::command(uapi::ioctl::INFO);
const COPY: u32 = uapi::ioctl::command(uapi::ioctl::COPY);
const SUBMIT: u32 = uapi::ioctl::command(uapi::ioctl::SUBMIT);
const RESET: u32 = uapi::ioctl::command(uapi::ioctl::RESET);
const EVENTFD: u32 = uapi::ioctl::command(uapi::ioctl::EVENTFD);
const COALESCE: u32 = uapi::ioctl::command(uapi::ioctl::COALESCE);
const CREATE_BUFFER: u32 = uapi::ioctl::command(uapi::ioctl::CREATE_BUFFER);
const IMPORT_BUFFER: u32 = uapi::ioctl::command(uapi::ioctl::IMPORT_BUFFER);
const EXPORT_BUFFER: u32 = uapi::ioctl::command(uapi::ioctl::EXPORT_BUFFER);
const FREE_BUFFER: u32 = uapi::ioctl::command(uapi::ioctl::FREE_BUFFER);
const SYNC: u32 = uapi::ioctl::command(uapi::ioctl::SYNC);

/// What each device offers.
pub(crate) const CAPABILITIES: u64 = uapi::ioctl::CAP_MMAP
    | uapi::ioctl::CAP_STREAM
    | uapi::ioctl::CAP_COPY
    | uapi::ioctl::CAP_RINGS
    | uapi::ioctl::CAP_NOTIFY
    | uapi::ioctl::CAP_BUFFERS
    | uapi::ioctl::CAP_DMA_BUF
    | uapi::ioctl::CAP_RESET;

/// Carries out one command.
///
/// Each is a function of its own, so that none is set up for what another one needs of the stack.
#[inline]
pub(crate) fn dispatch(session: ArcBorrow<'_, Session>, request: u32, argument: usize) -> Result {
    // First: whatever is asked for, it is the answer.
    if session.device().is_gone() {
        return Err(ENODEV);
    }
    let argument = UserSlice::new(UserPtr::from_addr(argument), uapi::ioctl::size(request));
    match uapi::ioctl::command(request) {
        INFO => info(session, argument),
        COPY => copy(session, argument),
        SUBMIT => submit(session, argument),
        RESET => reset(session, argument),
        EVENTFD => set_eventfd(session, argument),
        COALESCE => coalesce(session, argument),
        CREATE_BUFFER => create_buffer(session, argument),
        IMPORT_BUFFER => import_buffer(session, argument),
        EXPORT_BUFFER => export_buffer(session, argument),
        FREE_BUFFER => free_buffer(session, argument),
        SYNC => sync(session, argument),
        _ => Err(ENOTTY),
    }
}

#[inline(never)]
fn info(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let device = session.device();
    put(
        argument.writer(),
        &Info {
            abi_version: uapi::ABI_VERSION,
            engine: device.engine().id(),
            capabilities: CAPABILITIES,
            // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
            buffer_bytes: session.buffer_bytes() as u64,
            max_transfer_bytes: device.engine().max_transfer_bytes(),
            session: session.number(),
            rings_offset: session.buffer_bytes() as u64,
            ring_entries: session.rings().lock().entries(),
            reserved0: 0,
            reserved: 0,
        },
    )
}

#[inline(never)]
fn copy(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let (reader, writer) = argument.reader_writer();
    // Read once: user space may change its copy at any time.
    let mut copy: Copy = get(reader)?;
    if copy.flags != 0 || copy.reserved != 0 {
        return Err(EINVAL);
    }
    let ends = session.ends(copy.source_buffer, copy.destination_buffer)?;
    let (source, destination, length) = (copy.source_offset, copy.destination_offset, copy.length);
    let (from, to) = (ends.source_bytes(), ends.destination_bytes());
    if copy.source_buffer == copy.destination_buffer {
        uapi::transfer::check_copy(source, destination, length, to)
    } else {
        uapi::transfer::check_copy_between(source, from, destination, to, length)
    }
    .map_err(|_| EINVAL)?;
    if length > session.device().engine().max_transfer_bytes() {
        return Err(EINVAL);
    }

    let work = Work::Copy {
        source,
        destination,
        length,
    };
    let request = ends.request(work)?.ok_or(EINVAL)?;
    let (sequence, duration) = session.transfer(request)?;
    copy.sequence = sequence;
    copy.duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(0);
    put(writer, &copy)
}

#[inline(never)]
fn submit(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let (mut reader, mut writer) = argument.reader_writer();
    /// As such it is copied without a look at where the kernel has it, which costs more than it.
    type Words = [u64; 2];
    let is_exact = reader.len() == size_of::<Submit>();
    // Read once: user space may change its copy at any time.
    let mut submit: Submit = if is_exact {
        zerocopy::transmute!(reader.read::<Words>()?)
    } else {
        get(reader)?
    };
    if submit.flags != 0 || submit.taken != 0 {
        return Err(EINVAL);
    }
    submit.taken = session.submit(submit.count, submit.wait)?;
    if is_exact {
        let words: Words = zerocopy::transmute!(submit);
        return writer.write(&words);
    }
    put(writer, &submit)
}

#[inline(never)]
fn set_eventfd(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let eventfd: Eventfd = get(argument.reader())?;
    if eventfd.flags != 0 || eventfd.reserved != 0 {
        return Err(EINVAL);
    }
    let notifier = session.notifier();
    match eventfd.descriptor {
        -1 => notifier.forget(),
        descriptor => notifier.set_eventfd(EventFd::from_fd(descriptor)?)?,
    }
    // A device that has gone meanwhile tells nobody any more.
    if session.device().is_gone() {
        notifier.forget();
        return Err(ENODEV);
    }
    Ok(())
}

#[inline(never)]
fn coalesce(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let (reader, writer) = argument.reader_writer();
    let mut coalesce: Coalesce = get(reader)?;
    if coalesce.flags != 0 || coalesce.reserved != 0 {
        return Err(EINVAL);
    }
    let coalescing = Coalescing::new(coalesce.count, coalesce.microseconds)?;
    let before = session.notifier().set_coalescing(coalescing);
    coalesce.count = before.count();
    coalesce.microseconds = before.microseconds();
    put(writer, &coalesce)
}

#[inline(never)]
fn create_buffer(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let (reader, writer) = argument.reader_writer();
    let mut create: CreateBuffer = get(reader)?;
    if create.flags != 0 || create.buffer != 0 {
        return Err(EINVAL);
    }
    let number = session.create_buffer(create.bytes)?;
    create.buffer = number.into();
    put(writer, &create).inspect_err(|_| unknown(&session, number))
}

#[inline(never)]
fn import_buffer(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let (reader, writer) = argument.reader_writer();
    let mut import: ImportBuffer = get(reader)?;
    let others = [import.flags, import.buffer, import.reserved];
    if others != [0; 3] || import.bytes != 0 {
        return Err(EINVAL);
    }
    let (number, bytes) = session.import_buffer(import.fd)?;
    (import.buffer, import.bytes) = (number.into(), bytes);
    put(writer, &import).inspect_err(|_| unknown(&session, number))
}

/// Gives a buffer up whose number nobody has been told.
fn unknown(session: &Session, number: u8) {
    // It is not there any more only when another thread has guessed its number.
    let _ = session.free_buffer(number);
}

#[inline(never)]
fn export_buffer(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let (reader, writer) = argument.reader_writer();
    let mut export: ExportBuffer = get(reader)?;
    if export.flags != 0 || export.fd != 0 || export.reserved != 0 {
        return Err(EINVAL);
    }
    let dma_buf = session.numbered(number(export.buffer)?)?.export()?;
    let descriptor = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
    export.fd = i32::try_from(descriptor.reserved_fd())?;
    put(writer, &export)?;
    // Last, because it cannot be taken back.
    descriptor.fd_install(dma_buf.into_file());
    Ok(())
}

#[inline(never)]
fn free_buffer(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let free: FreeBuffer = get(argument.reader())?;
    if free.flags != 0 {
        return Err(EINVAL);
    }
    session.free_buffer(number(free.buffer)?)
}

#[inline(never)]
fn sync(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    let sync: Sync = get(argument.reader())?;
    if sync.flags != 0 || sync.length == 0 {
        return Err(EINVAL);
    }
    let direction = match sync.direction {
        uapi::ioctl::DIRECTION_TO_DEVICE => DataDirection::ToDevice,
        uapi::ioctl::DIRECTION_FROM_DEVICE => DataDirection::FromDevice,
        uapi::ioctl::DIRECTION_BIDIRECTIONAL => DataDirection::Bidirectional,
        _ => return Err(EINVAL),
    };
    let side = match sync.side {
        uapi::ioctl::SYNC_FOR_CPU => Side::Cpu,
        uapi::ioctl::SYNC_FOR_DEVICE => Side::Device,
        _ => return Err(EINVAL),
    };
    let number = number(sync.buffer)?;
    // The same buffer as the one that is checked.
    let ends = session.ends(number, number)?;
    if !uapi::transfer::within(sync.offset, sync.length, ends.destination_bytes()) {
        return Err(EINVAL);
    }
    let start = usize::try_from(sync.offset)?;
    ends.pass(
        start..start + usize::try_from(sync.length)?,
        direction,
        side,
    )
}

/// The number of a buffer, if it can be one.
fn number(number: u32) -> Result<u8> {
    u8::try_from(number).map_err(|_| EINVAL)
}

#[inline(never)]
fn reset(session: ArcBorrow<'_, Session>, argument: UserSlice) -> Result {
    require_admin()?;
    let reset: Reset = get(argument.reader())?;
    if reset.flags != 0 || reset.reserved != 0 {
        return Err(EINVAL);
    }
    session.device().queue().reset()
}

/// Reads a structure of which the caller may know less or more than we do, as
/// `copy_struct_from_user()` does.
fn get<T: FromBytes + IntoBytes>(mut reader: UserSliceReader) -> Result<T> {
    let mut value = T::new_zeroed();
    let known = min(reader.len(), size_of::<T>());
    reader.read_slice(&mut value.as_mut_bytes()[..known])?;

    let mut rest = [0; 64];
    while !reader.is_empty() {
        let rest = &mut rest[..min(reader.len(), 64)];
        reader.read_slice(rest)?;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(E2BIG);
        }
    }
    Ok(value)
}

/// Writes a structure of which the caller may know less or more than we do, as
/// `copy_struct_to_user()` does: what we do not know is zero.
fn put<T: IntoBytes + zerocopy::Immutable>(mut writer: UserSliceWriter, value: &T) -> Result {
    let known = min(writer.len(), size_of::<T>());
    writer.write_slice(&value.as_bytes()[..known])?;

    let zeros = [0; 64];
    while !writer.is_empty() {
        writer.write_slice(&zeros[..min(writer.len(), 64)])?;
    }
    Ok(())
}
