// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver's requests, and the promise that it does with their arguments what it says.
//!
//! Only a [`crate::Session`] sends them, whose file belongs to the driver: that was checked when it was
//! opened.

use std::os::fd::{FromRawFd as _, OwnedFd};

use dmacopy_uapi::ioctl::{
    self, Coalesce, Copy, CreateBuffer, Eventfd, ExportBuffer, FreeBuffer, ImportBuffer, Info,
    Reset, Submit, Sync,
};
use kernel_channels::chardev::Node;
use kernel_channels::ioctl::{Request, call};
use kernel_channels::uring::Ring;

/// Asks for an [`Info`].
// SAFETY: the code is the driver's for `Info`. The driver writes as many bytes as the code
// announces, before the call returns, and an `Info` holds no address.
pub(crate) const INFO: Request<Info> = unsafe { Request::new(ioctl::INFO) };

/// Asks for a [`struct@Copy`].
// SAFETY: the code is the driver's for `Copy`. The driver reads and writes as many bytes as the
// code announces, before the call returns; the offsets are of its own buffer, not addresses.
pub(crate) const COPY: Request<Copy> = unsafe { Request::new(ioctl::COPY) };

/// Asks for a [`Submit`].
// SAFETY: the code is the driver's for `Submit`. The driver reads and writes as many bytes as the
// code announces, before the call returns; what it takes from the rings are offsets within its own
// buffer, not addresses.
pub(crate) const SUBMIT: Request<Submit> = unsafe { Request::new(ioctl::SUBMIT) };

/// Asks for a [`CreateBuffer`].
pub(crate) const CREATE_BUFFER: Request<CreateBuffer> =
    // SAFETY: the code is the driver's for `CreateBuffer`. The driver reads and writes as many bytes as
    // the code announces, before the call returns, and there is no address among them.
    unsafe { Request::new(ioctl::CREATE_BUFFER) };

/// Asks for an [`ImportBuffer`].
pub(crate) const IMPORT_BUFFER: Request<ImportBuffer> =
    // SAFETY: the code is the driver's for `ImportBuffer`. The driver reads and writes as many bytes as
    // the code announces, before the call returns, and there is no address among them.
    unsafe { Request::new(ioctl::IMPORT_BUFFER) };

/// Asks for an [`ExportBuffer`].
pub(crate) const EXPORT_BUFFER: Request<ExportBuffer> =
    // SAFETY: the code is the driver's for `ExportBuffer`. The driver reads and writes as many bytes as
    // the code announces, before the call returns, and there is no address among them.
    unsafe { Request::new(ioctl::EXPORT_BUFFER) };

/// Asks for a [`FreeBuffer`].
// SAFETY: the code is the driver's for `FreeBuffer`. The driver reads as many bytes as the code
// announces, before the call returns, and there is no address among them.
pub(crate) const FREE_BUFFER: Request<FreeBuffer> = unsafe { Request::new(ioctl::FREE_BUFFER) };

/// Asks for a [`struct@Sync`].
// SAFETY: the code is the driver's for `Sync`. The driver reads as many bytes as the code announces,
// before the call returns; the offset is one in its own buffer, not an address.
pub(crate) const SYNC: Request<Sync> = unsafe { Request::new(ioctl::SYNC) };

/// The dma-buf that an [`EXPORT_BUFFER`] has returned.
pub(crate) fn exported(answer: &ExportBuffer) -> OwnedFd {
    // SAFETY: the driver has just made this descriptor, for nobody but the caller.
    unsafe { OwnedFd::from_raw_fd(answer.fd) }
}

/// Asks for a [`Reset`].
// SAFETY: the code is the driver's for `Reset`. The driver reads as many bytes as the code announces,
// before the call returns, and a `Reset` holds no address.
pub(crate) const RESET: Request<Reset> = unsafe { Request::new(ioctl::RESET) };

/// Passes an [`Eventfd`].
// SAFETY: the code is the driver's for `Eventfd`. The driver reads as many bytes as the code
// announces, before the call returns; it takes a reference to the file that the descriptor is of, and
// no address.
pub(crate) const EVENTFD: Request<Eventfd> = unsafe { Request::new(ioctl::EVENTFD) };

/// Passes a [`Coalesce`].
// SAFETY: the code is the driver's for `Coalesce`. The driver reads and writes as many bytes as the
// code announces, before the call returns, and a `Coalesce` holds no address.
pub(crate) const COALESCE: Request<Coalesce> = unsafe { Request::new(ioctl::COALESCE) };

/// Sends a [`Submit`] by an io_uring.
pub(crate) fn submit_by(
    ring: &mut Ring,
    session: &Node,
    submit: Submit,
    token: u64,
) -> Result<(), kernel_channels::Error> {
    let argument = zerocopy::transmute!(submit);
    // SAFETY: the file is the driver's, which takes a `Submit` for what the operation says, and
    // that holds no address.
    unsafe { ring.command(session, ioctl::SUBMIT, argument, token) }
}

/// Sends a request by its bare code to a session's file.
pub(crate) fn send(
    session: &Node,
    code: u32,
    argument: Option<&mut [u8]>,
) -> Result<i32, kernel_channels::Error> {
    // SAFETY: the file is the driver's, which goes by the size in the code for every request that
    // it knows, at whatever size, refuses all others without a look at the argument, and has none
    // whose argument holds an address. The requests that the kernel answers in the driver's place
    // are for character devices without addresses too.
    unsafe { call(session, code, argument) }
}
