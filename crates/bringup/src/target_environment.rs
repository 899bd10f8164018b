// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test on a board is told of that board.

use std::collections::{BTreeMap, BTreeSet};

use board_spec::Board;
use hil::description::Benches;
use hil::stimulus::{Kind, Point};
use hil::{Place, TargetDescription};

use crate::benches::{self, Chosen};
use crate::failure::Result;
use crate::repository::Repository;

/// What a bench may have besides its board, for tests on the PC that need it, and what it means. By
/// its own name, each line, sensor and button can be required in the same way.
const OF_BENCHES: [(&str, &str); 7] = [
    (POWER, "a power switch that commands can press"),
    (CONSOLE, "a console that is listened to"),
    (STORAGE, "a card or disk that the bench can write"),
    (LINE, "a line that the bench can set and look at"),
    (SENSOR, "a sensor that the bench can tell what to measure"),
    (BUTTON, "a button that the bench can press"),
    (
        CABLE,
        "a button that pulls the agent's cable and puts it in again",
    ),
];

const POWER: &str = "power";
const CONSOLE: &str = "console";
const STORAGE: &str = "storage";
const LINE: &str = "stimulus-line";
const SENSOR: &str = "stimulus-sensor";
const BUTTON: &str = "stimulus-button";
const CABLE: &str = "cable";

/// The variables that a test on this bench needs: without them it takes itself to be on a PC, and
/// every test that needs the board is ignored.
pub(crate) fn of(
    repository: &Repository,
    chosen: &Chosen,
    place: Place,
) -> Result<BTreeMap<String, String>> {
    let boards = repository.boards()?;
    let board = &chosen.board;
    // Of all boards, and of all benches that the user has: what this one lacks is no mistake.
    let described = benches::all().ok().flatten();
    let described = described.iter().flat_map(Benches::all);
    let described = described.flat_map(|(_, description)| description.stimulus());
    let points = boards.all().unwrap_or_default();
    let points = points.iter().flat_map(stimulus_of);
    let points = points.chain(described).chain(stimulus(chosen));
    let description = TargetDescription {
        bench: chosen.name.clone(),
        board: board.name.clone(),
        title: board.title.clone(),
        place: Some(place),
        capabilities: capabilities(chosen),
        known: known(boards.capabilities(), points),
    };
    let json = serde_json::to_string(&description).unwrap_or_default();
    Ok([(TargetDescription::VARIABLE.to_owned(), json)].into())
}

/// What the board can do, and what its bench has.
fn capabilities(chosen: &Chosen) -> BTreeSet<String> {
    let (power, console, storage) = match &chosen.description {
        None => {
            let qemu = chosen.board.qemu.as_ref();
            let storage = qemu.and_then(|qemu| qemu.storage.as_ref());
            (true, true, storage.is_some())
        }
        Some(description) => (
            description.power.is_some(),
            description.console.is_some(),
            description.storage.is_some(),
        ),
    };
    let parts = [(POWER, power), (CONSOLE, console), (STORAGE, storage)];
    let parts = parts.into_iter().filter(|(_, there_is)| *there_is);
    let points = stimulus(chosen).into_iter();
    let points = points.flat_map(|point| [capability(point.kind).to_owned(), point.name]);
    let mut all = chosen.board.capabilities.clone();
    all.extend(parts.map(|(name, _)| name.to_owned()).chain(points));
    all
}

/// The capability of a bench that has one of these.
fn capability(kind: Kind) -> &'static str {
    match kind {
        Kind::Line => LINE,
        Kind::Sensor => SENSOR,
        Kind::Button => BUTTON,
    }
}

/// Whatever some board or bench may have.
fn known(
    of_boards: &BTreeMap<String, String>,
    points: impl Iterator<Item = Point>,
) -> BTreeMap<String, String> {
    let of_benches = OF_BENCHES.map(|(name, meaning)| (name.to_owned(), meaning.to_owned()));
    let points = points.map(|point| (point.name, format!("a {} of the bench", point.kind)));
    let mut known = of_boards.clone();
    known.extend(of_benches.into_iter().chain(points));
    known
}

/// What can be done to the board while it runs.
fn stimulus(chosen: &Chosen) -> Vec<Point> {
    match &chosen.description {
        Some(description) => description.stimulus(),
        None => stimulus_of(&chosen.board),
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

#[cfg(test)]
mod tests {
    use super::*;
    use hil::description::BenchDescription;

    fn boards() -> board_spec::Boards {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        board_spec::Boards::find(&folder).unwrap()
    }

    #[test]
    fn a_bench_has_what_its_description_names() {
        let boards = boards();
        let board = boards.board(boards.default_name()).unwrap();
        let of = |parts: &str| {
            let text = format!("board = \"x\"\nagent = {{ socket = \"x:1\" }}\n{parts}");
            let description: BenchDescription = toml::from_str(&text).unwrap();
            let mut chosen = Chosen::emulated(board.clone());
            chosen.description = Some(description);
            let found = capabilities(&chosen);
            let known = known(&BTreeMap::new(), stimulus(&chosen).into_iter());
            assert!(found.is_subset(&known.into_keys().collect()));
            found.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(""), [""; 0]);
        assert_eq!(of("power = { on = [\"a\"], off = [\"b\"] }"), [POWER]);
        assert_eq!(of("console = { serial = \"/dev/ttyUSB0\" }"), [CONSOLE]);
        assert_eq!(of("storage.write = [\"cp\", \"{}\", \"card\"]"), [STORAGE]);
        assert_eq!(of("stimulus.led.line.level = [\"a\"]"), ["led", LINE]);
        assert_eq!(
            of("stimulus.reset.button.press = [\"a\"]"),
            ["reset", BUTTON]
        );
    }

    #[test]
    fn an_emulated_board_has_what_its_emulator_can_do() {
        let all = boards().all().unwrap();
        for board in &all {
            let chosen = Chosen::emulated(board.clone());
            let found = capabilities(&chosen);
            for name in [POWER, CONSOLE, STORAGE, LINE, BUTTON, "freeze"] {
                assert!(found.contains(name), "{} has no {name}", board.name);
            }
            // What another board has is known, and not had.
            let known = known(&BTreeMap::new(), all.iter().flat_map(stimulus_of));
            assert!(known.contains_key("temperature") && known.contains_key("power-button"));
            let both = ["temperature", "power-button"];
            assert!(!both.iter().all(|name| found.contains(*name)));
        }
    }
}
