// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test on a board is told of that board.

use std::collections::BTreeMap;

use hil::description::Commands;
use hil::stimulus::Kind;
use hil::{Place, TargetDescription};

use crate::benches::Chosen;
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
    let mut capabilities = board.capabilities.clone();
    if place == Place::Bench {
        let kinds = stimulus(chosen).into_iter();
        capabilities.extend(kinds.map(|kind| kind.capability().to_owned()));
    }
    let description = TargetDescription {
        bench: chosen.name.clone(),
        board: board.name.clone(),
        title: board.title.clone(),
        place: Some(place),
        capabilities,
        known: repository.boards()?.capabilities().clone(),
    };
    let json = serde_json::to_string(&description).unwrap_or_default();
    Ok([(TargetDescription::VARIABLE.to_owned(), json)].into())
}

/// What the bench can do something to while the board runs.
fn stimulus(chosen: &Chosen) -> Vec<Kind> {
    match (&chosen.description, &chosen.board.qemu) {
        (Some(description), _) => {
            let stimulus = description.stimulus.values();
            stimulus.map(Commands::kind).collect()
        }
        (None, Some(qemu)) => qemu.stimulus.values().map(Kind::of).collect(),
        (None, None) => Vec::new(),
    }
}
