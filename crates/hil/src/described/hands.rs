// SPDX-License-Identifier: MIT OR Apache-2.0

//! Stimulus by commands.

use std::collections::BTreeMap;
use std::time::Duration;

use super::command::run;
use crate::Error;
use crate::description::{Commands, VALUE};
use crate::stimulus::{Action, Level, Point, Stimulus, failed, unknown};

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(20);

/// What can be done to a described board.
#[derive(Debug)]
pub(super) struct Hands(pub(super) BTreeMap<String, Commands>);

impl Stimulus for Hands {
    fn points(&self) -> Vec<Point> {
        let point = |(name, commands): (&String, &Commands)| Point {
            name: name.clone(),
            kind: commands.kind(),
        };
        self.0.iter().map(point).collect()
    }

    fn act(&self, name: &str, action: Action) -> Result<Option<Level>, Error> {
        let there_is = || unknown(&self.points(), name, action.kind());
        let words = match (self.0.get(name).ok_or_else(there_is)?, action) {
            (Commands::Line(line), Action::Set(Level::High)) => line.high.clone(),
            (Commands::Line(line), Action::Set(Level::Low)) => line.low.clone(),
            (Commands::Line(line), Action::Look) => line.level.clone(),
            (Commands::Sensor(sensor), Action::Measure(value)) => {
                let words = sensor.set.iter();
                words
                    .map(|word| word.replace(VALUE, &value.to_string()))
                    .collect()
            }
            (Commands::Button(button), Action::Press) => button.press.clone(),
            _ => return Err(there_is()),
        };
        if words.is_empty() {
            return Err(failed(name, action, "bench.toml names no command for that"));
        }
        let said = run(&words, LIMIT).map_err(|error| failed(name, action, error))?;
        match (action, said.trim()) {
            (Action::Look, "0") => Ok(Some(Level::Low)),
            (Action::Look, "1") => Ok(Some(Level::High)),
            (Action::Look, said) => {
                let reason = format!("`{}` printed {said:?}, not 0 or 1", words.join(" "));
                Err(failed(name, action, reason))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines, a sensor and a button that are files below a folder.
    fn hands(folder: &std::path::Path) -> Hands {
        let text = format!(
            r#"
            [GPIO17.line]
            high = ["sh", "-c", "echo 1 > {0}/level"]
            low = ["sh", "-c", "echo 0 > {0}/level"]
            level = ["cat", "{0}/level"]
            [led.line]
            level = ["false"]
            [temperature.sensor]
            set = ["sh", "-c", "echo {{}} > {0}/celsius"]
            [power.button]
            press = ["touch", "{0}/pressed"]
            "#,
            folder.display()
        );
        Hands(toml::from_str(&text).unwrap())
    }

    #[test]
    fn each_command_does_what_its_name_says() {
        let folder = tempfile::tempdir().unwrap();
        let hands = hands(folder.path());
        for level in [Level::High, Level::Low] {
            assert_eq!(hands.act("GPIO17", Action::Set(level)).unwrap(), None);
            let seen = hands.act("GPIO17", Action::Look).unwrap();
            assert_eq!(seen, Some(level));
        }
        hands.act("temperature", Action::Measure(-40)).unwrap();
        let written = std::fs::read_to_string(folder.path().join("celsius")).unwrap();
        assert_eq!(written, "-40\n");
        hands.act("power", Action::Press).unwrap();
        assert!(folder.path().join("pressed").exists());
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let hands = hands(folder.path());
        let told = |name, action| hands.act(name, action).unwrap_err().to_string();
        std::fs::write(folder.path().join("level"), "active\n").unwrap();
        let odd = told("GPIO17", Action::Look);
        assert!(odd.contains("printed \"active\", not 0 or 1"), "{odd}");
        let failed = told("led", Action::Look);
        assert!(
            failed.contains("look at the line led: the command `false`"),
            "{failed}"
        );
        let half = told("led", Action::Set(Level::High));
        assert!(half.contains("no command for that"), "{half}");
        let other = told("led", Action::Press);
        assert!(other.contains("no button led: there are power"), "{other}");
    }
}
