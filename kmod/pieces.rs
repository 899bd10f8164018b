// SPDX-License-Identifier: GPL-2.0

//! A transfer as an engine sees it that is hardware: pieces, by the addresses of the device.

use core::cmp::min;

use kernel::prelude::*;

use crate::transfer::{
    Request,
    Source, //
};

/// A part of a transfer that is contiguous at both ends.
///
/// Its addresses are valid for the device of the buffers as long as the engine has the transfer: from
/// when it took it until it completes it, or forgets it in a reset.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    /// Where to read; [`None`] if it is to be filled with the pattern of the transfer.
    pub(crate) source: Option<u64>,
    /// Where to write.
    pub(crate) destination: u64,
    /// How many bytes, at least one.
    pub(crate) length: usize,
}

impl Request {
    /// The piece that begins where `done` bytes are behind it, at most `max_bytes` bytes long.
    ///
    /// An error if the buffer is gone or has never got its memory, or if nothing is left.
    pub(crate) fn piece(&self, done: usize, max_bytes: usize) -> Result<Piece> {
        let left = self.length.checked_sub(done).ok_or(EINVAL)?;
        // OVERFLOW: Whoever has made the request has checked its ranges.
        let destination = self.buffer.segment(self.destination + done)?;
        let mut length = min(left, max_bytes);
        length = min(length, destination.length);
        let source = match self.source {
            Source::Pattern(_) => None,
            Source::Offset(offset) => Some((&self.buffer, offset)),
            Source::Buffer(ref buffer, offset) => Some((buffer, offset)),
        };
        let source = match source {
            None => None,
            Some((buffer, offset)) => {
                let source = buffer.segment(offset + done)?;
                length = min(length, source.length);
                Some(source.address)
            }
        };
        if length == 0 {
            return Err(EINVAL);
        }
        Ok(Piece {
            source,
            destination: destination.address,
            length,
        })
    }
}
