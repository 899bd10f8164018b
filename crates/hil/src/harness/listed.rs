// SPDX-License-Identifier: MIT OR Apache-2.0

//! A test as its program lists it for other programs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Place;
use super::case::Test;
use super::standing::Standing;

/// A test as its program lists it with `--list` and `BRINGUP_LIST=json`: one JSON object per line.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// let line = r#"{"name":"pci::a_card_is_found","place":"target","ignored":null,"timeout_ms":30000,"requires":["pci"]}"#;
/// let test: hil::Listed = serde_json::from_str(line)?;
/// assert_eq!(test.place, hil::Place::Target);
/// assert_eq!(test.timeout().as_secs(), 30);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What `--exact` takes.
    pub name: String,
    /// Where it runs.
    pub place: Place,
    /// Why it would not run with the [description](crate::TargetDescription) that the program has,
    /// unless it would.
    pub ignored: Option<String>,
    /// What it may take, setup and teardown included, milliseconds. Its program sees to that as
    /// long as it can: whoever runs it waits a little longer.
    pub timeout_ms: u64,
    /// The capabilities that the board must have.
    pub requires: Vec<String>,
    /// Parts of the complaints of the kernel that do not fail it.
    #[serde(default)]
    pub provokes: Vec<String>,
}

impl Listed {
    /// The environment variable that asks for this form, by its value [`Listed::JSON`].
    pub const VARIABLE: &str = "BRINGUP_LIST";

    /// See [`Listed::VARIABLE`].
    pub const JSON: &str = "json";

    /// What the test may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(super) fn new(test: &Test, standing: &Standing) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            name: test.name(),
            place: test.place(),
            ignored: standing.reason().map(str::to_owned),
            timeout_ms: test.timeout_ms,
            requires: owned(test.requires),
            provokes: owned(test.provokes),
        }
    }
}
