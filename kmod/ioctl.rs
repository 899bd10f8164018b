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
    ioctl::{
        _IOR,
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
    session::Session,
    uapi::{
        self,
        ioctl::{
            Copy,
            Info,
            Submit, //
        }, //
    }, //
};

const _: () = {
    const MAGIC: u32 = uapi::ioctl::MAGIC as u32;
    assert!(uapi::ioctl::INFO == _IOR::<Info>(MAGIC, 0));
    assert!(uapi::ioctl::COPY == _IOWR::<Copy>(MAGIC, 1));
    assert!(uapi::ioctl::SUBMIT == _IOWR::<Submit>(MAGIC, 2));
};

const INFO: u32 = uapi::ioctl::command(uapi::ioctl::INFO);
const COPY: u32 = uapi::ioctl::command(uapi::ioctl::COPY);
const SUBMIT: u32 = uapi::ioctl::command(uapi::ioctl::SUBMIT);

/// What each device offers.
pub(crate) const CAPABILITIES: u64 = uapi::ioctl::CAP_MMAP
    | uapi::ioctl::CAP_STREAM
    | uapi::ioctl::CAP_COPY
    | uapi::ioctl::CAP_RINGS;

/// Carries out one command.
pub(crate) fn dispatch(
    session: ArcBorrow<'_, Session>,
    request: u32,
    argument: usize,
) -> Result<isize> {
    // First: whatever is asked for, it is the answer.
    if session.device().is_gone() {
        return Err(ENODEV);
    }
    let argument = UserSlice::new(UserPtr::from_addr(argument), uapi::ioctl::size(request));
    match uapi::ioctl::command(request) {
        INFO => info(&session, argument.writer())?,
        COPY => {
            let (reader, writer) = argument.reader_writer();
            copy(session, reader, writer)?;
        }
        SUBMIT => {
            let (reader, writer) = argument.reader_writer();
            submit(session, reader, writer)?;
        }
        _ => return Err(ENOTTY),
    }
    Ok(0)
}

fn info(session: &Session, writer: UserSliceWriter) -> Result {
    let device = session.device();
    put(
        writer,
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

fn copy(
    session: ArcBorrow<'_, Session>,
    reader: UserSliceReader,
    writer: UserSliceWriter,
) -> Result {
    // Read once: user space may change its copy at any time.
    let mut copy: Copy = get(reader)?;
    if copy.flags != 0 || copy.reserved != 0 {
        return Err(EINVAL);
    }
    // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
    let buffer_bytes = session.buffer_bytes() as u64;
    uapi::transfer::check_copy(
        copy.source_offset,
        copy.destination_offset,
        copy.length,
        buffer_bytes,
    )
    .map_err(|_| EINVAL)?;
    if copy.length > session.device().engine().max_transfer_bytes() {
        return Err(EINVAL);
    }

    let (sequence, duration) = session.copy(
        usize::try_from(copy.source_offset)?,
        usize::try_from(copy.destination_offset)?,
        usize::try_from(copy.length)?,
    )?;
    copy.sequence = sequence;
    copy.duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(0);
    put(writer, &copy)
}

fn submit(
    session: ArcBorrow<'_, Session>,
    reader: UserSliceReader,
    writer: UserSliceWriter,
) -> Result {
    // Read once: user space may change its copy at any time.
    let mut submit: Submit = get(reader)?;
    if submit.flags != 0 || submit.taken != 0 {
        return Err(EINVAL);
    }
    submit.taken = session.submit(submit.count, submit.wait)?;
    put(writer, &submit)
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
