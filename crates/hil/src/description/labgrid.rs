// SPDX-License-Identifier: MIT OR Apache-2.0

//! A place of a labgrid coordinator, as it stands in `bench.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How long a reservation may wait for its turn: seconds.
const WAIT_SECONDS: u64 = 600;

/// How long a place is without power before it gets it again: seconds.
const OFF_SECONDS: u64 = 1;

/// How long a command of labgrid's client may take: seconds.
const COMMAND_SECONDS: u64 = 60;

/// A place that a labgrid coordinator hands out to one user at a time.
///
/// ```toml
/// [bench.rack.labgrid]
/// place = "pi-7"
/// console = "console"
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labgrid {
    /// The place's name. It is taken if nobody has it.
    pub place: Option<String>,
    /// Tags of any one place that will do, `name` among them; it is reserved, which means waiting
    /// for whoever has it.
    #[serde(default)]
    pub reserve: BTreeMap<String, String>,
    /// How long that may take, seconds.
    #[serde(default = "wait_seconds")]
    pub wait_seconds: u64,
    /// The coordinator, `host:port`; `LG_COORDINATOR` or labgrid's default if it is not named.
    pub coordinator: Option<String>,
    /// The program to be called.
    #[serde(default = "client")]
    pub client: PathBuf,
    /// An environment file (labgrid's `-c`) whose drivers switch the place, where its resources
    /// alone do not say how.
    pub config: Option<PathBuf>,
    /// The name of the power resource or driver, where there is more than one.
    pub power: Option<String>,
    /// The name of the serial resource at which the kernel's console ends.
    pub console: Option<String>,
    /// How long the board stays without power before it is switched on again, seconds.
    #[serde(default = "off_seconds")]
    pub off_seconds: u64,
    /// How long a command of the client may take, seconds.
    #[serde(default = "command_seconds")]
    pub command_seconds: u64,
}

impl Labgrid {
    /// What two users of the same place both call it. Which one a reservation gets, only the
    /// coordinator knows.
    pub(super) fn resource(&self) -> Option<String> {
        let place = self.place.as_ref()?;
        let coordinator = self.coordinator.as_deref().unwrap_or("labgrid");
        Some(format!("{coordinator}/{place}"))
    }

    /// What the types cannot rule out.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        match (&self.place, self.reserve.is_empty()) {
            (None, true) => {
                return Some("labgrid names neither a place nor tags to reserve one by");
            }
            (Some(_), false) => return Some("labgrid names a place, and tags to reserve one by"),
            _ => {}
        }
        let words = [&self.place, &self.coordinator, &self.power, &self.console];
        let is_option = |word: &&String| word.is_empty() || word.starts_with('-');
        if words.into_iter().flatten().any(|word| is_option(&word)) {
            return Some("labgrid has a name that could be an option, or none");
        }
        let is_tag = |word: &String| !is_option(&word) && !word.contains('=');
        if !self.reserve.iter().flat_map(<[_; 2]>::from).all(is_tag) {
            return Some("labgrid.reserve has a tag that is none");
        }
        let client = self.client.as_os_str().is_empty();
        client.then_some("labgrid.client must name a program")
    }
}

fn client() -> PathBuf {
    "labgrid-client".into()
}

const fn wait_seconds() -> u64 {
    WAIT_SECONDS
}

const fn off_seconds() -> u64 {
    OFF_SECONDS
}

const fn command_seconds() -> u64 {
    COMMAND_SECONDS
}
