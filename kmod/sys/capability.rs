// SPDX-License-Identifier: GPL-2.0

//! What the calling process may do beyond what the modes of files say.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use kernel::{
    bindings,
    prelude::*, //
};

/// Refuses with `EPERM` who has no `CAP_SYS_ADMIN` in the initial user namespace.
///
/// So root in a container is refused, too. Called in the context of the process.
#[doc(alias = "capable")]
pub(crate) fn require_admin() -> Result {
    // CAST: The constant is less than 64.
    // SAFETY: `capable` looks at the current process only, and may be called from any.
    if unsafe { bindings::capable(bindings::CAP_SYS_ADMIN as c_int) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}
