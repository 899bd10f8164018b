// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything a build or a boot needs, made ready in order.

use std::panic::resume_unwind;
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

/// What needs no kernel: the checkout, the cache and the toolbox.
#[derive(Debug)]
pub(crate) struct ToolboxSetup {
    pub(crate) repository: Repository,
    pub(crate) cache: Cache,
    pub(crate) toolbox: Toolbox,
    relying: Lock,
    building: Lock,
}

/// Everything that a build for the kernel, or a boot, needs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) tools: ToolboxSetup,
    pub(crate) kernel: Kernel,
}

impl ToolboxSetup {
    /// Installs what the PC lacks, waits for the cache, and makes the toolbox.
    pub(crate) fn new(choices: Choices, progress: &Progress) -> Result<Self> {
        let repository = Repository::find()?;
        host::require_architecture()?;
        host::install_missing(progress, choices.may_install)?;
        let building = repository.lock(progress)?;
        let cache = Cache::open()?;
        let relying = Lock::take(&cache.lock_file(), Mode::Exclusive, progress)?;
        let toolbox = toolbox::ensure(&cache, &relying, progress)?;
        Ok(Self {
            repository,
            cache,
            toolbox,
            relying,
            building,
        })
    }

    fn kernel(&self, locked: bool, progress: &Progress) -> Result<Kernel> {
        let kernel_lock = kernel::Lock::read(&self.repository.kernel_lock())?;
        let obtain = kernel::obtain::Obtain {
            toolbox: &self.toolbox,
            cache: &self.cache,
            progress,
            mirror: crate::mirror::find,
        };
        obtain.kernel(&kernel_lock, locked)
    }
}

impl Setup {
    /// Makes everything ready, as far as it is not in the cache already.
    pub(crate) fn new(choices: Choices, progress: &Progress) -> Result<Self> {
        Self::new_while(choices, progress, |_| Ok(())).map(|(setup, ())| setup)
    }

    /// As [`new`](Self::new); what needs no kernel is done by `work` while the kernel, which keeps
    /// less than one processor busy, is made ready.
    pub(crate) fn new_while<T: Send>(
        choices: Choices,
        progress: &Progress,
        work: impl FnOnce(&ToolboxSetup) -> Result<T> + Send,
    ) -> Result<(Self, T)> {
        if let Some(ready) = Self::ready(progress)? {
            let worked = work(&ready.tools)?;
            return Ok((ready, worked));
        }
        let tools = ToolboxSetup::new(choices, progress)?;
        let (kernel, worked) = std::thread::scope(|scope| {
            let worker = scope.spawn(|| work(&tools));
            let kernel = tools.kernel(choices.locked, progress);
            let worked = worker.join().unwrap_or_else(|panic| resume_unwind(panic));
            (kernel, worked)
        });
        let setup = Self {
            kernel: kernel?,
            tools,
        };
        // Building for the board adds nothing that another run could stumble over.
        setup.tools.relying.share()?;
        Ok((setup, worked?))
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
        let tools = ToolboxSetup {
            toolbox: toolbox::at(&toolbox::entry(&cache)),
            repository,
            cache,
            relying,
            building,
        };
        Ok(Some(Self { tools, kernel }))
    }

    /// A folder for what is built from this checkout.
    pub(crate) fn output_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.tools.repository.output().join(name);
        std::fs::create_dir_all(&path)
            .or_environment(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }

    /// Nothing more is built: other runs may build in the output folder, while this one goes on
    /// to rely on toolbox and kernel.
    pub(crate) fn finish_building(self) -> Lock {
        drop(self.tools.building);
        self.tools.relying
    }
}
