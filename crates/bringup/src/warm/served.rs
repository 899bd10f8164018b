// SPDX-License-Identifier: MIT OR Apache-2.0

//! The process that serves a board.

use std::path::Path;
use std::time::Duration;

use hil::server::{self, Settings, socket};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::emulation::Emulation;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::lock::{Lock, Mode};
use crate::progress::Progress;

/// What a server is to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) idle_seconds: u64,
    pub(super) emulation: Emulation,
}

/// Serves the board that is described in a folder, until nobody wants it any more.
pub(crate) fn serve(folder: &Path, progress: &Progress) -> Result<Exit> {
    let path = folder.join("bench.json");
    let text = std::fs::read(&path).or_environment(|| format!("cannot read {}", path.display()))?;
    let order: Order = serde_json::from_slice(&text)
        .or_fail(Exit::Refused, || format!("{} is no bench", path.display()))?;
    let cache = Cache::open()?;
    // Toolbox and kernel must stay as long as the board runs.
    let _relying = Lock::take(&cache.lock_file(), Mode::Shared, progress)?;
    let fixture = order.emulation.fixture()?;
    let path = folder.join("bench.socket");
    let unusable = || format!("cannot listen at {}", path.display());
    let listener = socket::listen(&path).or_environment(unusable)?;
    let settings = Settings {
        name: order.name,
        key: order.key,
        idle: Duration::from_secs(order.idle_seconds),
    };
    let served = server::serve(fixture, &listener, settings);
    // Who finds no socket starts another server.
    let removed = std::fs::remove_file(&path);
    served.or_environment(unusable)?;
    removed.or_environment(unusable)?;
    Ok(Exit::Ok)
}
