// SPDX-License-Identifier: MIT OR Apache-2.0

//! What it means when labgrid's client fails.

use crate::Error;

/// How many of its last lines are told.
const TOLD: usize = 3;

/// What the client says, and what to look at.
const HINTS: [(&str, &str); 11] = [
    (
        "is already acquired by",
        "ask whoever has it, or wait in line: `labgrid.reserve = { name = \"…\" }` in place of \
         `labgrid.place`",
    ),
    (
        "You have already acquired",
        "release it there, or allow this computer to use it too",
    ),
    (
        "is acquired by a different user",
        "somebody has taken the place away",
    ),
    ("is not acquired", "somebody has taken the place away"),
    (
        "Could not connect to coordinator",
        "is the coordinator running, and where `labgrid.coordinator` or LG_COORDINATOR says?",
    ),
    (
        "matches nothing",
        "`labgrid-client places` lists the places that there are",
    ),
    (
        "has no matching remote resource",
        "is the exporter of the place running? `labgrid-client resources` lists what there is",
    ),
    (
        "target has no compatible resource",
        "name an environment file with a driver for the power as `labgrid.config`, or commands in \
         [bench.NAME.power]",
    ),
    (
        "there is no program",
        "install labgrid, or name its client as `labgrid.client`",
    ),
    (
        // A shell's words.
        ": not found",
        "install labgrid, or name its client as `labgrid.client`",
    ),
    (
        "No such file or directory",
        "install labgrid, or name its client as `labgrid.client`",
    ),
];

/// The failure of a client that ended saying this.
pub(super) fn explain(what: &str, reason: &str) -> Error {
    let found = HINTS.iter().find(|(said, _)| reason.contains(said));
    let lines = reason.lines().map(str::trim).filter(|line| is_told(line));
    let lines: Vec<_> = lines.collect();
    let skipped = lines.len().saturating_sub(TOLD);
    Error::Labgrid {
        what: what.to_owned(),
        said: lines[skipped..].join("; "),
        hint: found.map(|(_, hint)| *hint),
    }
}

/// Progress of its transport is of no use to anybody.
fn is_told(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("I0000") && !line.starts_with("WARNING: All log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_own_words_are_told_with_what_to_look_at() {
        for (said, hint) in [
            (
                "exit status: 1: labgrid-client: Error: Place pi-7 is already acquired by \
                 desk/bob. To work simultaneously, bob can execute …",
                "wait in line",
            ),
            (
                "exit status: 1: Server error: Error: Could not connect to coordinator",
                "LG_COORDINATOR",
            ),
            (
                "exit status: 1: labgrid-client: Error: place pattern x matches nothing",
                "labgrid-client places",
            ),
        ] {
            let text = explain("hand out the place x", said).to_string();
            assert!(text.contains(said) && text.contains(hint), "{text}");
        }
        let other = explain("switch on", "exit status: 2: a\n\nb\nc\nd\n").to_string();
        assert_eq!(other, "labgrid does not switch on: b; c; d");
    }
}
