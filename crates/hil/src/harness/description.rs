// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test program is told about the board.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Place;

/// How alike two names are that may have been mistaken for each other, of 1.
const NEAR: f64 = 0.7;

/// What a test program is told about the board that it runs on, or drives: by whoever runs it, as
/// JSON in the environment variable [`TargetDescription::VARIABLE`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let json = r#"{
///     "bench": "desk", "board": "beach", "title": "Beach, model 3",
///     "capabilities": ["gpio-edges"],
///     "known": {"gpio-edges": "lines that tell of edges", "pci": "a PCI bus"}
/// }"#;
/// let target: hil::TargetDescription = serde_json::from_str(json)?;
/// assert_eq!(target.has("gpio-edges"), Ok(true));
/// assert_eq!(target.has("pci"), Ok(false));
/// let error = target.has("gpio-edge").unwrap_err();
/// assert_eq!(error.to_string(), "no such capability as `gpio-edge`; near ones: `gpio-edges`");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDescription {
    /// The name of the bench.
    pub bench: String,
    /// The name of the board.
    pub board: String,
    /// What people call the board.
    pub title: String,
    /// Where the program runs: on the board or on the PC. Tests that belong in the other place are
    /// ignored. Where nobody says, all are run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What the board can do, bench included.
    pub capabilities: BTreeSet<String>,
    /// Every capability that some board may have, and what it means.
    pub known: BTreeMap<String, String>,
}

impl TargetDescription {
    /// The environment variable that holds it.
    pub const VARIABLE: &str = "BRINGUP_TARGET";

    /// Whether the board has a capability.
    ///
    /// # Errors
    ///
    /// When no board can have it, as nobody knows it.
    pub fn has(&self, capability: &str) -> Result<bool, UnknownCapability> {
        if self.capabilities.contains(capability) {
            Ok(true)
        } else if self.known.contains_key(capability) {
            Ok(false)
        } else {
            Err(UnknownCapability::new(capability, self.known.keys()))
        }
    }
}

/// A capability that no board can have: most likely, a slip of the pen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no such capability as `{name}`; {}", hint(near, known))]
pub struct UnknownCapability {
    /// What was asked for.
    pub name: String,
    /// Known ones that look like it, the most alike first.
    pub near: Vec<String>,
    /// All that are known.
    pub known: Vec<String>,
}

impl UnknownCapability {
    fn new<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Self {
        let known: Vec<String> = known.cloned().collect();
        let mut near: Vec<_> = known
            .iter()
            .map(|other| (strsim::normalized_damerau_levenshtein(name, other), other))
            .filter(|(likeness, other)| *likeness >= NEAR || is_part(name, other))
            .collect();
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Self {
            name: name.to_owned(),
            near: near.into_iter().map(|(_, name)| name.clone()).collect(),
            known,
        }
    }
}

/// Whether one name is the beginning of the other.
fn is_part(name: &str, other: &str) -> bool {
    !name.is_empty() && (other.starts_with(name) || name.starts_with(other))
}

fn hint(near: &[String], known: &[String]) -> String {
    let (intro, names) = match (near, known) {
        ([], []) => return "none is known".to_owned(),
        ([], known) => ("there are", known),
        (near, _) => ("near ones", near),
    };
    format!("{intro}: `{}`", names.join("`, `"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> TargetDescription {
        let known = ["gpio", "gpio-edges", "pci", "spi-loopback"];
        TargetDescription {
            capabilities: ["pci".to_owned()].into(),
            known: known.map(|name| (name.into(), "text".into())).into(),
            ..TargetDescription::default()
        }
    }

    fn refused(name: &str) -> String {
        description().has(name).unwrap_err().to_string()
    }

    #[test]
    fn a_board_has_what_it_is_said_to_have() {
        assert_eq!(description().has("pci"), Ok(true));
        assert_eq!(description().has("gpio"), Ok(false));
    }

    #[test]
    fn what_looks_like_an_unknown_name_is_suggested_the_nearest_first() {
        let expected = "no such capability as `gpi`; near ones: `gpio`, `gpio-edges`";
        assert_eq!(refused("gpi"), expected);
        let expected = "no such capability as `gpio-edge`; near ones: `gpio-edges`, `gpio`";
        assert_eq!(refused("gpio-edge"), expected);
        let expected = "no such capability as `spi-loopabck`; near ones: `spi-loopback`";
        assert_eq!(refused("spi-loopabck"), expected);
    }

    #[test]
    fn where_nothing_looks_like_it_all_are_told() {
        let all = "there are: `gpio`, `gpio-edges`, `pci`, `spi-loopback`";
        for name in ["can", ""] {
            let expected = format!("no such capability as `{name}`; {all}");
            assert_eq!(refused(name), expected);
        }
        let nothing = TargetDescription::default().has("pci").unwrap_err();
        assert!(nothing.to_string().ends_with("; none is known"));
    }

    #[test]
    fn it_is_read_as_it_was_written_and_what_is_to_come_is_passed_over() {
        let written = serde_json::to_string(&description()).unwrap();
        assert!(!written.contains("place"));
        let read: TargetDescription = serde_json::from_str(&written).unwrap();
        assert_eq!(read, description());
        let more = written.replacen('{', r#"{"weight":5,"place":"bench","#, 1);
        let read: TargetDescription = serde_json::from_str(&more).unwrap();
        assert_eq!(read.place, Some(Place::Bench));
    }
}
