// SPDX-License-Identifier: GPL-2.0

//! Generic netlink families with what `kernel::net::netlink` lacks: commands, with their policies,
//! replies and dumps.
//!
//! A family is in the initial network namespace only.
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

use core::{
    marker::PhantomData,
    mem::{
        size_of,
        size_of_val,
        ManuallyDrop, //
    },
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use super::compat::{
    bindings,
    genl_sock,
    MulticastGroup,
    ENOBUFS,
    GENLMSG_DEFAULT_SIZE, //
};

use message::Buffer;
pub(crate) use message::Message;

mod message;

/// A command that user space sends to ask for one thing or, as a dump, for all.
pub(crate) trait Command: 'static {
    /// The number of the command, which is also that of the messages that answer it.
    const NUMBER: u8;

    /// The attributes that a request for one thing may have, by their numbers; the one with number
    /// 0 stands for nothing. A request for all has none.
    const POLICY: &'static [Policy];

    /// Puts into `reply` what is asked for.
    ///
    /// Calls may run in parallel.
    fn answer(request: &Request<'_>, reply: &mut Message<'_>) -> Result;

    /// Puts the first thing from `position` on into `message`, and returns the position behind it;
    /// [`None`] when there is no more.
    ///
    /// A dump begins at position 0. It waits between two calls for as long as user space likes.
    fn next(position: u32, message: &mut Message<'_>) -> Result<Option<u32>>;

    /// A number that changes when there is more or less to dump.
    fn generation() -> u32;
}

/// What an attribute must be like.
#[repr(transparent)]
pub(crate) struct Policy(bindings::nla_policy);

// SAFETY: A policy is never written to, and has no pointers.
unsafe impl Sync for Policy {}

impl Policy {
    /// There must be no such attribute.
    pub(crate) const REFUSED: Self = Self(pin_init::zeroed());

    /// A number of four bytes.
    pub(crate) const U32: Self = {
        let mut policy: bindings::nla_policy = pin_init::zeroed();
        // CAST: The constant is 3.
        policy.type_ = bindings::NLA_U32 as u8;
        Self(policy)
    };
}

/// A request of user space, whose attributes have been checked against the policy.
///
/// # Invariants
///
/// The pointers in `attributes` are null or those of an attribute, with as many bytes as its length
/// says, which is at least that of a `struct nlattr`; `info` has no other attributes.
pub(crate) struct Request<'a> {
    info: &'a bindings::genl_info,
    attributes: &'a [*mut bindings::nlattr],
}

impl Request<'_> {
    /// The value of an attribute of four bytes, which must be there.
    pub(crate) fn u32(&self, attribute: u16) -> Result<u32> {
        let Some(found) = self.attribute(attribute) else {
            if let Some(extack) = self.extack() {
                // SAFETY: By the contract of `extack`, it is valid and nobody else accesses it.
                unsafe { (*extack.as_ptr()).miss_type = attribute };
            }
            return Err(self.refuse(None, c"an attribute is missing", EINVAL));
        };
        // SAFETY: By the type invariants, the attribute can be read.
        let length = usize::from(unsafe { (*found.as_ptr()).nla_len });
        if length != size_of::<bindings::nlattr>() + size_of::<u32>() {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants, as many bytes can be read as the length says, and that is
        // four behind the header.
        Ok(unsafe { found.add(1).cast::<u32>().read_unaligned() })
    }

    /// Tells user space why the request is refused, and because of which attribute.
    #[doc(alias = "NL_SET_ERR_MSG_ATTR")]
    pub(crate) fn refuse(
        &self,
        attribute: Option<u16>,
        reason: &'static CStr,
        error: Error,
    ) -> Error {
        if let Some(extack) = self.extack() {
            let attribute = attribute.and_then(|attribute| self.attribute(attribute));
            let attribute = attribute.map_or(ptr::null(), |found| found.as_ptr().cast_const());
            // SAFETY: By the contract of `extack`, it is valid and nobody else accesses it. The
            // attribute is null or lies in the message that the extended acknowledgement is about,
            // and the reason lives as long as the module: unregistering the family, which comes
            // before its end, waits until the request has been acknowledged.
            unsafe {
                (*extack.as_ptr())._msg = reason.as_char_ptr();
                (*extack.as_ptr()).bad_attr = attribute;
            }
        }
        error
    }

    fn attribute(&self, attribute: u16) -> Option<NonNull<bindings::nlattr>> {
        let attribute = self.attributes.get(usize::from(attribute))?;
        NonNull::new(*attribute)
    }

    /// What becomes the extended acknowledgement: valid as long as the request is, and accessed by
    /// the one who handles the request only.
    fn extack(&self) -> Option<NonNull<bindings::netlink_ext_ack>> {
        NonNull::new(self.info.extack)
    }
}

/// The C side of a command: asked for one thing or for all.
#[repr(transparent)]
pub(crate) struct Operation(bindings::genl_split_ops);

// SAFETY: An operation is never written to, and what it points to is not either.
unsafe impl Sync for Operation {}

impl Operation {
    /// The two operations of a command, in the order that a family needs.
    pub(crate) const fn both<C: Command>() -> [Self; 2] {
        // With less than an attribute, requests would have no array of attributes.
        const { assert!(C::POLICY.len() >= 2 && C::POLICY.len() <= 1 << 16) };

        let mut answer: bindings::genl_split_ops = pin_init::zeroed();
        answer.cmd = C::NUMBER;
        // CAST: The constant is 2.
        answer.flags = bindings::GENL_CMD_CAP_DO as u8;
        answer.policy = C::POLICY.as_ptr().cast();
        // CAST: Asserted above.
        answer.maxattr = (C::POLICY.len() - 1) as c_uint;
        answer.__bindgen_anon_1.__bindgen_anon_1 =
            bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
                pre_doit: None,
                doit: Some(Adapter::<C>::answer),
                post_doit: None,
            };

        // Without a policy, no attribute is accepted.
        let mut dump: bindings::genl_split_ops = pin_init::zeroed();
        dump.cmd = C::NUMBER;
        // CAST: The constant is 4.
        dump.flags = bindings::GENL_CMD_CAP_DUMP as u8;
        dump.__bindgen_anon_1.__bindgen_anon_2 =
            bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
                start: None,
                dumpit: Some(Adapter::<C>::dump),
                done: None,
            };

        [Self(answer), Self(dump)]
    }
}

/// The functions behind an [`Operation`] of a command.
struct Adapter<C>(PhantomData<C>);

impl<C: Command> Adapter<C> {
    /// # Safety
    ///
    /// Must be called by generic netlink, for a request to a [`Family`] whose attributes have been
    /// parsed with `C::POLICY`.
    unsafe extern "C" fn answer(
        _request: *mut bindings::sk_buff,
        info: *mut bindings::genl_info,
    ) -> c_int {
        // SAFETY: The caller promises that `info` is valid; it is ours during the call.
        let info = unsafe { &*info };
        // SAFETY: As many attributes were parsed as `maxattr` says, which is one less than the
        // policy has, and that many pointers were allocated, and one more. There is a policy, so
        // the array is not null.
        let attributes = unsafe { slice::from_raw_parts(info.attrs, C::POLICY.len()) };
        // INVARIANT: `__nla_parse` sets a pointer to null or to an attribute of the message, whose
        // length it has checked.
        let request = Request { info, attributes };

        let compose = || {
            let buffer = Buffer::new(GENLMSG_DEFAULT_SIZE)?;
            // SAFETY: The caller promises that the request is to a registered family, and the buffer
            // is used again when the reply is complete.
            let mut reply = unsafe {
                Message::begin(
                    buffer.as_raw(),
                    (info.snd_portid, info.snd_seq),
                    info.family,
                    0,
                    C::NUMBER,
                )?
            };
            C::answer(&request, &mut reply)?;
            reply.end();
            buffer.unicast(info.snd_portid)
        };
        compose().map_or_else(Error::to_errno, |()| 0)
    }

    /// # Safety
    ///
    /// Must be called by generic netlink, for a dump from a [`Family`], with a socket buffer for
    /// messages.
    unsafe extern "C" fn dump(
        buffer: *mut bindings::sk_buff,
        callback: *mut bindings::netlink_callback,
    ) -> c_int {
        // SAFETY: The caller promises that `callback` is valid; it is ours during the call.
        let callback = unsafe { &mut *callback };
        // SAFETY: In a dump, generic netlink has its `struct genl_dumpit_info` there.
        let info = unsafe { &(*callback.data.cast::<bindings::genl_dumpit_info>()).info };
        // SAFETY: All of the union is zero when a dump begins, and only written to below.
        let position = unsafe { &mut callback.__bindgen_anon_1.args[0] };

        loop {
            // Before looking. Zero would mean that it does not count.
            callback.seq = C::generation() | 1 << 31;
            let flags = if callback.prev_seq != 0 && callback.prev_seq != callback.seq {
                bindings::NLM_F_MULTI | bindings::NLM_F_DUMP_INTR
            } else {
                bindings::NLM_F_MULTI
            };
            // SAFETY: The caller promises that the buffer is valid, and it is ours during the call.
            // The family stays registered: the dump keeps the module from being unloaded.
            let message = unsafe {
                Message::begin(
                    NonNull::new_unchecked(buffer),
                    (info.snd_portid, info.snd_seq),
                    info.family,
                    flags,
                    C::NUMBER,
                )
            };
            // CAST: This is a `u32` that was stored below, or 0.
            let next = message.and_then(|mut message| {
                let next = C::next(*position as u32, &mut message)?;
                if next.is_some() {
                    message.end();
                }
                Ok(next)
            });
            match next {
                Ok(Some(next)) => {
                    callback.prev_seq = callback.seq;
                    // CAST: The bits are kept where `c_long` is not wider.
                    *position = next as c_long;
                }
                // Netlink goes on with an empty buffer, and ends the dump if that does not do.
                Err(error) => return error.to_errno(),
                Ok(None) => return 0,
            }
        }
    }
}

/// A generic netlink family.
#[repr(transparent)]
pub(crate) struct Family(Opaque<bindings::genl_family>);

// SAFETY: The generic netlink core writes to a family when it is registered and unregistered, with
// its locks held; all else only reads.
unsafe impl Sync for Family {}

impl Family {
    /// A family that is not registered yet.
    ///
    /// For constants only: panics when the name is too long or there are too many of something.
    pub(crate) const fn new(
        module: &ThisModule,
        name: &CStr,
        version: u8,
        groups: &'static [MulticastGroup],
        operations: &'static [Operation],
    ) -> Self {
        /// `parallel_ops`, the second of the bit fields.
        const PARALLEL: u8 = if cfg!(target_endian = "little") {
            1 << 1
        } else {
            1 << 6
        };
        assert!(groups.len() <= 1 << 7 && operations.len() <= 1 << 7);

        let mut family: bindings::genl_family = pin_init::zeroed();
        let name = name.to_bytes_with_nul();
        assert!(name.len() <= size_of_val(&family.name));
        let mut i = 0;
        while i < name.len() {
            family.name[i] = name[i];
            i += 1;
        }
        // CAST: Widening, in a constant.
        family.version = version as c_uint;
        family._bitfield_1 = bindings::__BindgenBitfieldUnit::new([PARALLEL]);
        family.module = module.as_ptr();
        family.mcgrps = groups.as_ptr().cast();
        // CAST: Asserted above.
        family.n_mcgrps = groups.len() as u8;
        family.split_ops = operations.as_ptr().cast();
        // CAST: Asserted above.
        family.n_split_ops = operations.len() as u8;
        Self(Opaque::new(family))
    }

    /// Makes the family known to user space, until the result is dropped.
    #[doc(alias = "genl_register_family")]
    pub(crate) fn register(&'static self) -> Result<Registration> {
        // SAFETY: The family is valid and lives as long as the module, whose end drops the
        // registration. All that it points to does so too.
        to_result(unsafe { bindings::genl_register_family(self.0.get()) })?;
        // INVARIANT: It has just been registered.
        Ok(Registration(self))
    }

    /// Sends a message to all who listen to group `group`, an index into the groups of the family.
    ///
    /// When that fails, they are told that something is missing.
    #[doc(alias = "genlmsg_multicast")]
    pub(crate) fn multicast(
        &'static self,
        group: u8,
        command: u8,
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) {
        let family = self.0.get();
        // SAFETY: Nobody writes to this field.
        if group >= unsafe { (*family).n_mcgrps } {
            return;
        }
        let net = &raw mut bindings::init_net;
        // SAFETY: The family and the namespace are valid, and the group is one of the family's.
        if unsafe { bindings::genl_has_listeners(family, net, c_uint::from(group)) } == 0 {
            return;
        }

        let compose = || {
            let buffer = Buffer::new(GENLMSG_DEFAULT_SIZE)?;
            // SAFETY: The family is valid, and the buffer is used again when the message is complete.
            let mut message =
                unsafe { Message::begin(buffer.as_raw(), (0, 0), family, 0, command)? };
            fill(&mut message)?;
            message.end();
            Ok::<_, Error>(buffer)
        };
        match compose() {
            Ok(buffer) => {
                let buffer = ManuallyDrop::new(buffer);
                // SAFETY: The family is valid, the group is one of the family's, and the buffer,
                // which is given away, has a message. Who could not take it is told by the core.
                unsafe {
                    bindings::genlmsg_multicast(
                        family,
                        buffer.as_raw().as_ptr(),
                        0,
                        c_uint::from(group),
                        bindings::GFP_KERNEL,
                    )
                };
            }
            Err(_) => {
                // SAFETY: The socket is valid. The offset is written when the family is registered;
                // before that, nobody listens.
                unsafe {
                    bindings::netlink_set_err(
                        genl_sock(),
                        0,
                        (*family).mcgrp_offset + c_uint::from(group),
                        ENOBUFS.to_errno(),
                    )
                };
            }
        }
    }
}

/// A family that is known to user space as long as this exists.
///
/// # Invariants
///
/// The family is registered.
pub(crate) struct Registration(&'static Family);

impl Drop for Registration {
    #[doc(alias = "genl_unregister_family")]
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the family is registered. This waits for the requests
        // that are being answered; a dump that is not over has kept the module from being unloaded.
        unsafe { bindings::genl_unregister_family(self.0 .0.get()) };
    }
}
