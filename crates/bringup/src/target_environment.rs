// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test on a board is told of that board.

use std::collections::BTreeMap;

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
    let description = TargetDescription {
        bench: chosen.name.clone(),
        board: board.name.clone(),
        title: board.title.clone(),
        place: Some(place),
        capabilities: board.capabilities.clone(),
        known: repository.boards()?.capabilities().clone(),
    };
    let json = serde_json::to_string(&description).unwrap_or_default();
    Ok([(TargetDescription::VARIABLE.to_owned(), json)].into())
}
