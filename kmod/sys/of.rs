// SPDX-License-Identifier: GPL-2.0

//! What the device tree says, whether there is a device for it or not.
//!
//! C header: [`include/linux/of.h`](srctree/include/linux/of.h)

use kernel::{
    prelude::*,
    str::CStrExt, //
};

extern "C" {
    // What `shim/of.h` declares.
    fn dmacopy_of_has_node(compatible: *const c_char) -> bool;
}

/// Whether there is a node that is compatible with this, and is not disabled.
#[doc(alias = "of_find_compatible_node")]
pub(crate) fn has_node(compatible: &CStr) -> bool {
    // SAFETY: It is a C string, which is only read.
    unsafe { dmacopy_of_has_node(compatible.as_char_ptr()) }
}
