// SPDX-License-Identifier: MIT OR Apache-2.0

//! One thing that was looked at.

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// What was looked at, what was found, and the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What kind of thing: kernel, mount, node, driver, user, visit, room, bus.
    area: &'static str,
    what: String,
    state: State,
    /// What was found, or why it is a problem.
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Not there, and nothing of this program needs it.
    Absent,
    /// It cannot be told.
    Unknown,
    /// Something must be done first.
    Problem,
}

impl Finding {
    pub(super) fn new(
        area: &'static str,
        what: impl Into<String>,
        state: State,
        why: impl Into<String>,
    ) -> Self {
        Self {
            area,
            what: what.into(),
            state,
            why: why.into(),
            mend: None,
        }
    }

    /// The command that mends it.
    pub(super) fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(command.into());
        self
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    #[cfg(test)]
    pub(super) fn area(&self) -> &'static str {
        self.area
    }

    /// The same for people.
    pub(super) fn text(&self) -> String {
        let (mark, colour) = match self.state {
            State::Ok => ("ok", AnsiColor::Green),
            State::Absent => ("absent", AnsiColor::Yellow),
            State::Unknown => ("unknown", AnsiColor::Yellow),
            State::Problem => ("PROBLEM", AnsiColor::Red),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        let Self {
            area, what, why, ..
        } = self;
        let mut text = format!("{style}{mark:7}{style:#} {area} {what}: {why}\n");
        if let Some(command) = &self.mend {
            text += &format!("        {command}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_comes_with_the_command_that_mends_it() {
        let finding = Finding::new("mount", "tracefs", State::Problem, "is not mounted")
            .mend("mount -t tracefs tracefs /sys/kernel/tracing");
        let text = anstream::adapter::strip_str(&finding.text()).to_string();
        let expected = "PROBLEM mount tracefs: is not mounted\n\
            \x20       mount -t tracefs tracefs /sys/kernel/tracing\n";
        assert_eq!(text, expected);
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["state"], "problem");
        assert_eq!(json["area"], "mount");
    }
}
