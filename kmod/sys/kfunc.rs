// SPDX-License-Identifier: GPL-2.0

//! The Rust side of `shim/kfuncs.c`.
//!
//! C header: [`include/linux/btf.h`](srctree/include/linux/btf.h)

use kernel::{
    error::to_result,
    prelude::*, //
};

use crate::bpf;

extern "C" {
    fn dmacopy_register_kfuncs() -> c_int;
}

/// Offers the functions to BPF programs until the module is unloaded.
///
/// Called once, when the module is initialized.
#[doc(alias = "register_btf_kfunc_id_set")]
pub(crate) fn register() -> Result {
    // SAFETY: The module is being initialized, which is when this may be called.
    to_result(unsafe { dmacopy_register_kfuncs() })
}

/// Defines what C calls: functions that can be called in any context.
macro_rules! define {
    ($($name:ident => $function:path;)*) => {$(
        #[no_mangle]
        extern "C" fn $name(device: u32) -> i64 {
            $function(device)
        }
    )*};
}

define! {
    dmacopy_count_transfers => bpf::transfers;
    dmacopy_count_bytes => bpf::bytes;
    dmacopy_count_errors => bpf::errors;
}
