// SPDX-License-Identifier: GPL-2.0

//! Dumps of a device, which user space finds in `/sys/class/devcoredump`.
//!
//! C header: [`include/linux/devcoredump.h`](srctree/include/linux/devcoredump.h)

use kernel::{
    device,
    prelude::*, //
};

/// Offers `data` as the dump of `device`, until somebody has written to it or five minutes are
/// over, also when the driver and its module are gone by then.
///
/// A device has one dump at a time: while there is one, another is thrown away. So is each when
/// the kernel was built without them or an administrator has switched them off.
#[doc(alias = "dev_coredumpv")]
pub(crate) fn offer(device: &device::Device, data: VVec<u8>) {
    #[cfg(CONFIG_DEV_COREDUMP)]
    if !data.is_empty() {
        use kernel::bindings;

        extern "C" {
            fn dev_coredumpv(
                // A `struct device`, which the compiler does not take for one of C.
                device: *mut c_void,
                data: *mut c_void,
                length: usize,
                flags: bindings::gfp_t,
            );
        }

        let (data, length, _) = data.into_raw_parts();
        // SAFETY: `raw_device` returns a pointer that is valid as long as `device` is borrowed, and
        // the dump takes a reference. `data` comes from `vmalloc`, because it is that of a `VVec`
        // that is not empty, and its first `length` bytes are initialized. Nobody else has it: the
        // kernel frees it with `vfree`, now or one day. That is all code of the kernel's core.
        unsafe {
            dev_coredumpv(
                super::raw_device(device).cast(),
                data.cast(),
                length,
                bindings::GFP_KERNEL,
            )
        };
    }
    #[cfg(not(CONFIG_DEV_COREDUMP))]
    let _ = (device, data);
}
