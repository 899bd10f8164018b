// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything a build or a boot needs, made ready in order.

use std::panic::resume_unwind;
use std::path::PathBuf;

use crate::cache::{self, Cache};
use crate::failure::{OrFail, Result};
use crate::host;
use crate::kernel::{self, Kernel, Series, prepare, series};
use crate::lock::{Lock, Mode};
use crate::mirror;
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
    /// The series of the kernel, if not that of `kernel.lock`.
    pub(crate) series: Option<Series>,
    /// Whether the older kernels that the driver is for are needed, too.
    pub(crate) older_kernels: bool,
}

impl Choices {
    /// The kernel to boot, and the older ones that are needed.
    fn locks(self, repository: &Repository) -> Result<(kernel::Lock, Vec<kernel::Lock>)> {
        let lock = series::lock_of(repository, self.series)?;
        if !self.older_kernels {
            return Ok((lock, Vec::new()));
        }
        let older = series::older(repository)?;
        let older = older.iter().map(|path| kernel::Lock::read(path));
        Ok((lock, older.collect::<Result<_>>()?))
    }
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
    /// The older kernels that the driver is for, if they were asked for.
    pub(crate) older: Vec<Kernel>,
}

impl ToolboxSetup {
    /// Installs what the PC lacks, waits for the cache, and makes the toolbox.
    pub(crate) fn new(choices: Choices, progress: &Progress) -> Result<Self> {
        let repository = Repository::find()?;
        host::require_architecture()?;
        mirror::require_address()?;
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

    /// Makes the kernels ready, one after the other.
    fn kernels(&self, choices: Choices, progress: &Progress) -> Result<(Kernel, Vec<Kernel>)> {
        let obtain = kernel::obtain::Obtain {
            toolbox: &self.toolbox,
            cache: &self.cache,
            progress,
            mirror: mirror::find,
        };
        let (lock, older) = choices.locks(&self.repository)?;
        let get = |lock| obtain.kernel(lock, choices.locked);
        let kernel = get(&lock)?;
        Ok((kernel, older.iter().map(get).collect::<Result<_>>()?))
    }
}

/// Removes what runs have left in the cache that were killed. Whoever makes an entry has the cache's
/// lock, to itself or shared; so where the lock is free, the maker of what is not whole has ended.
fn remove_leftovers(progress: &Progress) -> Result<()> {
    let cache = Cache::open()?;
    if cache.partial()?.is_empty() {
        return Ok(());
    }
    let Some(_alone) = Lock::take_if_free(&cache.lock_file())? else {
        return Ok(());
    };
    for path in cache.partial()? {
        progress.note(&format!(
            "removing {}, which an interrupted run has left",
            path.display()
        ));
        cache::remove(&path)?;
    }
    Ok(())
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
        remove_leftovers(progress)?;
        if let Some(ready) = Self::ready(choices, progress)? {
            let worked = work(&ready.tools)?;
            return Ok((ready, worked));
        }
        let tools = ToolboxSetup::new(choices, progress)?;
        let (kernels, worked) = std::thread::scope(|scope| {
            let worker = scope.spawn(|| work(&tools));
            let kernels = tools.kernels(choices, progress);
            let worked = worker.join().unwrap_or_else(|panic| resume_unwind(panic));
            (kernels, worked)
        });
        let (kernel, older) = kernels?;
        let setup = Self {
            tools,
            kernel,
            older,
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
    fn ready(choices: Choices, progress: &Progress) -> Result<Option<Self>> {
        let repository = Repository::find()?;
        let cache = Cache::open()?;
        let (lock, older) = choices.locks(&repository)?;
        let entry = |lock: &kernel::Lock| cache.entry(&prepare::entry_name(lock));
        let is_there = || {
            host::has_program("bwrap")
                && toolbox::entry(&cache).is_dir()
                && older.iter().chain([&lock]).all(|lock| entry(lock).is_dir())
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
        let whole = |lock: &kernel::Lock| {
            let kernel = Kernel::at(entry(lock), &lock.release);
            kernel.require_whole().map(|()| kernel)
        };
        let kernel = whole(&lock)?;
        let older = older.iter().map(whole).collect::<Result<_>>()?;
        toolbox::require_whole(&cache)?;
        let tools = ToolboxSetup {
            toolbox: toolbox::at(&toolbox::entry(&cache)),
            repository,
            cache,
            relying,
            building,
        };
        Ok(Some(Self {
            tools,
            kernel,
            older,
        }))
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
