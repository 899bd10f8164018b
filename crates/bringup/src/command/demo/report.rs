// SPDX-License-Identifier: MIT OR Apache-2.0

//! The document that `--json` prints.

use agent_wire::report::{Room, Status, Tour};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// What a board's tour found.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub(super) board: &'a str,
    pub(super) kernel: &'a str,
    pub(super) engine: &'a str,
    pub(super) rooms: &'a [Room],
}

/// What the program's exit code must tell: every room must have passed, because the stock kernel
/// lacks nothing that a room would need.
pub(super) fn exit(tour: &Tour) -> Exit {
    if !tour.rooms.is_empty() && tour.count(Status::Passed) == tour.rooms.len() {
        Exit::Ok
    } else {
        Exit::TestFailed
    }
}

/// Fails with the rooms that have not passed, under the same condition.
pub(super) fn require_passed(tour: &Tour) -> Result<()> {
    if exit(tour) == Exit::Ok {
        return Ok(());
    }
    let others = tour
        .rooms
        .iter()
        .filter(|room| room.status != Status::Passed);
    let lines = others.map(|room| {
        let error = room.error.as_deref().unwrap_or("no reason given");
        format!("{} {:?}: {error}", room.name, room.status)
    });
    let lines: Vec<_> = lines.collect();
    let what = format!(
        "of {} rooms, {} have not passed",
        tour.rooms.len(),
        lines.len()
    );
    Err(Failure::new(Exit::TestFailed, what).evidence(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of(rooms: &[Status]) -> Exit {
        let room = |status: &Status| Room {
            name: "ioctl".into(),
            status: *status,
            evidence: Vec::new(),
            error: None,
        };
        let tour = Tour {
            engine: "software".into(),
            rooms: rooms.iter().map(room).collect(),
        };
        let required = require_passed(&tour).map_or_else(|failure| failure.exit(), |()| Exit::Ok);
        assert_eq!(required, exit(&tour));
        required
    }

    #[test]
    fn every_room_must_have_passed() {
        let (passed, failed, ignored) = (Status::Passed, Status::Failed, Status::Ignored);
        assert_eq!(exit_of(&[passed, passed]), Exit::Ok);
        assert_eq!(exit_of(&[passed, failed, passed]), Exit::TestFailed);
        assert_eq!(exit_of(&[passed, ignored]), Exit::TestFailed);
        assert_eq!(exit_of(&[]), Exit::TestFailed);
    }
}
