// SPDX-License-Identifier: MIT OR Apache-2.0

//! A switch that any program can press: a file that says `on` or `off`.

use std::path::{Path, PathBuf};

use crate::failure::{OrFail, Result};

/// The switch.
#[derive(Debug)]
pub(super) struct Switch {
    folder: PathBuf,
    name: &'static str,
}

impl Switch {
    /// One of this name that stands so.
    pub(super) fn new(folder: &Path, name: &'static str, is_on: bool) -> Result<Self> {
        let state = if is_on { "on\n" } else { "off\n" };
        for (name, text) in [("on", "on\n"), ("off", "off\n"), (name, state)] {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .or_environment(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            name,
        })
    }

    /// How it stands. One that is just being pressed stands as before.
    pub(super) fn is_on(&mut self) -> bool {
        let text = std::fs::read_to_string(self.folder.join(self.name));
        text.is_ok_and(|text| text == "on\n")
    }

    /// The command that presses it, for a shell.
    pub(super) fn line(&self, state: &str) -> String {
        let words = self.command(state).into_iter();
        let quoted =
            words.map(|word| format!("'{}'", word.display().to_string().replace('\'', r"'\''")));
        quoted.collect::<Vec<_>>().join(" ")
    }

    /// The command that presses it.
    pub(super) fn command(&self, state: &str) -> Vec<PathBuf> {
        let file = |name: &str| self.folder.join(name);
        vec!["cp".into(), file(state), file(self.name)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_command_presses_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut switch = Switch::new(folder.path(), "power", false).unwrap();
        assert!(!switch.is_on());
        for (state, is_on) in [("on", true), ("off", false)] {
            let words = switch.command(state);
            let mut command = std::process::Command::new(&words[0]);
            assert!(command.args(&words[1..]).status().unwrap().success());
            assert_eq!(switch.is_on(), is_on);
        }
    }
}
