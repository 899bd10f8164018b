// SPDX-License-Identifier: MIT OR Apache-2.0

//! The result of a tour, for programs (JSON) and for people.

use std::fmt;

use serde::Serialize;

use super::evidence::Evidence;

/// The result of a tour.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// Which engine moved the bytes.
    pub(super) engine: String,
    /// What was found in each room.
    pub(super) rooms: Vec<Visit>,
}

/// What was found in one room.
#[derive(Debug, Serialize)]
pub(super) struct Visit {
    /// The room's name.
    pub(super) name: &'static str,
    /// How it went.
    pub(super) status: Status,
    /// What both sides agree on.
    pub(super) evidence: Evidence,
    /// Why it failed or could not be visited.
    pub(super) error: Option<String>,
}

/// How a visit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Both sides agree.
    Passed,
    /// They do not, or something went wrong.
    Failed,
    /// The kernel was built or started without what the room needs.
    Ignored,
}

impl Document {
    /// Whether no room failed.
    pub(super) fn passed(&self) -> bool {
        self.rooms.iter().all(|room| room.status != Status::Failed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Ignored => "ignored",
        })
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "engine: {}", self.engine)?;
        for room in &self.rooms {
            writeln!(f, "\n{:<9} {}", room.name, room.status)?;
            let facts = room.evidence.facts();
            let width = |field: fn(&super::evidence::Fact) -> &str| {
                facts
                    .iter()
                    .map(|fact| field(fact).len())
                    .max()
                    .unwrap_or(0)
            };
            let (what, received) = (width(|fact| &fact.what), width(|fact| &fact.received));
            for fact in facts {
                writeln!(
                    f,
                    "  {:<what$}  {:<received$}  {}",
                    fact.what, fact.received, fact.verified
                )?;
            }
            if let Some(error) = &room.error {
                writeln!(f, "  {error}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(status: Status, error: Option<&str>) -> Document {
        let mut evidence = Evidence::default();
        evidence.note("answer", &42, &42, "sysfs answer");
        evidence.note("longer than that", &"a", &"a", "ioctl INFO");
        let visit = Visit {
            name: "chardev",
            status,
            evidence,
            error: error.map(Into::into),
        };
        Document {
            engine: "software".into(),
            rooms: vec![visit],
        }
    }

    #[test]
    fn the_json_document_is_what_the_bench_reads() {
        let json = serde_json::to_value(document(Status::Passed, None)).unwrap();
        assert_eq!(json["engine"], "software");
        let room = &json["rooms"][0];
        assert_eq!(room["name"], "chardev");
        assert_eq!(room["status"], "passed");
        assert_eq!(room["error"], serde_json::Value::Null);
        let fact = &room["evidence"][0];
        assert_eq!(fact["what"], "answer");
        assert_eq!(fact["sent"], "42");
        assert_eq!(fact["received"], "42");
        assert_eq!(fact["verified"], "sysfs answer");
    }

    #[test]
    fn people_get_an_aligned_table() {
        let expected = "engine: software\n\
                        \nchardev   FAILED\n\
                        \x20 answer            42  sysfs answer\n\
                        \x20 longer than that  a   ioctl INFO\n\
                        \x20 it broke\n";
        let shown = document(Status::Failed, Some("it broke")).to_string();
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_ignored_room_fails_no_tour() {
        assert!(document(Status::Passed, None).passed());
        assert!(document(Status::Ignored, Some("debugfs is not mounted")).passed());
        assert!(!document(Status::Failed, Some("it broke")).passed());
    }
}
