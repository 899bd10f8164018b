// SPDX-License-Identifier: GPL-2.0

//! `mmap(2)`: the session's buffer, from offset 0 on, its rings behind it, and far behind those
//! its other buffers, by their numbers.

use kernel::{
    mm::virt::VmaNew,
    prelude::*, //
};

use crate::{
    session::Session,
    sys::compat::flags,
    uapi::{
        ioctl::map_offset,
        transfer, //
    }, //
};

/// How far the buffers are apart.
const STRIDE: u64 = map_offset(1);

/// Maps a part of a buffer of the session, or of its rings.
///
/// A private mapping is refused, since its writes would not reach the engine, and so is an
/// executable one.
pub(crate) fn map(session: &Session, area: &VmaNew, offset: u64) -> Result {
    if session.device().is_gone() {
        return Err(ENODEV);
    }
    // A shared mapping of a file that is open for reading only has lost `SHARED` by now, and
    // `MAYWRITE` with it. It keeps `MAYSHARE`, which a private one never has.
    if area.flags() & flags::MAYSHARE == 0 {
        return Err(EINVAL);
    }

    let number = u8::try_from(offset / STRIDE).map_err(|_| EINVAL)?;
    let (buffer, offset) = (session.numbered(number)?, offset % STRIDE);
    // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
    let (length, buffer_bytes) = ((area.end() - area.start()) as u64, buffer.bytes() as u64);
    if !transfer::within(offset, length, buffer_bytes) {
        return Err(EINVAL);
    }

    area.try_clear_mayexec()?;
    // A child of fork() is another client and opens its own session.
    area.set_dontcopy();
    area.set_dontexpand();
    area.set_dontdump();
    buffer.map(area, usize::try_from(offset)?)
}
