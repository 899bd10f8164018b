// SPDX-License-Identifier: GPL-2.0

//! `mmap(2)`: the session's buffer, from offset 0 on, and its rings behind it.

use kernel::{
    mm::virt::{
        flags,
        VmaNew, //
    },
    prelude::*, //
};

use crate::{
    session::Session,
    uapi::transfer, //
};

/// Maps a part of the session's buffer and rings.
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

    let buffer = session.buffer();
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
    buffer.map(area)
}
