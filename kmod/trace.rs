// SPDX-License-Identifier: GPL-2.0

//! Tracepoints in the life of a transfer, see `ABI/tracepoint-dmacopy`.
//!
//! Each transfer has one [`submit`], then at most one [`start`], and one more each time that it is
//! given to the engine anew, and then one [`end`], which is there before anybody is told of the
//! outcome. While nobody traces, each costs a `nop`.

use kernel::{
    prelude::*,
    time::Delta, //
};

use crate::{
    sys::tracepoint,
    transfer::Transfer, //
};

/// `transfer` has been put into the queue of device number `device`.
#[inline]
pub(crate) fn submit(device: u32, transfer: &Transfer) {
    tracepoint::dmacopy_submit(|| {
        let (session, sequence, length) = identity(transfer);
        (device, session, sequence, length)
    });
}

/// The engine has taken `transfer`.
#[inline]
pub(crate) fn start(device: u32, transfer: &Transfer) {
    tracepoint::dmacopy_start(|| {
        let (session, sequence, length) = identity(transfer);
        (device, session, sequence, length)
    });
}

/// The engine is through with `transfer`, as `result` says, `latency` after the submission.
#[inline]
pub(crate) fn end(device: u32, transfer: &Transfer, latency: Delta, result: Result) {
    match result {
        Ok(()) => complete(device, transfer, latency),
        Err(reason) => error(device, transfer, reason),
    }
}

/// The engine has moved the bytes of `transfer`.
#[inline]
fn complete(device: u32, transfer: &Transfer, latency: Delta) {
    tracepoint::dmacopy_complete(|| {
        let (session, sequence, length) = identity(transfer);
        (device, session, sequence, length, nanoseconds(latency))
    });
}

/// `transfer` has ended without its bytes being moved, because of `reason`.
#[inline]
pub(crate) fn error(device: u32, transfer: &Transfer, reason: Error) {
    tracepoint::dmacopy_error(|| {
        let (session, sequence, length) = identity(transfer);
        let latency = transfer.submitted().elapsed();
        (
            device,
            session,
            sequence,
            length,
            nanoseconds(latency),
            -reason.to_errno(),
        )
    });
}

/// Which transfer it is, and how long.
fn identity(transfer: &Transfer) -> (u64, u64, u64) {
    let request = transfer.request();
    // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
    (request.session, transfer.sequence(), request.length as u64)
}

fn nanoseconds(latency: Delta) -> u64 {
    // A monotonic clock does not run backwards.
    u64::try_from(latency.as_nanos()).unwrap_or(0)
}
