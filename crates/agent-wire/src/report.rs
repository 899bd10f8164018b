// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tour of the driver reports: one JSON document on its standard output.

use serde::{Deserialize, Serialize};

/// The result of a tour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tour {
    /// Which engine moved the bytes.
    pub engine: String,
    /// What was found in each room, in the order of the tour.
    pub rooms: Vec<Room>,
}

/// What was found in one room: one mechanism by which a program and the kernel talk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The room's name.
    pub name: String,
    /// How the visit went.
    pub status: Status,
    /// What both sides agree on, in order.
    pub evidence: Vec<Fact>,
    /// Why it failed or could not be visited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something that both sides of the border agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub what: String,
    /// Who has told whom.
    pub direction: Direction,
    /// What user space sent, did or expected.
    pub sent: String,
    /// What came back.
    pub received: String,
    /// In which way the other side was asked.
    pub verified: String,
}

/// Who tells whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The program tells the kernel.
    ToKernel,
    /// The kernel tells the program.
    ToUser,
    /// The program asks, and the kernel answers.
    Both,
}

impl Direction {
    /// The same for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToKernel => "to the kernel",
            Self::ToUser => "to user space",
            Self::Both => "both ways",
        }
    }
}

/// How a visit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Both sides agree.
    Passed,
    /// They do not, or something went wrong.
    Failed,
    /// The kernel was built or started without what the room needs.
    Ignored,
}

impl Tour {
    /// How many rooms ended like this.
    pub fn count(&self, status: Status) -> usize {
        let rooms = self.rooms.iter();
        rooms.filter(|room| room.status == status).count()
    }

    /// Whether there was something to see and nothing failed.
    pub fn passed(&self) -> bool {
        !self.rooms.is_empty() && self.count(Status::Failed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tour(status: Status, error: Option<&str>) -> Tour {
        let fact = Fact {
            what: "answer".into(),
            direction: Direction::ToUser,
            sent: "42".into(),
            received: "42".into(),
            verified: "sysfs answer".into(),
        };
        let room = Room {
            name: "chardev".into(),
            status,
            evidence: vec![fact],
            error: error.map(Into::into),
        };
        Tour {
            engine: "software".into(),
            rooms: vec![room],
        }
    }

    #[test]
    fn the_document_has_these_names() {
        let expected = r#"{"engine":"software","rooms":[{"name":"chardev","status":"failed","evidence":[{"what":"answer","direction":"to-user","sent":"42","received":"42","verified":"sysfs answer"}],"error":"no"}]}"#;
        let failed = tour(Status::Failed, Some("no"));
        assert_eq!(serde_json::to_string(&failed).unwrap(), expected);
        assert_eq!(serde_json::from_str::<Tour>(expected).unwrap(), failed);
    }

    #[test]
    fn an_error_may_be_missing_or_null() {
        let passed = tour(Status::Passed, None);
        let json = serde_json::to_string(&passed).unwrap();
        assert!(!json.contains("error"), "{json}");
        assert_eq!(serde_json::from_str::<Tour>(&json).unwrap(), passed);
        let null = json.replace("}]}]", "}],\"error\":null}]");
        assert_eq!(serde_json::from_str::<Tour>(&null).unwrap(), passed);
    }

    #[test]
    fn an_ignored_room_fails_no_tour_and_an_empty_tour_does() {
        assert!(tour(Status::Passed, None).passed());
        assert!(tour(Status::Ignored, Some("debugfs is not mounted")).passed());
        assert!(!tour(Status::Failed, Some("it broke")).passed());
        let rooms = Vec::new();
        let engine = "software".into();
        assert!(!Tour { engine, rooms }.passed());
    }
}
