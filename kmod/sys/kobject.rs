// SPDX-License-Identifier: GPL-2.0

//! Uevents and attribute notifications.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use core::ptr;

use kernel::{
    bindings,
    device,
    error::to_result,
    prelude::*, //
};

use super::raw_device;

/// The most variables that a uevent can be given.
const MAX_VARIABLES: usize = 8;

/// Sends a `change` uevent from `device`, with additional variables of the form `KEY=value`.
pub(crate) fn change_uevent<const N: usize>(
    device: &device::Device,
    variables: [&CStr; N],
) -> Result {
    const { assert!(N <= MAX_VARIABLES) };

    let mut pointers = [ptr::null_mut(); MAX_VARIABLES + 1];
    for (pointer, variable) in pointers.iter_mut().zip(variables) {
        *pointer = variable.as_char_ptr().cast_mut();
    }

    // SAFETY: `raw_device` returns a pointer that is valid as long as `device` is borrowed.
    let kobject = unsafe { &raw mut (*raw_device(device)).kobj };
    // SAFETY: The kobject is valid, as above. `pointers` ends with a null pointer, because there is
    // room for one more than the assertion allows, and otherwise points at C strings that are
    // borrowed during the call. `kobject_uevent_env` reads them only, although it lacks the
    // `const`.
    to_result(unsafe {
        bindings::kobject_uevent_env(
            kobject,
            bindings::kobject_action_KOBJ_CHANGE,
            pointers.as_mut_ptr(),
        )
    })
}

/// Wakes up who polls the file `attribute` of `device`.
#[doc(alias = "sysfs_notify")]
pub(crate) fn notify(device: &device::Device, attribute: &CStr) {
    // SAFETY: `raw_device` returns a pointer that is valid as long as `device` is borrowed.
    let kobject = unsafe { &raw mut (*raw_device(device)).kobj };
    // SAFETY: The kobject is valid, as above, the directory may be null, and `attribute` is a C
    // string. `sysfs_notify` copes with a kobject that has been removed from sysfs.
    unsafe { bindings::sysfs_notify(kobject, ptr::null(), attribute.as_char_ptr()) };
}
