// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup clean`: removes what was made, and nothing else.

use super::print_line;
use crate::cache::{self, Cache};
use crate::cli::Clean;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::lock::{Lock, Mode};
use crate::progress::Progress;
use crate::repository::Repository;

pub(super) fn run(options: &Clean, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let output = repository.output();
    {
        let _building = repository.lock(progress)?;
        cache::remove(&output)?;
    }
    print_line(&format!("removed {}", output.display()))?;
    if options.cache {
        clean_cache(progress)?;
    }
    Ok(Exit::Ok)
}

fn clean_cache(progress: &Progress) -> Result<()> {
    let cache = Cache::open()?;
    let _lock = Lock::take(&cache.lock_file(), Mode::Exclusive, progress)?;
    let root = cache.root();
    let unreadable = || format!("cannot list {}", root.display());
    for entry in std::fs::read_dir(root).or_environment(unreadable)? {
        let path = entry.or_environment(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !Cache::is_entry(&name) {
            continue;
        }
        if path.is_dir() {
            cache::remove(&path)?;
        } else {
            std::fs::remove_file(&path)
                .or_environment(|| format!("cannot remove {}", path.display()))?;
        }
        print_line(&format!("removed {}", path.display()))?;
    }
    Ok(())
}
