// SPDX-License-Identifier: MIT OR Apache-2.0

//! The file that describes all benches of a PC.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::BenchDescription;

/// All benches of a PC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Benches {
    path: PathBuf,
    all: BTreeMap<String, BenchDescription>,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BenchToml {
    #[serde(default)]
    bench: BTreeMap<String, BenchDescription>,
}

/// Why a bench cannot be used as described.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not of the known form.
    #[error("{} does not describe benches", path.display())]
    Form {
        /// Its path.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A bench contradicts itself.
    #[error("{}: bench {bench}: {what}", path.display())]
    Contradiction {
        /// The file's path.
        path: PathBuf,
        /// The bench.
        bench: String,
        /// How.
        what: String,
    },
    /// There is no such bench.
    #[error("there is no bench {name} in {}: {}", path.display(), known(names, near.as_deref()))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The file's path.
        path: PathBuf,
        /// The names that there are.
        names: Vec<String>,
        /// The one that may have been meant.
        near: Option<String>,
    },
}

fn known(names: &[String], near: Option<&str>) -> String {
    match near {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => "it describes none".to_owned(),
        None => format!("there are {}", names.join(", ")),
    }
}

impl Benches {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a bench is not of the known form or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, Trouble> {
        let text = std::fs::read_to_string(path).map_err(|source| Trouble::Read {
            path: path.to_owned(),
            source,
        })?;
        let file: BenchToml = toml::from_str(&text).map_err(|source| Trouble::Form {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        for (name, bench) in &file.bench {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let what = if name.is_empty() || !name.chars().all(is_plain) {
                Some("its name has other characters than letters, digits, . _ -".to_owned())
            } else {
                bench.contradiction()
            };
            if let Some(what) = what {
                return Err(Trouble::Contradiction {
                    path: path.to_owned(),
                    bench: name.clone(),
                    what,
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            all: file.bench,
        })
    }

    /// The file that describes them.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Their names and descriptions.
    pub fn all(&self) -> impl Iterator<Item = (&str, &BenchDescription)> {
        self.all.iter().map(|(name, bench)| (name.as_str(), bench))
    }

    /// The bench of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&BenchDescription, Trouble> {
        self.all.get(name).ok_or_else(|| {
            let names: Vec<_> = self.all.keys().cloned().collect();
            let near = names
                .iter()
                .find(|other| strsim::damerau_levenshtein(other, name) <= 2);
            Trouble::Unknown {
                name: name.to_owned(),
                path: self.path.clone(),
                near: near.cloned(),
                names,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::{AgentPath, Port};

    fn read(text: &str) -> Result<Benches, Trouble> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Benches::read(file.path())
    }

    fn refused(text: &str) -> String {
        let trouble = read(text).unwrap_err();
        let source = std::error::Error::source(&trouble).map(ToString::to_string);
        format!("{trouble} {}", source.unwrap_or_default())
    }

    const DESK: &str = r#"
        [bench.desk]
        board = "raspberry-pi-4b"
        [bench.desk.power]
        on = ["uhubctl", "-a", "on"]
        off = ["uhubctl", "-a", "off"]
        [bench.desk.console]
        serial = "/dev/ttyUSB0"
        baud = 921600
        [bench.desk.agent]
        on_console = true
    "#;

    #[test]
    fn a_bench_is_read_with_what_it_does_not_say() {
        let benches = read(DESK).unwrap();
        let desk = benches.get("desk").unwrap();
        assert_eq!(desk.board, "raspberry-pi-4b");
        assert_eq!(desk.kind(), "console");
        assert_eq!((desk.boot_seconds, desk.idle_seconds), (120, 60));
        assert_eq!(desk.power.as_ref().unwrap().off_seconds, 1);
        assert_eq!(desk.resources(), ["/dev/ttyUSB0"]);
        let expected = Port::Serial {
            serial: "/dev/ttyUSB0".into(),
            baud: Some(921_600),
        };
        assert_eq!(desk.console, Some(expected));
    }

    #[test]
    fn the_agent_is_reached_in_exactly_one_way() {
        let with = |agent: &str| format!("[bench.a]\nboard = \"x\"\nagent = {agent}");
        let benches = read(&with("{ socket = \"farm:2001\" }")).unwrap();
        let socket = Port::Socket {
            socket: "farm:2001".into(),
        };
        assert_eq!(benches.get("a").unwrap().agent, AgentPath::Port(socket));
        assert!(refused(&with("{}")).contains("no way to the agent"));
        let both = refused(&with("{ serial = \"/dev/a\", socket = \"b:1\" }"));
        assert!(both.contains("more than one way"), "{both}");
        let none = refused(&with("{ on_console = true }"));
        assert!(none.contains("there is no console"), "{none}");
        assert!(refused(&with("{ telepathy = true }")).contains("telepathy"));
    }

    #[test]
    fn an_agent_by_remote_login_is_read_claimed_and_handed_on() {
        let with = |ssh: &str| format!("[bench.a]\nboard = \"x\"\nagent.ssh = {ssh}");
        let text = with("{ host = \"pi\", user = \"root\", port = 2222 }");
        let benches = read(&text).unwrap();
        let bench = benches.get("a").unwrap();
        let AgentPath::Ssh(settings) = &bench.agent else {
            panic!("{:?}", bench.agent);
        };
        assert_eq!(settings.to_string(), "root@pi, port 2222");
        assert_eq!(
            (bench.kind(), bench.resources()),
            ("ssh", vec!["pi:2222".into()])
        );
        let json = serde_json::to_string(bench).unwrap();
        let back: BenchDescription = serde_json::from_str(&json).unwrap();
        assert_eq!(&back, bench);
        let option = refused(&with("{ host = \"-oProxyCommand=x\" }"));
        assert!(option.contains("bench a: ssh.host"), "{option}");
        assert!(refused(&with("{ host = \"pi\", password = \"x\" }")).contains("password"));
        let both = refused(&format!("{text}\nagent.serial = \"/dev/a\""));
        assert!(both.contains("more than one way"), "{both}");
    }

    #[test]
    fn a_labgrid_place_is_read_claimed_and_handed_on() {
        let with = |labgrid: &str, agent: &str| {
            format!("[bench.a]\nboard = \"x\"\nlabgrid = {labgrid}\nagent = {agent}")
        };
        let place = "{ place = \"pi-7\", console = \"uart0\", coordinator = \"farm:20408\" }";
        let benches = read(&with(place, "{ on_console = true }")).unwrap();
        let bench = benches.get("a").unwrap();
        let expected = ("labgrid", vec!["farm:20408/pi-7".to_owned()]);
        assert_eq!((bench.kind(), bench.resources()), expected);
        let labgrid = bench.labgrid.as_ref().unwrap();
        assert_eq!(labgrid.client, Path::new("labgrid-client"));
        let benches = read(&with(place, "{ resource = \"uart1\" }")).unwrap();
        let bench = benches.get("a").unwrap();
        let json = serde_json::to_string(bench).unwrap();
        let back: BenchDescription = serde_json::from_str(&json).unwrap();
        assert_eq!(&back, bench);
        for (labgrid, agent, wrong) in [
            ("{ place = \"a\" }", "{ on_console = true }", "no console"),
            ("{}", "{ resource = \"b\" }", "neither a place nor tags"),
            ("{ place = \"-a\" }", "{ resource = \"b\" }", "an option"),
            (
                "{ reserve = { a = \"-b\" } }",
                "{ resource = \"b\" }",
                "tag",
            ),
            (
                "{ place = \"a\", reserve = { a = \"b\" } }",
                "{ resource = \"b\" }",
                "and tags",
            ),
        ] {
            let told = refused(&with(labgrid, agent));
            assert!(told.contains(wrong), "{told}");
        }
        let none = refused("[bench.a]\nboard = \"x\"\nagent = { resource = \"b\" }");
        assert!(none.contains("there is no labgrid"), "{none}");
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        assert!(refused(&DESK.replace("[\"uhubctl\", \"-a\", \"on\"]", "[]")).contains("power.on"));
        assert!(refused(&DESK.replace("baud", "bauds")).contains("bauds"));
        assert!(refused(&DESK.replace("desk", "\"a/b\"")).contains("a/b"));
        let missing = Benches::read(Path::new("/no/bench.toml")).unwrap_err();
        assert!(missing.to_string().contains("/no/bench.toml"));
    }

    #[test]
    fn a_command_that_is_no_list_of_words_is_told_how_it_is_meant() {
        let hint = "expected a command as a list of words, such as [\"uhubctl\"";
        let power = DESK.replace("[\"uhubctl\", \"-a\", \"on\"]", "\"uhubctl -a on\"");
        let lines = [
            "storage.write = \"dd of=/dev/sdb\"",
            "stimulus.GPIO17.line.level = \"gpioget led\"",
            "stimulus.warmth.sensor.set = \"heater {}\"",
        ];
        let bench = "[bench.desk]\n        board = \"raspberry-pi-4b\"";
        let with = |line: &str| DESK.replace(bench.trim(), &format!("{bench}\n{line}"));
        for text in lines.map(with).into_iter().chain([power]) {
            let told = refused(&text);
            assert!(told.contains(hint), "{told}");
        }
        // In a list, it is a word that is wrong.
        let told = refused(&DESK.replace("\"-a\", \"on\"", "7"));
        assert!(told.contains("expected a string"), "{told}");
    }

    #[test]
    fn a_bench_that_there_is_not_is_told_with_those_that_there_are() {
        let benches = read(DESK).unwrap();
        let near = benches.get("dask").unwrap_err().to_string();
        assert!(near.contains("did you mean desk?"), "{near}");
        let far = benches.get("rack-7").unwrap_err().to_string();
        assert!(far.contains("there are desk"), "{far}");
    }

    #[test]
    fn a_description_survives_its_way_to_another_process() {
        let benches = read(DESK).unwrap();
        let desk = benches.get("desk").unwrap();
        let json = serde_json::to_string(desk).unwrap();
        let back: BenchDescription = serde_json::from_str(&json).unwrap();
        assert_eq!(&back, desk);
    }
}
