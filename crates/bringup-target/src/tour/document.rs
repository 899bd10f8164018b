// SPDX-License-Identifier: MIT OR Apache-2.0

//! The result of a tour, for people.

use std::fmt::{self, Write as _};

use agent_wire::report::{Fact, Status, Tour};

/// The result of a tour as text.
pub(super) fn text(tour: &Tour) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, tour);
    text
}

fn write(text: &mut String, tour: &Tour) -> fmt::Result {
    writeln!(text, "engine: {}", tour.engine)?;
    for room in &tour.rooms {
        let facts = &room.evidence;
        let width = |field: fn(&Fact) -> &str| {
            facts
                .iter()
                .map(|fact| field(fact).len())
                .max()
                .unwrap_or(0)
        };
        let (what, received) = (width(|fact| &fact.what), width(|fact| &fact.received));
        writeln!(text, "\n{:<9} {}", room.name, verdict(room.status))?;
        for fact in facts {
            writeln!(
                text,
                "  {:<what$}  {:<received$}  {}",
                fact.what, fact.received, fact.verified
            )?;
        }
        if let Some(error) = &room.error {
            writeln!(text, "  {error}")?;
        }
    }
    Ok(())
}

/// How a visit went, in one word.
pub(super) fn verdict(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Failed => "FAILED",
        Status::Ignored => "ignored",
    }
}

#[cfg(test)]
mod tests {
    use agent_wire::report::Room;

    use super::super::evidence::Evidence;
    use super::*;

    #[test]
    fn people_get_an_aligned_table() {
        let mut evidence = Evidence::default();
        evidence.note("answer", &42, &42, "sysfs answer");
        evidence.note("longer than that", &"a", &"a", "ioctl INFO");
        let room = Room {
            name: "chardev".into(),
            status: Status::Failed,
            evidence: evidence.into_facts(),
            error: Some("it broke".into()),
        };
        let tour = Tour {
            engine: "software".into(),
            rooms: vec![room],
        };
        let expected = "engine: software\n\
                        \nchardev   FAILED\n\
                        \x20 answer            42  sysfs answer\n\
                        \x20 longer than that  a   ioctl INFO\n\
                        \x20 it broke\n";
        assert_eq!(text(&tour), expected);
    }
}
