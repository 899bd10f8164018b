// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a bench does to its board while it runs, and sees of it, besides power and talk: lines,
//! sensors, buttons, peripherals.

use std::fmt::{self, Debug, Display};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Near ground.
    Low,
    /// Near the supply.
    High,
}

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::High => "high",
        })
    }
}

/// What a stimulus acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A line that can be set to a level and looked at.
    Line,
    /// A sensor that can be told what to measure.
    Sensor,
    /// A button that can be pressed.
    Button,
    /// A device that the bench plays, and can pull out and put in again.
    Peripheral,
}

impl Kind {
    /// What an emulated board's stimulus acts on.
    pub fn of(stimulus: &board_spec::Stimulus) -> Self {
        match stimulus {
            board_spec::Stimulus::Line(_) => Self::Line,
            board_spec::Stimulus::Sensor(_) => Self::Sensor,
            board_spec::Stimulus::Button(_) => Self::Button,
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Line => "line",
            Self::Sensor => "sensor",
            Self::Button => "button",
            Self::Peripheral => "peripheral",
        })
    }
}

/// One thing that a bench can do something to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What is done to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Drive a line.
    Set(Level),
    /// Look which level a line has.
    Look,
    /// Tell a sensor what it measures, in its own unit.
    Measure(i64),
    /// Press a button and let it go.
    Press,
    /// Ask the board to let go of a peripheral, and pull it out.
    Unplug,
    /// Put a peripheral in again.
    Plug,
}

impl Action {
    /// What this can be done to.
    pub fn kind(self) -> Kind {
        match self {
            Self::Set(_) | Self::Look => Kind::Line,
            Self::Measure(_) => Kind::Sensor,
            Self::Press => Kind::Button,
            Self::Unplug | Self::Plug => Kind::Peripheral,
        }
    }
}

/// The bench's hands on a board that is on. They work while others boot it or talk to it.
pub trait Stimulus: Debug + Send + Sync {
    /// All that something can be done to, by name.
    fn points(&self) -> Vec<Point>;

    /// Does something to one of them. The answer is the level of a line that was looked at.
    ///
    /// # Errors
    ///
    /// When there is no such point, or the board is off, or what the bench does it with fails.
    fn act(&self, name: &str, action: Action) -> Result<Option<Level>, Error>;

    /// Has a peripheral do something, in a language of its own, and returns its answer in that.
    ///
    /// # Errors
    ///
    /// When there is no such peripheral, or it does not understand.
    fn instruct(&self, name: &str, _instruction: &str) -> Result<String, Error> {
        Err(unknown(&self.points(), name, Kind::Peripheral))
    }

    /// Takes back whatever peripherals were instructed to do.
    ///
    /// # Errors
    ///
    /// When the board is not as it was when it was switched on: it lacks a peripheral.
    fn restore(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Why something cannot be done to a point that there is not.
pub(crate) fn unknown(points: &[Point], name: &str, kind: Kind) -> Error {
    let names = points.iter().filter(|point| point.kind == kind);
    let names: Vec<_> = names.map(|point| point.name.clone()).collect();
    let near = names
        .iter()
        .find(|other| strsim::damerau_levenshtein(other, name) <= 2);
    let there_are = match near {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => format!("it has no {kind} at all"),
        None => format!("there are {}", names.join(", ")),
    };
    Error::NoStimulus {
        kind,
        name: name.to_owned(),
        there_are,
    }
}

/// Why something that can be done was not done.
pub(crate) fn failed(name: &str, action: Action, reason: impl Display) -> Error {
    let attempt = match action {
        Action::Set(level) => format!("set the line {name} {level}"),
        Action::Look => format!("look at the line {name}"),
        Action::Measure(value) => format!("have the sensor {name} measure {value}"),
        Action::Press => format!("press the button {name}"),
        Action::Unplug => format!("pull out the peripheral {name}"),
        Action::Plug => format!("put in the peripheral {name}"),
    };
    Error::Stimulus {
        attempt,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, kind: Kind) -> String {
        let points = [
            ("GPIO17", Kind::Line),
            ("GPIO27", Kind::Line),
            ("power", Kind::Button),
        ];
        let points = points.map(|(name, kind)| Point {
            name: name.to_owned(),
            kind,
        });
        unknown(&points, name, kind).to_string()
    }

    #[test]
    fn a_name_that_there_is_not_is_told_with_the_near_one_of_its_kind() {
        let near = told("GPIO71", Kind::Line);
        assert_eq!(near, "the bench has no line GPIO71: did you mean GPIO17?");
        let far = told("reset", Kind::Line);
        assert_eq!(far, "the bench has no line reset: there are GPIO17, GPIO27");
        let none = told("power", Kind::Sensor);
        assert_eq!(
            none,
            "the bench has no sensor power: it has no sensor at all"
        );
    }
}
