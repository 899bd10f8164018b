// SPDX-License-Identifier: MIT OR Apache-2.0

//! Commands that do something to a board while it runs: words, run without a shell.

use serde::{Deserialize, Serialize};

use super::words;
use crate::stimulus::Kind;

/// What stands in a command for what it is about: a value, a file.
pub(crate) const VALUE: &str = "{}";

/// One thing that can be done to a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Commands {
    /// A line of the board: from outside that is a line of something else.
    Line(Line),
    /// A sensor, by what heats, lights or moves it.
    Sensor(Sensor),
    /// A button, by what is connected in parallel with it.
    Button(Button),
}

/// What does something to a line; either half may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Drives it high.
    #[serde(default, deserialize_with = "words")]
    pub high: Vec<String>,
    /// Drives it low.
    #[serde(default, deserialize_with = "words")]
    pub low: Vec<String>,
    /// Prints `0` or `1`, as `gpioget --numeric` does.
    #[serde(default, deserialize_with = "words")]
    pub level: Vec<String>,
}

/// What has a sensor measure something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// `{}` in it is the value.
    #[serde(deserialize_with = "words")]
    pub set: Vec<String>,
}

/// What presses a button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// Presses it and lets it go.
    #[serde(deserialize_with = "words")]
    pub press: Vec<String>,
}

impl Commands {
    /// What it is done to.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Line(_) => Kind::Line,
            Self::Sensor(_) => Kind::Sensor,
            Self::Button(_) => Kind::Button,
        }
    }

    /// The commands that there are, by what they do.
    pub fn all(&self) -> Vec<(&'static str, &[String])> {
        let all: Vec<(_, &[String])> = match self {
            Self::Line(line) => vec![
                ("high", &line.high),
                ("low", &line.low),
                ("level", &line.level),
            ],
            Self::Sensor(sensor) => vec![("set", &sensor.set)],
            Self::Button(button) => vec![("press", &button.press)],
        };
        let there_is = |(_, words): &(_, &[String])| !words.is_empty();
        all.into_iter().filter(there_is).collect()
    }

    /// What the types cannot rule out.
    pub(super) fn contradiction(&self, name: &str) -> Option<String> {
        let what = match self {
            Self::Line(line) if line.high.is_empty() != line.low.is_empty() => {
                "needs both line.high and line.low, or neither"
            }
            Self::Line(line) if line.high.is_empty() && line.level.is_empty() => {
                "has no command: line.high and line.low, line.level"
            }
            Self::Sensor(sensor) if !sensor.set.iter().any(|word| word.contains(VALUE)) => {
                "has no {} in sensor.set where the value goes"
            }
            Self::Button(button) if button.press.is_empty() => "has no command in button.press",
            _ => return None,
        };
        Some(format!("stimulus.{name} {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let commands: Commands = toml::from_str(text).unwrap();
        commands.contradiction("led")
    }

    #[test]
    fn a_stimulus_that_cannot_be_done_is_told() {
        assert_eq!(told("line.level = [\"gpioget\"]"), None);
        assert_eq!(told("line.high = [\"a\"]\nline.low = [\"b\"]"), None);
        let half = told("line.high = [\"a\"]").unwrap();
        assert!(
            half.contains("stimulus.led needs both line.high and line.low"),
            "{half}"
        );
        assert!(told("line = {}").unwrap().contains("has no command"));
        let no_value = told("sensor.set = [\"warm\", \"20\"]").unwrap();
        assert!(no_value.contains("where the value goes"), "{no_value}");
        assert_eq!(told("sensor.set = [\"warm\", \"{}\"]"), None);
        assert!(told("button.press = []").unwrap().contains("button.press"));
    }

    #[test]
    fn the_commands_that_there_are_have_names() {
        let commands: Commands = toml::from_str("line.level = [\"gpioget\"]").unwrap();
        assert_eq!(commands.all(), [("level", &["gpioget".to_owned()][..])]);
    }
}
