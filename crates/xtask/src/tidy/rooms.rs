// SPDX-License-Identifier: MIT OR Apache-2.0

//! A room has the same name everywhere: its user half, its test, its visit of the tour.

use std::collections::BTreeSet;

use super::Fault;
use crate::Tree;
use crate::rust_source::constants;

/// The constant that lists the rooms.
const LIST: &str = "ROOMS";
const CHANNELS: &str = "crates/kernel-channels/src/";
const TESTS: &str = "tests/on-target/tests/";
/// Tests of where the rooms meet, of what moves the bytes behind them, and of programs before them.
const NO_ROOMS: [&str; 16] = [
    "buffers",
    "client",
    "client_lifetime",
    "client_tasks",
    "coalescing",
    "coredump",
    "dma_buf",
    "dmaengine",
    "engines",
    "lifetime",
    "limits",
    "permissions",
    "rings",
    "sync",
    "uring",
    "watch_limits",
];
const TOUR: &str = "crates/bringup-target/src/tour/";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let channels = format!("{CHANNELS}lib.rs");
    let tour = format!("{TOUR}mod.rs");
    let (rooms, visited) = match (listed(tree, &channels), listed(tree, &tour)) {
        (Ok(rooms), Ok(visited)) => (rooms, visited),
        (rooms, visited) => return [rooms.err(), visited.err()].into_iter().flatten().collect(),
    };
    let tested: BTreeSet<String> = tree
        .directly_in(TESTS)
        .filter(|file| file.extension() == "rs")
        .map(|file| file.stem().to_owned())
        .filter(|name| !NO_ROOMS.contains(&name.as_str()))
        .collect();

    let mut faults = Vec::new();
    for room in &rooms.names {
        if !visited.names.contains(room) {
            faults.push(visited.fault(format!("the tour does not visit the room `{room}`")));
        }
        if !tested.contains(room) {
            faults.push(rooms.fault(format!("the room `{room}` has no {TESTS}{room}.rs")));
        }
        for folder in [CHANNELS, TOUR] {
            let module = [
                format!("{folder}{room}.rs"),
                format!("{folder}{room}/mod.rs"),
            ];
            if !module.iter().any(|path| tree.get(path).is_some()) {
                faults.push(rooms.fault(format!("the room `{room}` has no {folder}{room}.rs")));
            }
        }
    }
    for room in visited.names.difference(&rooms.names) {
        faults.push(visited.fault(format!("`{room}` is not a room of kernel-channels")));
    }
    for room in tested.difference(&rooms.names) {
        let what = format!("`{room}` is not a room of kernel-channels");
        faults.push(Fault::new(&format!("{TESTS}{room}.rs"), 1, what));
    }
    faults
}

/// A list of rooms, and where it stands.
struct Listed<'a> {
    names: BTreeSet<String>,
    path: &'a str,
    line: usize,
}

impl Listed<'_> {
    fn fault(&self, what: String) -> Fault {
        Fault::new(self.path, self.line, what)
    }
}

fn listed<'a>(tree: &Tree, path: &'a str) -> Result<Listed<'a>, Fault> {
    let constants = tree.get(path).map(|file| constants(&file.text));
    let mut constants = constants.into_iter().flatten();
    let list = constants
        .find(|constant| constant.name == LIST && constant.module.is_empty())
        .ok_or_else(|| Fault::new(path, 1, format!("there is no list {LIST}")))?;
    let names = list.texts().map(str::to_owned).collect();
    let line = list.line;
    Ok(Listed { names, path, line })
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const LIB: &str = "\npub const ROOMS: [&str; 2] = [\"mmap\", \"uevent\"];\n";
    const VISITS: &str = "const ROOMS: [(&str, Room); 2] =\n\
        [(\"mmap\", mmap::visit), (\"uevent\", uevent::visit)];\n";
    const CLEAN: [(&str, &str); 9] = [
        ("crates/kernel-channels/src/lib.rs", LIB),
        ("crates/kernel-channels/src/error.rs", ""),
        ("crates/kernel-channels/src/mmap.rs", ""),
        ("crates/kernel-channels/src/uevent/mod.rs", ""),
        ("crates/bringup-target/src/tour/mod.rs", VISITS),
        ("crates/bringup-target/src/tour/mmap.rs", ""),
        ("crates/bringup-target/src/tour/uevent.rs", ""),
        ("tests/on-target/tests/mmap.rs", ""),
        ("tests/on-target/tests/uevent.rs", ""),
    ];

    fn changed(index: usize, file: (&'static str, &'static str)) -> Vec<String> {
        let mut files = CLEAN;
        files[index] = file;
        places(&check(&Tree::from(files)))
    }

    #[test]
    fn the_same_rooms_everywhere_pass() {
        assert_eq!(check(&Tree::from(CLEAN)), []);
    }

    #[test]
    fn a_missing_room_is_found() {
        let lib = ["crates/kernel-channels/src/lib.rs:2"];
        for missing in [2, 3, 5, 6, 7, 8] {
            assert_eq!(changed(missing, ("README.md", "")), lib, "{missing}");
        }
        let fewer = (CLEAN[4].0, "const ROOMS: A = [(\"mmap\", mmap::visit)];");
        assert_eq!(
            changed(4, fewer),
            ["crates/bringup-target/src/tour/mod.rs:1"]
        );
    }

    #[test]
    fn a_room_too_many_is_found() {
        let more = ("tests/on-target/tests/futex.rs", "");
        assert_eq!(changed(1, more), ["tests/on-target/tests/futex.rs:1"]);
        let fewer = (CLEAN[0].0, "const ROOMS: [&str; 1] = [\"mmap\"];");
        let expected = [
            "crates/bringup-target/src/tour/mod.rs:1",
            "tests/on-target/tests/uevent.rs:1",
        ];
        assert_eq!(changed(0, fewer), expected);
    }

    #[test]
    fn a_test_of_where_the_rooms_meet_passes() {
        let more = ("tests/on-target/tests/lifetime.rs", "");
        assert_eq!(changed(1, more), [""; 0]);
    }

    #[test]
    fn a_missing_list_is_found() {
        let faults = check(&Tree::default());
        assert_eq!(faults.len(), 2);
    }
}
