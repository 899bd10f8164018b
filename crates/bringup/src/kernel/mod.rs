// SPDX-License-Identifier: MIT OR Apache-2.0

//! The stock Debian kernel: which one, where from, and made ready for Rust modules.
//!
//! Debian's kernel is built with `CONFIG_RUST`, but its header packages lack the Rust metadata
//! that a module is compiled against. [`prepare`] recreates the metadata from the kernel's own
//! source with the same compiler, and [`symbols`] proves that it is the same. [`obtain`] fetches
//! what the lock file names, or the nearest that the archive still has.

pub(crate) mod lock;
pub(crate) mod obtain;
pub(crate) mod prepare;
pub(crate) mod select;
pub(crate) mod series;
pub(crate) mod symbols;

use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::failure::Result;

pub(crate) use lock::Lock;
pub(crate) use series::Series;

/// A kernel in the cache, ready for modules.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    folder: PathBuf,
    release: String,
}

impl Kernel {
    /// The kernel in this folder of the cache.
    pub(crate) fn at(folder: PathBuf, release: &str) -> Self {
        Self {
            folder,
            release: release.to_owned(),
        }
    }

    /// Refuses to go on with a kernel of which something is gone.
    pub(crate) fn require_whole(&self) -> Result<()> {
        let image = self.image();
        let files = [
            image.as_path(),
            Path::new("source/Makefile"),
            Path::new("build/.config"),
            Path::new("build/Module.symvers"),
            Path::new("build/rust/libkernel.rmeta"),
        ];
        Cache::require_whole(&self.folder, &files)
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `uname -r` of it.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// Its modules and what comes with them, relative to its folder.
    pub(crate) fn modules(&self) -> PathBuf {
        Path::new("package/usr/lib/modules").join(&self.release)
    }

    /// The image to boot, relative to its folder.
    pub(crate) fn image(&self) -> PathBuf {
        self.modules().join("vmlinuz")
    }

    /// A device tree of the package, relative to its folder.
    pub(crate) fn device_tree(&self, path: &Path) -> PathBuf {
        self.modules().join("dtb").join(path)
    }
}

/// The headers package's folder, relative to the unpacked packages.
fn headers_folder(release: &str) -> PathBuf {
    Path::new("usr/src").join(format!("linux-headers-{release}"))
}
