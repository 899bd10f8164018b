// SPDX-License-Identifier: GPL-2.0

//! Tracepoints that C defines.
//!
//! `kernel::tracepoint::declare_trace!` finds only those that are in the kernel's own bindings.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

use kernel::{
    bindings,
    macros::paste,
    prelude::*, //
};

/// Declares tracepoints of `shim/events.h`, each with the types that its `TP_PROTO` has.
///
/// Each becomes a function that takes a closure for the arguments, which is called only while the
/// tracepoint is on. While it is off, all that is left of the call is one `nop`.
///
/// # Safety
///
/// The arguments must be those of the C declaration, and numbers, with which a tracepoint can be
/// called in any context.
macro_rules! declare_trace {
    (unsafe extern {
        $($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?);)*
    }) => {
        paste! {
            extern "C" {
                $(static [< __tracepoint_ $name >]: bindings::tracepoint;)*
                $(fn [< rust_do_trace_ $name >]($($argument: $type),*);)*
            }

            $(
                $(#[$attribute])*
                #[inline(always)]
                pub(crate) fn $name(arguments: impl FnOnce() -> ($($type,)*)) {
                    // SAFETY: C defines the tracepoint, and its static key can always be queried.
                    let is_on = unsafe {
                        kernel::jump_label::static_branch_unlikely!(
                            [< __tracepoint_ $name >],
                            bindings::tracepoint,
                            key
                        )
                    };
                    if is_on {
                        let ($($argument,)*) = arguments();
                        // SAFETY: Who declared it promises that C has the same arguments, and that
                        // there is nothing more to ask of a caller.
                        unsafe { [< rust_do_trace_ $name >]($($argument),*) };
                    }
                }
            )*
        }
    };
}

// SAFETY: These are the arguments in `shim/events.h`, all of them numbers.
declare_trace! { unsafe extern {
    /// A transfer has been put into the queue.
    fn dmacopy_submit(device: u32, session: u64, sequence: u64, length: u64);
    /// The engine has taken a transfer.
    fn dmacopy_start(device: u32, session: u64, sequence: u64, length: u64);
    /// The engine has moved the bytes of a transfer.
    fn dmacopy_complete(device: u32, session: u64, sequence: u64, length: u64, latency_ns: u64);
    /// A transfer has ended without that.
    fn dmacopy_error(
        device: u32,
        session: u64,
        sequence: u64,
        length: u64,
        latency_ns: u64,
        errno: c_int,
    );
} }
