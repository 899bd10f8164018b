// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a program on a board is told: of that board, and what its user wishes.

use std::collections::BTreeMap;
use std::ffi::OsString;

use hil::{Place, TargetDescription};

use crate::benches::Chosen;
use crate::capabilities;
use crate::failure::Result;
use crate::repository::Repository;

/// The variables that a test on this bench needs: without them it takes itself to be on a PC, and
/// every test that needs the board is ignored.
pub(crate) fn of(
    repository: &Repository,
    chosen: &Chosen,
    place: Place,
) -> Result<BTreeMap<String, String>> {
    let board = &chosen.board;
    let description = TargetDescription {
        bench: chosen.name.clone(),
        board: board.name.clone(),
        title: board.title.clone(),
        place: Some(place),
        capabilities: capabilities::of(chosen),
        known: capabilities::known(&repository.boards()?, chosen),
    };
    let json = serde_json::to_string(&description).unwrap_or_default();
    Ok([(TargetDescription::VARIABLE.to_owned(), json)].into())
}

/// The same for another place, from what somebody else has said of a bench.
pub(crate) fn moved(json: &str, place: Place) -> Option<BTreeMap<String, String>> {
    let mut description: TargetDescription = serde_json::from_str(json).ok()?;
    description.place = Some(place);
    let json = serde_json::to_string(&description).ok()?;
    Some([(TargetDescription::VARIABLE.to_owned(), json)].into())
}

/// The environment variable that names more variables for programs on a board, with commas.
pub(crate) const PASS: &str = "BRINGUP_PASS";

/// Those of a user's variables whose names begin with one of `starts`, and those that [`PASS`]
/// names. What is not UTF-8 cannot go to a board.
pub(crate) fn passed(
    variables: impl Iterator<Item = (OsString, OsString)>,
    starts: &[&str],
) -> BTreeMap<String, String> {
    let text = |text: OsString| text.into_string().ok();
    let all: BTreeMap<_, _> = variables
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect();
    let named = all.get(PASS).cloned().unwrap_or_default();
    let named: Vec<_> = named.split(',').map(str::trim).collect();
    let is_passed = |name: &str| {
        name == PASS || named.contains(&name) || starts.iter().any(|start| name.starts_with(start))
    };
    all.into_iter()
        .filter(|(name, _)| is_passed(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn names(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(n, v)| (n.into(), v.into()));
        passed(variables, &["RUST_"]).into_keys().collect()
    }

    #[test]
    fn a_user_names_what_programs_get_too() {
        let one = [("RUST_A", ""), ("HOME", ""), ("SEED", "7")];
        assert_eq!(names(&one), ["RUST_A"]);
        let both = [&one[..], &[(PASS, "SEED, OTHER")]].concat();
        assert_eq!(names(&both), [PASS, "RUST_A", "SEED"]);
    }

    #[test]
    fn a_variable_that_is_not_utf_8_is_left_out() {
        let odd = OsString::from_vec(vec![b'x', 0xff]);
        let variables = [("RUST_A", odd), ("RUST_B", "x".into())];
        let variables = variables.map(|(n, v)| (n.into(), v)).into_iter();
        assert_eq!(
            passed(variables, &["RUST_"])
                .into_keys()
                .collect::<Vec<_>>(),
            ["RUST_B"]
        );
    }
}
