// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a board on its bench can do, by the names that tests require.

use std::collections::{BTreeMap, BTreeSet};

use board_spec::{Board, Boards};
use hil::description::Benches;
use hil::stimulus::{Kind, Point};

use crate::benches::{self, Chosen};

/// What a bench may have besides its board, for tests on the PC that need it, and what it means. By
/// its own name, each line, sensor and button can be required in the same way.
const OF_BENCHES: [(&str, &str); 8] = [
    (POWER, "a power switch that commands can press"),
    (CONSOLE, "a console that is listened to"),
    (STORAGE, "a card or disk that the bench can write"),
    (LINE, "a line that the bench can set and look at"),
    (SENSOR, "a sensor that the bench can tell what to measure"),
    (BUTTON, "a button that the bench can press"),
    (
        PERIPHERAL,
        "a device that the bench plays, and can pull out",
    ),
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
const PERIPHERAL: &str = "peripheral";
const CABLE: &str = "cable";

/// What the board can do, and what its bench has.
pub(crate) fn of(chosen: &Chosen) -> BTreeSet<String> {
    let (power, console, storage) = match &chosen.description {
        None => {
            let qemu = chosen.board.qemu.as_ref();
            let storage = qemu.and_then(|qemu| qemu.storage.as_ref());
            (true, true, storage.is_some())
        }
        Some(description) => {
            let place = description.labgrid.as_ref();
            let console = place.is_some_and(|place| place.console.is_some());
            (
                description.power.is_some() || place.is_some(),
                description.console.is_some() || console,
                description.storage.is_some(),
            )
        }
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
        Kind::Peripheral => PERIPHERAL,
    }
}

/// What some board or bench may have, and what it means: that of all boards, and of all benches that
/// the user has. What this one lacks is no mistake then.
pub(crate) fn known(boards: &Boards, chosen: &Chosen) -> BTreeMap<String, String> {
    let described = benches::all().ok().flatten();
    let described = described.iter().flat_map(Benches::all);
    let described = described.flat_map(|(_, description)| description.stimulus());
    let of_boards = boards.all().unwrap_or_default();
    let of_boards = of_boards.iter().flat_map(stimulus_of);
    let points = of_boards.chain(described).chain(stimulus(chosen));
    let of_benches = OF_BENCHES.map(|(name, meaning)| (name.to_owned(), meaning.to_owned()));
    let points = points.map(|point| (point.name, format!("a {} of the bench", point.kind)));
    let mut known = boards.capabilities().clone();
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
    let peripherals = board.qemu.iter().flat_map(|qemu| qemu.peripheral.keys());
    let peripherals = peripherals.map(|name| Point {
        name: name.clone(),
        kind: Kind::Peripheral,
    });
    stimulus.map(point).chain(peripherals).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hil::description::BenchDescription;

    fn boards() -> Boards {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        Boards::find(&folder).unwrap()
    }

    #[test]
    fn a_bench_has_what_its_description_names() {
        let boards = boards();
        let board = boards.board(boards.default_name()).unwrap();
        let found = |parts: &str| {
            let text = format!("board = \"x\"\nagent = {{ socket = \"x:1\" }}\n{parts}");
            let description: BenchDescription = toml::from_str(&text).unwrap();
            let mut chosen = Chosen::emulated(board.clone());
            chosen.description = Some(description);
            let all = of(&chosen);
            let known = known(&boards, &chosen);
            assert!(all.is_subset(&known.into_keys().collect()));
            // What the board has, it has on every bench.
            let (own, named): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|name| board.capabilities.contains(name));
            assert_eq!(own.len(), board.capabilities.len());
            named
        };
        assert_eq!(found(""), [""; 0]);
        assert_eq!(found("power = { on = [\"a\"], off = [\"b\"] }"), [POWER]);
        assert_eq!(found("console = { serial = \"/dev/ttyUSB0\" }"), [CONSOLE]);
        assert_eq!(
            found("storage.write = [\"cp\", \"{}\", \"card\"]"),
            [STORAGE]
        );
        assert_eq!(found("stimulus.led.line.level = [\"a\"]"), ["led", LINE]);
        assert_eq!(
            found("stimulus.reset.button.press = [\"a\"]"),
            ["reset", BUTTON]
        );
    }

    #[test]
    fn an_emulated_board_has_what_its_emulator_can_do() {
        let all = boards().all().unwrap();
        for board in &all {
            let chosen = Chosen::emulated(board.clone());
            let found = of(&chosen);
            for name in [POWER, CONSOLE, STORAGE, LINE, BUTTON, "freeze"] {
                assert!(found.contains(name), "{} has no {name}", board.name);
            }
            // What another board has is known, and not had.
            let known = known(&boards(), &chosen);
            assert!(known.contains_key("temperature") && known.contains_key("power-button"));
            let both = ["temperature", "power-button"];
            assert!(!both.iter().all(|name| found.contains(*name)));
        }
    }
}
