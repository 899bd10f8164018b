// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test on a board is told of that board.

use std::collections::BTreeMap;

use board_spec::Board;
use hil::stimulus::{Kind, Point};
use hil::{Place, TargetDescription};

use crate::benches::Chosen;
use crate::failure::Result;
use crate::repository::Repository;

/// What a bench has that can write what the board boots from.
const STORAGE: &str = "storage";

/// The variables that a test on this bench needs: without them it takes itself to be on a PC, and
/// every test that needs the board is ignored.
pub(crate) fn of(
    repository: &Repository,
    chosen: &Chosen,
    place: Place,
) -> Result<BTreeMap<String, String>> {
    let board = &chosen.board;
    let boards = repository.boards()?;
    let mut known = boards.capabilities().clone();
    let mut capabilities = board.capabilities.clone();
    if place == Place::Bench {
        // A test may require a line, a sensor or a button by its name, too.
        for other in boards.all().unwrap_or_default() {
            known.extend(stimulus_of(&other).into_iter().map(meaning));
        }
        let stimulus = match &chosen.description {
            Some(description) => description.stimulus(),
            None => stimulus_of(board),
        };
        if has_storage(chosen) {
            capabilities.insert(STORAGE.to_owned());
        }
        for point in stimulus {
            capabilities.insert(point.kind.capability().to_owned());
            capabilities.insert(point.name.clone());
            known.extend([meaning(point)]);
        }
    }
    let description = TargetDescription {
        bench: chosen.name.clone(),
        board: board.name.clone(),
        title: board.title.clone(),
        place: Some(place),
        capabilities,
        known,
    };
    let json = serde_json::to_string(&description).unwrap_or_default();
    Ok([(TargetDescription::VARIABLE.to_owned(), json)].into())
}

/// Whether the bench can write what the board boots from.
fn has_storage(chosen: &Chosen) -> bool {
    match (&chosen.description, &chosen.board.qemu) {
        (Some(description), _) => description.storage.is_some(),
        (None, qemu) => qemu.as_ref().is_some_and(|qemu| qemu.storage.is_some()),
    }
}

/// What can be done to a board that is emulated.
fn stimulus_of(board: &Board) -> Vec<Point> {
    let qemu = board.qemu.iter();
    let stimulus = qemu.flat_map(|qemu| &qemu.stimulus);
    let point = |(name, stimulus): (&String, &board_spec::Stimulus)| Point {
        name: name.clone(),
        kind: Kind::of(stimulus),
    };
    stimulus.map(point).collect()
}

/// What a name means that a test may require.
fn meaning(point: Point) -> (String, String) {
    let meaning = format!("a {} of the bench", point.kind);
    (point.name, meaning)
}
