// SPDX-License-Identifier: GPL-2.0

//! Messages of a generic netlink family, and the socket buffers that they are composed in.

use core::{
    marker::PhantomData,
    mem::{
        size_of,
        ManuallyDrop, //
    },
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    prelude::*, //
};

use crate::sys::compat::{
    bindings,
    genl_sock, //
};

/// A socket buffer that is ours.
///
/// # Invariants
///
/// The pointer is that of a socket buffer that `genlmsg_new` has made, and nobody else has it.
pub(super) struct Buffer(NonNull<bindings::sk_buff>);

impl Buffer {
    /// Makes a buffer with room for attributes of `size` bytes.
    #[doc(alias = "genlmsg_new")]
    pub(super) fn new(size: usize) -> Result<Self> {
        // SAFETY: There is nothing to promise.
        let buffer = unsafe { bindings::genlmsg_new(size, bindings::GFP_KERNEL) };
        // INVARIANT: It has just been made.
        Ok(Self(NonNull::new(buffer).ok_or(ENOMEM)?))
    }

    /// The buffer as C has it.
    pub(super) fn as_raw(&self) -> NonNull<bindings::sk_buff> {
        self.0
    }

    /// Sends what is in the buffer to the socket with this port in the initial namespace.
    #[doc(alias = "genlmsg_reply")]
    pub(super) fn unicast(self, port: u32) -> Result {
        let this = ManuallyDrop::new(self);
        // SAFETY: The socket is valid. By the type invariants, the buffer is valid and ours, and it is
        // given away.
        let sent = unsafe {
            bindings::netlink_unicast(
                genl_sock(),
                this.0.as_ptr(),
                port,
                // CAST: The constant is 64.
                bindings::MSG_DONTWAIT as c_int,
            )
        };
        // Else this is how many bytes were sent.
        to_result(sent.min(0))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the buffer is valid and ours.
        unsafe { bindings::nlmsg_free(self.0.as_ptr()) };
    }
}

/// A message that is being composed. It is taken back when this is dropped.
///
/// # Invariants
///
/// `buffer` is a socket buffer that nobody else accesses during `'a`, and `header` is what
/// `genlmsg_put` returned for it; only attributes have been put behind that.
pub(crate) struct Message<'a> {
    buffer: NonNull<bindings::sk_buff>,
    header: NonNull<c_void>,
    _buffer: PhantomData<&'a mut bindings::sk_buff>,
}

impl<'a> Message<'a> {
    /// Begins a message at the end of `buffer`, to a port, in answer to the request with a sequence
    /// number. Fails with `EMSGSIZE` if there is no room.
    ///
    /// # Safety
    ///
    /// The buffer must be valid for netlink messages, and accessed during `'a` by the message only.
    /// The family must be valid.
    #[doc(alias = "genlmsg_put")]
    pub(super) unsafe fn begin(
        buffer: NonNull<bindings::sk_buff>,
        (port, sequence): (u32, u32),
        family: *const bindings::genl_family,
        flags: u32,
        command: u8,
    ) -> Result<Self> {
        // CAST: Flags have 16 bits.
        let flags = flags as c_int;
        // SAFETY: The caller promises that the buffer and the family are valid.
        let header = unsafe {
            bindings::genlmsg_put(buffer.as_ptr(), port, sequence, family, flags, command)
        };
        // INVARIANT: The caller promises what is said of the buffer, and there are no attributes.
        Ok(Self {
            buffer,
            header: NonNull::new(header).ok_or(EMSGSIZE)?,
            _buffer: PhantomData,
        })
    }

    /// Puts an attribute of type `u32`.
    pub(crate) fn put_u32(&mut self, attribute: u16, value: u32) -> Result {
        self.put(attribute, &value.to_ne_bytes())
    }

    /// Puts an attribute of type `uint`.
    #[doc(alias = "nla_put_uint")]
    pub(crate) fn put_uint(&mut self, attribute: u16, value: u64) -> Result {
        match u32::try_from(value) {
            Ok(value) => self.put_u32(attribute, value),
            Err(_) => self.put(attribute, &value.to_ne_bytes()),
        }
    }

    /// Puts an attribute that is a string.
    pub(crate) fn put_string(&mut self, attribute: u16, value: &CStr) -> Result {
        self.put(attribute, value.to_bytes_with_nul())
    }

    /// Fails with `EMSGSIZE` if there is no room.
    #[doc(alias = "nla_put")]
    fn put(&mut self, attribute: u16, value: &[u8]) -> Result {
        /// The length of an attribute, its header included, has 16 bits.
        // CAST: Widening, in a constant.
        const MAX_LENGTH: usize = u16::MAX as usize - size_of::<bindings::nlattr>();
        if value.len() > MAX_LENGTH {
            return Err(EMSGSIZE);
        }
        // SAFETY: By the type invariants, the buffer is valid and ours to access, and as many bytes
        // can be read from `value`.
        to_result(unsafe {
            bindings::nla_put(
                self.buffer.as_ptr(),
                c_int::from(attribute),
                // CAST: It is at most `MAX_LENGTH`.
                value.len() as c_int,
                ptr::from_ref(value).cast(),
            )
        })
    }

    /// Completes the message.
    #[doc(alias = "genlmsg_end")]
    pub(super) fn end(self) {
        let this = ManuallyDrop::new(self);
        // SAFETY: By the type invariants, this is the header of a message in the buffer.
        unsafe { bindings::genlmsg_end(this.buffer.as_ptr(), this.header.as_ptr()) };
    }
}

impl Drop for Message<'_> {
    #[doc(alias = "genlmsg_cancel")]
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this is the header of a message in the buffer, which is
        // the last one there.
        unsafe { bindings::genlmsg_cancel(self.buffer.as_ptr(), self.header.as_ptr()) };
    }
}
