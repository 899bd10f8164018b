// SPDX-License-Identifier: MIT OR Apache-2.0

//! A lab of this PC's own: a labgrid coordinator and an exporter, with a place for one board.
//!
//! They are the real ones, run in the toolbox on loopback addresses, so that the kit's benches can
//! be tried where there is no lab. All of it is gone with the process that started it.

mod lock;
mod obtain;
mod pip;
mod running;
mod server;

use std::path::{Path, PathBuf};

use self::lock::Lock;
pub(crate) use self::running::{Lab, Port};
use crate::failure::Result;
use crate::kernel::obtain::Obtain;
use crate::progress::Progress;
use crate::setup::{Choices, Setup};
use crate::toolbox::{Access, Toolbox, ToolboxCommand};

/// Debian's packages, within the entry of the cache.
const DEBIAN: &str = "debian";

/// Python's, within it.
const SITE: &str = "site";

/// Where the entry is mounted in the toolbox.
const MOUNTED: &str = "/labgrid";

/// Where Debian has libraries and, within another folder, plug-ins.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const PLUGINS: &str = "usr/libexec/x86_64-linux-gnu/gensio";

/// labgrid, ready to be run.
#[derive(Clone, Debug)]
pub(crate) struct Labgrid {
    toolbox: Toolbox,
    folder: PathBuf,
    version: String,
}

impl Labgrid {
    /// Gets what is needed.
    pub(crate) fn prepare(setup: &Setup, choices: Choices, progress: &Progress) -> Result<Self> {
        let tools = &setup.tools;
        let obtain = Obtain {
            toolbox: &tools.toolbox,
            cache: &tools.cache,
            progress,
            mirror: crate::mirror::find,
        };
        let lock = Lock::read(&tools.repository.labgrid_lock())?;
        Ok(Self {
            toolbox: tools.toolbox.clone(),
            folder: obtain::ensure(&obtain, &lock, choices.locked)?,
            version: lock.version(obtain::DISTRIBUTION),
        })
    }

    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Begins a command with labgrid's programs and `ser2net` at hand.
    pub(crate) fn enter(&self) -> ToolboxCommand {
        let within = |name: &str| format!("{MOUNTED}/{DEBIAN}/{name}");
        let sandbox = self.toolbox.enter().local();
        let mut sandbox = sandbox.mount(&self.folder, MOUNTED, Access::Read);
        if let Some(version) = self.plugins() {
            // Debian's library looks for them where it would be installed.
            let path = within(&format!("{PLUGINS}/{version}"));
            sandbox = sandbox.env("GENSIO_LIBRARY_PATH", path);
        }
        sandbox
            .env("LD_LIBRARY_PATH", within(LIBRARIES))
            .env("PATH", format!("{}:/usr/sbin:/usr/bin", within("usr/sbin")))
            .env("PYTHONPATH", format!("{MOUNTED}/{SITE}"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // What a server says is read as it says it.
            .env("PYTHONUNBUFFERED", "1")
    }

    /// The name of the folder with plug-ins: a version.
    fn plugins(&self) -> Option<String> {
        let folder = self.folder.join(DEBIAN).join(PLUGINS);
        let mut entries = std::fs::read_dir(folder).ok()?.flatten();
        let name = entries.next()?.file_name();
        Some(name.to_string_lossy().into_owned())
    }
}

/// Writes the newest of all to the lock file; whether it is other than before.
pub(crate) fn update(obtain: &Obtain<'_>, suite: &str, path: &Path) -> Result<bool> {
    obtain::update(obtain, suite, path)
}
