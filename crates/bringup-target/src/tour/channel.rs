// SPDX-License-Identifier: MIT OR Apache-2.0

//! The visit of one room, step by step.

use std::fmt::{self, Write as _};

use agent_wire::report::{Fact, Status};
use dmacopy_client::Device;
use serde::Serialize;

use super::Visit;
use super::document::verdict;
use super::step::Step;

/// What was done in a room, and what was found.
#[derive(Debug, Serialize)]
pub(super) struct Channel {
    room: String,
    device: String,
    engine: String,
    status: Status,
    steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Channel {
    pub(super) fn new(room: &str, device: &Device, visit: Visit) -> anyhow::Result<Self> {
        Ok(Self {
            room: room.to_owned(),
            device: device.name().to_owned(),
            engine: device.attributes().engine()?,
            status: visit.status,
            steps: visit.evidence.into_steps(),
            error: visit.error,
        })
    }

    /// Whether the mechanism works. One that the kernel does not have does not.
    pub(super) fn has_passed(&self) -> bool {
        self.status == Status::Passed
    }

    /// The same for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let (room, device, engine) = (&self.room, &self.device, &self.engine);
        writeln!(text, "{room}, on {device} with the engine {engine}")?;
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(text, "\n{number:2}. {}", step.what)?;
            writeln!(
                text,
                "    {:<15}  {}",
                step.direction.as_str(),
                step.through
            )?;
            writeln!(text, "    {:<15}  {}", "answer", step.answer)?;
            for fact in &step.verified {
                let Fact {
                    what,
                    sent,
                    received,
                    verified,
                    direction: _,
                } = fact;
                writeln!(text, "    {:<15}  {what}", "checked")?;
                writeln!(text, "    {:<15}  {sent}", "  sent, expected")?;
                writeln!(text, "    {:<15}  {received}, by {verified}", "  received")?;
            }
        }
        if let Some(error) = &self.error {
            writeln!(text, "\n    {error}")?;
        }
        writeln!(text, "\n{room} {}", verdict(self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Evidence;
    use super::*;

    fn channel(status: Status, error: Option<&str>) -> Channel {
        let mut evidence = Evidence::default();
        evidence.gave("stall", "write(2) to /x/stall", "Y");
        evidence.equal("stall", "Y", "Y", "debugfs stall").unwrap();
        evidence.got("an event", "recvmsg(2)", "change@/x");
        Channel {
            room: "uevent".into(),
            device: "dmacopy0".into(),
            engine: "software".into(),
            status,
            steps: evidence.into_steps(),
            error: error.map(Into::into),
        }
    }

    #[test]
    fn people_see_each_step_and_what_was_checked_after_it() {
        let expected = "uevent, on dmacopy0 with the engine software\n\
            \n 1. stall\n\
            \x20   to the kernel    write(2) to /x/stall\n\
            \x20   answer           Y\n\
            \x20   checked          stall\n\
            \x20     sent, expected  Y\n\
            \x20     received       Y, by debugfs stall\n\
            \n 2. an event\n\
            \x20   to user space    recvmsg(2)\n\
            \x20   answer           change@/x\n\
            \n    it broke\n\
            \nuevent FAILED\n";
        assert_eq!(channel(Status::Failed, Some("it broke")).text(), expected);
    }

    #[test]
    fn programs_get_these_names() {
        let json = serde_json::to_value(channel(Status::Passed, None)).unwrap();
        let expected = serde_json::json!({
            "room": "uevent",
            "device": "dmacopy0",
            "engine": "software",
            "status": "passed",
            "steps": [
                {
                    "what": "stall",
                    "direction": "to-kernel",
                    "through": "write(2) to /x/stall",
                    "answer": "Y",
                    "verified": [{
                        "what": "stall", "direction": "to-kernel", "sent": "Y", "received": "Y", "verified": "debugfs stall"
                    }],
                },
                {
                    "what": "an event",
                    "direction": "to-user",
                    "through": "recvmsg(2)",
                    "answer": "change@/x",
                    "verified": [],
                },
            ],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_mechanism_that_was_not_seen_working_has_not_passed() {
        assert!(channel(Status::Passed, None).has_passed());
        assert!(!channel(Status::Ignored, Some("not mounted")).has_passed());
        assert!(!channel(Status::Failed, Some("it broke")).has_passed());
    }
}
