// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything a build or a boot needs, made ready in order.

use std::path::PathBuf;

use crate::cache::{self, Cache};
use crate::failure::{OrFail, Result};
use crate::host;
use crate::kernel::{self, Kernel};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::toolbox::{self, Toolbox};

/// What the command line says about setting up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    /// Whether host packages may be installed.
    pub(crate) may_install: bool,
    /// Whether only the very kernel of the lock file will do.
    pub(crate) locked: bool,
}

/// What has been made ready.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) repository: Repository,
    pub(crate) cache: Cache,
    pub(crate) toolbox: Toolbox,
    pub(crate) kernel: Kernel,
    lock: cache::Lock,
}

/// The toolbox alone, for commands that need no kernel.
#[derive(Debug)]
pub(crate) struct ToolboxSetup {
    pub(crate) repository: Repository,
    pub(crate) cache: Cache,
    pub(crate) toolbox: Toolbox,
    lock: cache::Lock,
}

impl ToolboxSetup {
    /// Installs what the PC lacks, waits for the cache, and makes the toolbox.
    pub(crate) fn new(choices: Choices, progress: &Progress) -> Result<Self> {
        let repository = Repository::find()?;
        host::require_architecture()?;
        // Before the lock is taken: what is installed may start services, which would inherit it.
        host::install_missing(progress, choices.may_install)?;
        let cache = Cache::open()?;
        let lock = cache.lock(progress)?;
        let toolbox = toolbox::ensure(&cache, progress)?;
        Ok(Self {
            repository,
            cache,
            toolbox,
            lock,
        })
    }
}

impl Setup {
    /// Makes everything ready, as far as it is not in the cache already.
    pub(crate) fn new(choices: Choices, progress: &Progress) -> Result<Self> {
        let ToolboxSetup {
            repository,
            cache,
            toolbox,
            lock,
        } = ToolboxSetup::new(choices, progress)?;
        let kernel_lock = kernel::Lock::read(&repository.kernel_lock())?;
        let obtain = kernel::obtain::Obtain {
            toolbox: &toolbox,
            cache: &cache,
            progress,
        };
        let kernel = obtain.kernel(&kernel_lock, choices.locked)?;
        Ok(Self {
            repository,
            cache,
            toolbox,
            kernel,
            lock,
        })
    }

    /// A folder for what is built from this checkout.
    pub(crate) fn output_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.repository.output().join(name);
        std::fs::create_dir_all(&path)
            .or_environment(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }

    /// Everything is made; other runs may go on.
    pub(crate) fn share(&self) -> Result<()> {
        self.lock.share()
    }
}
