// SPDX-License-Identifier: MIT OR Apache-2.0

//! The process that serves a board.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use board_spec::Board;
use hil::description::BenchDescription;
use hil::server::{self, Settings, socket};
use hil::{Console, Described, Fate, Fixture};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::claim;
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
    pub(super) wired: Wired,
}

/// What connects the server's board with this PC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wired {
    /// The emulator.
    Emulated(Emulation),
    /// What `bench.toml` says.
    Described(Box<OnDesk>),
}

/// A board on a desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OnDesk {
    /// The folder of the board's type.
    pub(super) board: PathBuf,
    pub(super) description: BenchDescription,
    /// The board's program, which a remote login brings along.
    pub(super) agent: PathBuf,
    /// Where a copy of all that the console says goes.
    pub(super) console: PathBuf,
}

impl Wired {
    fn fixture(self) -> Result<Fixture> {
        match self {
            Self::Emulated(emulation) => emulation.fixture(),
            Self::Described(on_desk) => on_desk.fixture(),
        }
    }
}

impl OnDesk {
    fn fixture(self) -> Result<Fixture> {
        let board = Board::read(&self.board).or_fail(Exit::Refused, || "cannot use this board")?;
        let copy = std::fs::File::create(&self.console)
            .or_environment(|| format!("cannot write {}", self.console.display()))?;
        let console = Console::new(Fate::default(), Some(copy));
        let limit = self.description.boot();
        let wiring = Described::new(&board, self.description, self.agent, console.clone());
        Ok(Fixture::new(board, Box::new(wiring), limit, console))
    }
}

/// Serves the board that is described in a folder, until nobody wants it any more.
pub(crate) fn serve(folder: &Path, progress: &Progress) -> Result<Exit> {
    let claims = claim::take_over()?;
    let path = folder.join("bench.json");
    let text = std::fs::read(&path).or_environment(|| format!("cannot read {}", path.display()))?;
    let order: Order = serde_json::from_slice(&text)
        .or_fail(Exit::Refused, || format!("{} is no bench", path.display()))?;
    let cache = Cache::open()?;
    // Toolbox and kernel must stay as long as the board runs.
    let _relying = Lock::take(&cache.lock_file(), Mode::Shared, progress)?;
    let fixture = order.wired.fixture()?;
    let path = folder.join("bench.socket");
    let unusable = || format!("cannot listen at {}", path.display());
    let listener = socket::listen(&path).or_environment(unusable)?;
    let settings = Settings {
        name: order.name,
        key: order.key,
        idle: Duration::from_secs(order.idle_seconds),
    };
    let stop = Arc::default();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // Ends it in order: the board is switched off.
        flag::register(signal, Arc::clone(&stop)).or_environment(|| "cannot handle signals")?;
    }
    let served = server::serve(fixture, &listener, settings, stop);
    // The board is off. Who finds no socket starts another server, which claims the bench.
    drop(claims);
    let removed = std::fs::remove_file(&path);
    served.or_environment(unusable)?;
    removed.or_environment(unusable)?;
    Ok(Exit::Ok)
}
