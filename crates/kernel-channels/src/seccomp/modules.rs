// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which security modules the kernel asks.

use crate::mounts::mount_point;
use crate::{Error, text_file};

/// The kernel's security modules in the order in which it asks them: those that it was built with
/// (`CONFIG_LSM`), or started with (`lsm=`).
///
/// # Errors
///
/// [`Error::NotMounted`] when securityfs is not, and [`Error::Path`] when its file `lsm` cannot be
/// read.
pub fn modules() -> Result<Vec<String>, Error> {
    let path = mount_point("securityfs")?.join("lsm");
    let text = text_file::read(&path)?;
    Ok(text.trim_end().split(',').map(str::to_owned).collect())
}
