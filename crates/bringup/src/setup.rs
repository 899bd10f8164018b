// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything a build or a boot needs, made ready in order.

use std::path::PathBuf;

use crate::cache::Cache;
use crate::failure::{OrFail, Result};
use crate::host;
use crate::kernel::{self, Kernel};
use crate::lock::{Lock, Mode};
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
    relying: Lock,
    building: Lock,
}

/// The toolbox alone, for commands that need no kernel.
#[derive(Debug)]
pub(crate) struct ToolboxSetup {
    pub(crate) repository: Repository,
    pub(crate) cache: Cache,
    pub(crate) toolbox: Toolbox,
    lock: Lock,
    building: Lock,
}

impl ToolboxSetup {
    /// Installs what the PC lacks, waits for the cache, and makes the toolbox.
    pub(crate) fn new(choices: Choices, progress: &Progress) -> Result<Self> {
        let repository = Repository::find()?;
        host::require_architecture()?;
        host::install_missing(progress, choices.may_install)?;
        let building = repository.lock(progress)?;
        let cache = Cache::open()?;
        let lock = Lock::take(&cache.lock_file(), Mode::Exclusive, progress)?;
        let toolbox = toolbox::ensure(&cache, &lock, progress)?;
        Ok(Self {
            repository,
            cache,
            toolbox,
            lock,
            building,
        })
    }
}

impl Setup {
    /// Makes everything ready, as far as it is not in the cache already.
    pub(crate) fn new(choices: Choices, progress: &Progress) -> Result<Self> {
        if let Some(ready) = Self::ready(progress)? {
            return Ok(ready);
        }
        let ToolboxSetup {
            repository,
            cache,
            toolbox,
            lock,
            building,
        } = ToolboxSetup::new(choices, progress)?;
        let kernel_lock = kernel::Lock::read(&repository.kernel_lock())?;
        let obtain = kernel::obtain::Obtain {
            toolbox: &toolbox,
            cache: &cache,
            progress,
        };
        let kernel = obtain.kernel(&kernel_lock, choices.locked)?;
        // Building for the board adds nothing that another run could stumble over.
        lock.share()?;
        Ok(Self {
            repository,
            cache,
            toolbox,
            kernel,
            relying: lock,
            building,
        })
    }

    /// What is in the cache already, when that is all that is needed: it is shared with other
    /// runs, so none has to wait for another.
    ///
    /// # Errors
    ///
    /// When toolbox or kernel have been damaged.
    fn ready(progress: &Progress) -> Result<Option<Self>> {
        let repository = Repository::find()?;
        let cache = Cache::open()?;
        let kernel_lock = kernel::Lock::read(&repository.kernel_lock())?;
        let is_there = || {
            let kernel = cache.entry(&kernel::prepare::entry_name(&kernel_lock));
            host::has_program("bwrap") && toolbox::entry(&cache).is_dir() && kernel.is_dir()
        };
        // Looked at before, not to wait for a run that is making it, and again under the lock.
        if !is_there() {
            return Ok(None);
        }
        let building = repository.lock(progress)?;
        let relying = Lock::take(&cache.lock_file(), Mode::Shared, progress)?;
        if !is_there() {
            return Ok(None);
        }
        let entry = cache.entry(&kernel::prepare::entry_name(&kernel_lock));
        let kernel = Kernel::at(entry, &kernel_lock.release);
        kernel.require_whole()?;
        toolbox::require_whole(&cache)?;
        Ok(Some(Self {
            toolbox: toolbox::at(&toolbox::entry(&cache)),
            kernel,
            repository,
            cache,
            relying,
            building,
        }))
    }

    /// A folder for what is built from this checkout.
    pub(crate) fn output_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.repository.output().join(name);
        std::fs::create_dir_all(&path)
            .or_environment(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }

    /// Nothing more is built: other runs may build in the output folder, while this one goes on
    /// to rely on toolbox and kernel.
    pub(crate) fn finish_building(self) -> Lock {
        drop(self.building);
        self.relying
    }
}
