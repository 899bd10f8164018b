// SPDX-License-Identifier: GPL-2.0

//! What differs between the kernels that the driver is built for.
//!
//! All else is written for Linux 7.3, and takes from here what an older kernel lacks or has another
//! way: for 7.3 that is the kernel's own item, for the older one its like. `Kbuild` says which it is
//! by `--cfg linux_7_2`. When a kernel is supported no more, its half of this file goes.
//!
//! | | Linux 7.2 | Linux 7.3 |
//! |---|---|---|
//! | the module itself | `THIS_MODULE`, which `module!` defines | `this_module`, and `#[vtable]` names it |
//! | a parameter that is on or off | none: it is an `u8` | `bool` |
//! | a table of device ids | names another, for user space | does not |
//! | generic netlink | no bindings, no helpers in C | both, and `kernel::net::netlink` |
//! | a condition to poll for | waits for its readers when it goes | is freed behind them, `PollCondVarBox` |
//! | a coherent allocation | `dma_handle`, and access by its address | `dma_address`, and `io_project!` |
//! | a message-signalled interrupt | a handler is told its device | borrows from its vectors |
//! | a barrier for what a device writes | no helper in C | `dma_mb` |
//! | error numbers | those of `errno-base.h`, and a few | all |
//! | `flags::MAYSHARE` | has the value of `MAYEXEC`, which is wrong | is right |

mod pci;

pub(crate) use self::pci::*;
#[cfg(linux_7_2)]
pub(crate) use linux_7_2::*;
#[cfg(not(linux_7_2))]
pub(crate) use newest::*;

#[cfg(not(linux_7_2))]
mod newest {
    pub(crate) use kernel::{
        bindings,
        error::code::{
            ECANCELED,
            ENAMETOOLONG,
            ENOBUFS,
            EOPNOTSUPP, //
        },
        io::{
            io_project,
            Io, //
        },
        mm::virt::flags,
        net::netlink::{
            MulticastGroup,
            GENLMSG_DEFAULT_SIZE, //
        },
        of_device_table,
        prelude::module,
        sync::{
            poll::PollCondVarBox,
            rcu::synchronize_rcu, //
        }, //
    };
    use kernel::{
        dma::{
            Coherent,
            DmaAddress, //
        },
        prelude::*,
        ptr::KnownSize,
        sync::barrier::{
            self,
            dma_mb,
            Full,
            Read, //
        },
        time::Delta, //
    };

    /// This module.
    pub(crate) const fn this_module() -> &'static ThisModule {
        kernel::module::this_module::<crate::LocalModule>()
    }

    /// The value of a parameter that is on or off.
    pub(crate) fn is_on(parameter: bool) -> bool {
        parameter
    }

    /// Where the memory begins, for the device.
    pub(crate) fn dma_address<T: KnownSize + ?Sized>(memory: &Coherent<T>) -> DmaAddress {
        memory.dma_address()
    }

    /// Has the processor read what comes after this behind what was before, also as a device writes
    /// it.
    pub(crate) fn dma_rmb() {
        dma_mb(Read);
    }

    /// Has other processors see what was before this before what comes after.
    pub(crate) fn smp_mb() {
        barrier::smp_mb(Full);
    }

    /// The time in milliseconds, rounded up.
    pub(crate) fn as_millis_ceil(time: Delta) -> i64 {
        time.as_millis_ceil()
    }

    /// The generic netlink socket of the initial network namespace, which is there from boot on.
    pub(crate) fn genl_sock() -> *mut bindings::sock {
        // SAFETY: The namespace is valid, and nobody writes to this field of it any more.
        unsafe { bindings::init_net.genl_sock }
    }
}

#[cfg(linux_7_2)]
#[macro_use]
mod linux_7_2 {
    use core::{
        marker::PhantomData,
        mem::transmute,
        ops::{
            Deref,
            Range, //
        }, //
    };

    use kernel::{
        dma::{
            Coherent,
            DmaAddress, //
        },
        page::PAGE_SIZE,
        prelude::*,
        ptr::KnownSize,
        sync::{
            poll::PollCondVar,
            LockClassKey, //
        },
        time::Delta, //
    };

    /// This module.
    pub(crate) const fn this_module() -> &'static ThisModule {
        &crate::THIS_MODULE
    }

    /// As `kernel::module!` of Linux 7.3, where a parameter can be a `bool`.
    macro_rules! module {
        ($($field:tt)*) => {
            $crate::sys::compat::module_fields! { [] $($field)* }
        };
    }

    /// Takes the fields of a module one by one, until there are the parameters.
    macro_rules! module_fields {
        ([$($done:tt)*] params: { $($parameter:tt)* } $(, $($rest:tt)*)?) => {
            $crate::sys::compat::module_parameters! {
                [$($done)*] [] [$($($rest)*)?] $($parameter)*
            }
        };
        ([$($done:tt)*] $field:ident: $value:tt, $($rest:tt)*) => {
            $crate::sys::compat::module_fields! { [$($done)* $field: $value,] $($rest)* }
        };
        ([$($done:tt)*]) => {
            ::kernel::prelude::module! { $($done)* }
        };
    }

    /// Takes the parameters one by one, and makes numbers of those that are on or off.
    macro_rules! module_parameters {
        ($fields:tt [$($done:tt)*] $rest:tt
         $name:ident: bool { default: true, $($more:tt)* }, $($parameter:tt)*) => {
            $crate::sys::compat::module_parameters! {
                $fields [$($done)* $name: u8 { default: 1, $($more)* },] $rest $($parameter)*
            }
        };
        ($fields:tt [$($done:tt)*] $rest:tt
         $name:ident: bool { default: false, $($more:tt)* }, $($parameter:tt)*) => {
            $crate::sys::compat::module_parameters! {
                $fields [$($done)* $name: u8 { default: 0, $($more)* },] $rest $($parameter)*
            }
        };
        ($fields:tt [$($done:tt)*] $rest:tt $name:ident: $type:ident $body:tt, $($parameter:tt)*) => {
            $crate::sys::compat::module_parameters! {
                $fields [$($done)* $name: $type $body,] $rest $($parameter)*
            }
        };
        ([$($fields:tt)*] [$($done:tt)*] [$($rest:tt)*]) => {
            ::kernel::prelude::module! { $($fields)* params: { $($done)* }, $($rest)* }
        };
    }

    /// As `kernel::of_device_table!` of Linux 7.3, which finds its own name for the other table.
    macro_rules! of_device_table {
        ($table:ident, $info:ty, $data:tt $(,)?) => {
            ::kernel::of_device_table!($table, OF_MODULE_TABLE, $info, $data);
        };
    }

    pub(crate) use {
        module,
        module_fields,
        module_parameters,
        of_device_table, //
    };

    /// The value of a parameter that is on or off.
    pub(crate) fn is_on(parameter: &u8) -> bool {
        *parameter != 0
    }

    pub(crate) const ECANCELED: Error = error(bindings::ECANCELED);
    pub(crate) const ENAMETOOLONG: Error = error(bindings::ENAMETOOLONG);
    pub(crate) const ENOBUFS: Error = error(bindings::ENOBUFS);
    pub(crate) const EOPNOTSUPP: Error = error(bindings::EOPNOTSUPP);

    const fn error(number: u32) -> Error {
        assert!(number > 0 && number <= bindings::MAX_ERRNO);
        // CAST: Asserted above.
        // SAFETY: An `Error` is a number of four bytes and, as `transmute` has checked, nothing
        // else. It must be negative and a valid error number, as has been asserted.
        unsafe { transmute(-(number as i32)) }
    }

    /// Where the memory begins, for the device.
    pub(crate) fn dma_address<T: KnownSize + ?Sized>(memory: &Coherent<T>) -> DmaAddress {
        memory.dma_handle()
    }

    /// The time in milliseconds, rounded up.
    pub(crate) fn as_millis_ceil(time: Delta) -> i64 {
        const NANOS: i64 = 1_000_000;
        let nanos = time.as_nanos();
        // Towards zero, which is up for what is negative.
        nanos / NANOS + i64::from(nanos % NANOS > 0)
    }

    /// Has the processor read what comes after this behind what was before, also as a device writes
    /// it.
    pub(crate) fn dma_rmb() {
        // SAFETY: It can be called anywhere.
        unsafe { bindings::dmacopy_dma_rmb() };
    }

    pub(crate) use kernel::sync::barrier::smp_mb;

    /// Waits until all who are in a read-side section of RCU have left it.
    pub(crate) fn synchronize_rcu() {
        // SAFETY: It can be called wherever one can sleep.
        unsafe { bindings::synchronize_rcu() };
    }

    /// The generic netlink socket of the initial network namespace, which is there from boot on.
    pub(crate) fn genl_sock() -> *mut bindings::sock {
        // SAFETY: It can be called anywhere.
        unsafe { bindings::dmacopy_genl_sock() }
    }

    /// The flags of a mapping that are not right in the kernel's own list.
    pub(crate) mod flags {
        use super::bindings;

        /// Which Linux 7.2 takes for `MAYEXEC`: `rust/bindings/bindings_helper.h`.
        pub(crate) const MAYSHARE: bindings::vm_flags_t = 1 << 7;
    }

    /// Bytes of a coherent allocation.
    ///
    /// # Invariants
    ///
    /// `length` bytes from `start` on are allocated for `'a`.
    pub(crate) struct View<'a> {
        start: *mut u8,
        length: usize,
        _memory: PhantomData<&'a Coherent<[u8]>>,
    }

    impl<'a> View<'a> {
        /// A part of an allocation; `ERANGE` if it is none.
        pub(crate) fn new(memory: &'a Coherent<[u8]>, range: Range<usize>) -> Result<Self> {
            if range.start > range.end || range.end > memory.size() {
                return Err(ERANGE);
            }
            // SAFETY: The range lies within the allocation, as has just been checked.
            let start = unsafe { memory.as_mut_ptr().cast::<u8>().add(range.start) };
            // INVARIANT: Likewise, and the allocation lasts as long as it is borrowed.
            Ok(Self {
                start,
                length: range.end - range.start,
                _memory: PhantomData,
            })
        }
    }

    /// As `kernel::io::io_project!` of Linux 7.3, for a range of bytes of coherent memory.
    macro_rules! io_project {
        ($memory:expr, [try: $range:expr]) => {
            $crate::sys::compat::View::new($memory, $range)?
        };
    }
    pub(crate) use io_project;

    /// What can be done with a [`View`]: user space and the device may write to the bytes meanwhile.
    pub(crate) trait Io {
        /// Copies all of it to `data`, which must be as long.
        fn copy_to_slice(self, data: &mut [u8]);

        /// Copies all of `data`, which must be as long, to it.
        fn copy_from_slice(self, data: &[u8]);
    }

    impl Io for View<'_> {
        fn copy_to_slice(self, data: &mut [u8]) {
            assert_eq!(self.length, data.len());
            // SAFETY: By the type invariants, as many bytes can be read as `data` has, as has just
            // been checked. That others write to them is no data race in the memory model of the
            // kernel, which `memcpy` belongs to: it is opaque to the compiler.
            unsafe {
                bindings::memcpy(
                    data.as_mut_ptr().cast(),
                    self.start.cast_const().cast(),
                    data.len(),
                )
            };
        }

        fn copy_from_slice(self, data: &[u8]) {
            assert_eq!(self.length, data.len());
            // SAFETY: As in `copy_to_slice`, for writing.
            unsafe { bindings::memcpy(self.start.cast(), data.as_ptr().cast(), data.len()) };
        }
    }

    /// A condition that can be polled for. Dropping it waits until nobody looks at it any more.
    pub(crate) struct PollCondVarBox(Pin<KBox<PollCondVar>>);

    impl PollCondVarBox {
        /// Makes one.
        pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> Result<Self> {
            KBox::pin_init(PollCondVar::new(name, key), GFP_KERNEL).map(Self)
        }
    }

    impl Deref for PollCondVarBox {
        type Target = PollCondVar;

        fn deref(&self) -> &PollCondVar {
            &self.0
        }
    }

    /// How many bytes of attributes a message has room for. C says a few more.
    pub(crate) const GENLMSG_DEFAULT_SIZE: usize = PAGE_SIZE - 512;

    /// A multicast group of a generic netlink family.
    #[repr(transparent)]
    pub(crate) struct MulticastGroup(bindings::genl_multicast_group);

    impl MulticastGroup {
        /// For constants only: panics when the name is too long.
        pub(crate) const fn const_new(name: &CStr) -> Self {
            let mut group: bindings::genl_multicast_group = pin_init::zeroed();
            let name = name.to_bytes_with_nul();
            let mut i = 0;
            while i < name.len() {
                group.name[i] = name[i];
                i += 1;
            }
            Self(group)
        }
    }

    /// The bindings, with those of `include/net/genetlink.h`. `shim/compat.c` checks the layouts, and
    /// defines what is inline in C.
    pub(crate) mod bindings {
        use core::mem::{
            offset_of,
            size_of, //
        };

        use kernel::prelude::{
            c_char,
            c_int,
            c_uint,
            c_void, //
        };
        use pin_init::MaybeZeroable;

        pub(crate) use kernel::bindings::*;

        pub(crate) const NLA_U32: c_uint = 3;
        pub(crate) const GENL_CMD_CAP_DO: c_uint = 2;
        pub(crate) const GENL_CMD_CAP_DUMP: c_uint = 4;

        type Doit = unsafe extern "C" fn(*mut sk_buff, *mut genl_info) -> c_int;
        type Before =
            unsafe extern "C" fn(*const genl_split_ops, *mut sk_buff, *mut genl_info) -> c_int;
        type After = unsafe extern "C" fn(*const genl_split_ops, *mut sk_buff, *mut genl_info);
        type Dumpit = unsafe extern "C" fn(*mut sk_buff, *mut netlink_callback) -> c_int;
        type Around = unsafe extern "C" fn(*mut netlink_callback) -> c_int;
        type Bind = unsafe extern "C" fn(c_int) -> c_int;
        type Private = unsafe extern "C" fn(*mut c_void);

        #[repr(C)]
        #[derive(Clone, Copy, MaybeZeroable)]
        pub(crate) struct nla_policy {
            pub(crate) type_: u8,
            pub(crate) validation_type: u8,
            pub(crate) len: u16,
            pub(crate) __bindgen_anon_1: *const c_void,
        }

        #[repr(C)]
        #[derive(Clone, Copy, MaybeZeroable)]
        pub(crate) struct genl_multicast_group {
            pub(crate) name: [c_char; 16],
            pub(crate) flags: u8,
        }

        #[repr(C)]
        #[derive(Clone, Copy, MaybeZeroable)]
        pub(crate) struct genl_family {
            pub(crate) hdrsize: c_uint,
            pub(crate) name: [c_char; 16],
            pub(crate) version: c_uint,
            pub(crate) maxattr: c_uint,
            pub(crate) _bitfield_1: __BindgenBitfieldUnit<[u8; 1]>,
            pub(crate) n_ops: u8,
            pub(crate) n_small_ops: u8,
            pub(crate) n_split_ops: u8,
            pub(crate) n_mcgrps: u8,
            pub(crate) resv_start_op: u8,
            pub(crate) policy: *const nla_policy,
            pub(crate) pre_doit: Option<Before>,
            pub(crate) post_doit: Option<After>,
            pub(crate) bind: Option<Bind>,
            pub(crate) unbind: Option<Bind>,
            pub(crate) ops: *const c_void,
            pub(crate) small_ops: *const c_void,
            pub(crate) split_ops: *const genl_split_ops,
            pub(crate) mcgrps: *const genl_multicast_group,
            pub(crate) module: *mut module,
            pub(crate) sock_priv_size: usize,
            pub(crate) sock_priv_init: Option<Private>,
            pub(crate) sock_priv_destroy: Option<Private>,
            pub(crate) id: c_int,
            pub(crate) mcgrp_offset: c_uint,
            pub(crate) sock_privs: *mut c_void,
        }

        #[repr(C)]
        #[derive(Clone, Copy)]
        pub(crate) struct genl_info {
            pub(crate) snd_seq: u32,
            pub(crate) snd_portid: u32,
            pub(crate) family: *const genl_family,
            pub(crate) nlhdr: *const nlmsghdr,
            pub(crate) genlhdr: *mut c_void,
            pub(crate) attrs: *mut *mut nlattr,
            pub(crate) _net: *mut net,
            pub(crate) ctx: [u64; 6],
            pub(crate) extack: *mut netlink_ext_ack,
        }

        #[repr(C)]
        #[derive(Clone, Copy, MaybeZeroable)]
        pub(crate) struct genl_split_ops {
            pub(crate) __bindgen_anon_1: genl_split_ops__bindgen_ty_1,
            pub(crate) policy: *const nla_policy,
            pub(crate) maxattr: c_uint,
            pub(crate) cmd: u8,
            pub(crate) internal_flags: u8,
            pub(crate) flags: u8,
            pub(crate) validate: u8,
        }

        #[repr(C)]
        #[derive(Clone, Copy, MaybeZeroable)]
        pub(crate) union genl_split_ops__bindgen_ty_1 {
            pub(crate) __bindgen_anon_1: genl_split_ops__bindgen_ty_1__bindgen_ty_1,
            pub(crate) __bindgen_anon_2: genl_split_ops__bindgen_ty_1__bindgen_ty_2,
        }

        #[repr(C)]
        #[derive(Clone, Copy, MaybeZeroable)]
        pub(crate) struct genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
            pub(crate) pre_doit: Option<Before>,
            pub(crate) doit: Option<Doit>,
            pub(crate) post_doit: Option<After>,
        }

        #[repr(C)]
        #[derive(Clone, Copy, MaybeZeroable)]
        pub(crate) struct genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
            pub(crate) start: Option<Around>,
            pub(crate) dumpit: Option<Dumpit>,
            pub(crate) done: Option<Around>,
        }

        #[repr(C)]
        pub(crate) struct genl_dumpit_info {
            pub(crate) op: genl_split_ops,
            pub(crate) info: genl_info,
        }

        // The numbers of `shim/compat.c`.
        const _: () = {
            assert!(size_of::<nla_policy>() == 16);
            assert!(size_of::<genl_multicast_group>() == 17);
            assert!(size_of::<genl_family>() == 160);
            assert!(offset_of!(genl_family, _bitfield_1) == 28);
            assert!(offset_of!(genl_family, n_split_ops) == 31);
            assert!(offset_of!(genl_family, n_mcgrps) == 32);
            assert!(offset_of!(genl_family, split_ops) == 96);
            assert!(offset_of!(genl_family, module) == 112);
            assert!(offset_of!(genl_family, mcgrp_offset) == 148);
            assert!(size_of::<genl_info>() == 104);
            assert!(offset_of!(genl_info, attrs) == 32);
            assert!(offset_of!(genl_info, extack) == 96);
            assert!(size_of::<genl_split_ops>() == 40);
            assert!(offset_of!(genl_split_ops, policy) == 24);
            assert!(offset_of!(genl_split_ops, validate) == 39);
            assert!(offset_of!(genl_dumpit_info, info) == 40);
        };

        #[expect(
            improper_ctypes,
            reason = "a module has a lock class, which is empty without lockdep"
        )]
        extern "C" {
            pub(crate) fn genl_register_family(family: *mut genl_family) -> c_int;
            pub(crate) fn genl_unregister_family(family: *const genl_family) -> c_int;
            pub(crate) fn genlmsg_put(
                skb: *mut sk_buff,
                portid: u32,
                seq: u32,
                family: *const genl_family,
                flags: c_int,
                cmd: u8,
            ) -> *mut c_void;
            pub(crate) fn nla_put(
                skb: *mut sk_buff,
                attrtype: c_int,
                attrlen: c_int,
                data: *const c_void,
            ) -> c_int;
            #[link_name = "dmacopy_genlmsg_new"]
            pub(crate) fn genlmsg_new(payload: usize, flags: gfp_t) -> *mut sk_buff;
            #[link_name = "dmacopy_genlmsg_end"]
            pub(crate) fn genlmsg_end(skb: *mut sk_buff, hdr: *mut c_void);
            #[link_name = "dmacopy_genlmsg_cancel"]
            pub(crate) fn genlmsg_cancel(skb: *mut sk_buff, hdr: *mut c_void);
            #[link_name = "dmacopy_genlmsg_multicast"]
            pub(crate) fn genlmsg_multicast(
                family: *const genl_family,
                skb: *mut sk_buff,
                portid: u32,
                group: c_uint,
                flags: gfp_t,
            ) -> c_int;
            pub(crate) fn dmacopy_genl_sock() -> *mut sock;
            pub(crate) fn dmacopy_dma_rmb();
            #[link_name = "dmacopy_nlmsg_free"]
            pub(crate) fn nlmsg_free(skb: *mut sk_buff);
            #[link_name = "dmacopy_genl_has_listeners"]
            pub(crate) fn genl_has_listeners(
                family: *const genl_family,
                net: *mut net,
                group: c_uint,
            ) -> c_int;
        }
    }
}
