// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup clean`: removes what was made.

use crate::cache::{self, Cache};
use crate::cli::Clean;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::progress::Progress;
use crate::repository::Repository;

/// The cache's entries begin with these; nothing else below its folder is touched.
const ENTRIES: [&str; 5] = ["archive", "cargo", "instead-of-", "kernel-", "toolbox-"];

pub(super) fn run(options: &Clean, progress: &Progress) -> Result<Exit> {
    let output = Repository::find()?.output();
    let cache = Cache::open()?;
    let _lock = cache.lock(progress)?;
    cache::remove(&output)?;
    anstream::println!("removed {}", output.display());
    if options.cache {
        let root = cache.root();
        let unreadable = || format!("cannot list {}", root.display());
        for entry in std::fs::read_dir(root).or_environment(unreadable)? {
            let path = entry.or_environment(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !ENTRIES.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            if path.is_dir() {
                cache::remove(&path)?;
            } else {
                std::fs::remove_file(&path)
                    .or_environment(|| format!("cannot remove {}", path.display()))?;
            }
            anstream::println!("removed {}", path.display());
        }
    }
    Ok(Exit::Ok)
}
