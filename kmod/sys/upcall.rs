// SPDX-License-Identifier: GPL-2.0

//! Programs that the kernel starts.
//!
//! C header: [`include/linux/umh.h`](srctree/include/linux/umh.h)

use core::ptr;

use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// Starts the program `path`, as root and in the initial namespaces, and waits until it has been
/// loaded or could not be. It does not wait for the program's end.
///
/// By custom, the path comes first among the `arguments`. Nobody learns of the program's exit
/// status. Sleeps as long as it takes to read the program.
#[doc(alias = "call_usermodehelper")]
pub(crate) fn execute<const A: usize, const E: usize>(
    path: &CStr,
    arguments: [&CStr; A],
    environment: [&CStr; E],
) -> Result {
    let mut arguments = null_terminated(arguments)?;
    let mut environment = null_terminated(environment)?;
    // SAFETY: The path is a C string, and both arrays consist of such, with a null pointer behind
    // the last. All are borrowed until the call returns, and with `UMH_WAIT_EXEC` that is when
    // the kernel has copied them to the new program. It does not write to them, although it lacks
    // the `const`.
    to_result(unsafe {
        bindings::call_usermodehelper(
            path.as_char_ptr(),
            arguments.as_mut_ptr(),
            environment.as_mut_ptr(),
            // CAST: The constant is 1.
            bindings::UMH_WAIT_EXEC as c_int,
        )
    })
}

fn null_terminated<const N: usize>(texts: [&CStr; N]) -> Result<KVec<*mut c_char>> {
    let mut pointers = KVec::with_capacity(N + 1, GFP_KERNEL)?;
    for text in texts {
        pointers.push(text.as_char_ptr().cast_mut(), GFP_KERNEL)?;
    }
    pointers.push(ptr::null_mut(), GFP_KERNEL)?;
    Ok(pointers)
}
