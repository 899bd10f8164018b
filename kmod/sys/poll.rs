// SPDX-License-Identifier: GPL-2.0

//! The result of `poll`.
//!
//! C header: [`include/uapi/linux/eventpoll.h`](srctree/include/uapi/linux/eventpoll.h)

use core::ops::BitOr;

use kernel::bindings;

/// What a file is ready for.
#[derive(Clone, Copy)]
pub(crate) struct PollEvents(u32);

impl PollEvents {
    /// Nothing.
    pub(crate) const NONE: Self = Self(0);
    /// `EPOLLIN | EPOLLRDNORM`: there is data to read.
    pub(crate) const READABLE: Self = Self(bindings::POLLIN | bindings::POLLRDNORM);
    /// `EPOLLOUT | EPOLLWRNORM`: there is room to write.
    pub(crate) const WRITABLE: Self = Self(bindings::POLLOUT | bindings::POLLWRNORM);
    /// `EPOLLERR`: there is an error.
    pub(crate) const ERROR: Self = Self(bindings::POLLERR);
    /// `EPOLLHUP`: the other side is gone.
    pub(crate) const HANG_UP: Self = Self(bindings::POLLHUP);

    /// The bits as C has them.
    pub(super) fn as_raw(self) -> bindings::__poll_t {
        self.0
    }
}

impl BitOr for PollEvents {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
