// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where to log in and how, as it stands in `bench.toml`.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::description::words;

/// After how much silence of the board ssh asks whether it is there, seconds, and how often in vain:
/// a pulled cable is noticed within three times as long as the former.
const ALIVE_SECONDS: u32 = 5;
const ALIVE_COUNT: u32 = 2;

/// A remote login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The board's name or address, or an alias of `ssh_config(5)`.
    pub host: String,
    /// The port, unless it is the usual one.
    pub port: Option<u16>,
    /// Who logs in: somebody who may load modules.
    pub user: Option<String>,
    /// The file with the private key, unless the agent or the configuration of ssh has it.
    pub identity: Option<PathBuf>,
    /// More words for ssh, such as `-oUserKnownHostsFile=…`.
    #[serde(default, deserialize_with = "words")]
    pub options: Vec<String>,
    /// The words that begin the command.
    #[serde(default = "program", deserialize_with = "words")]
    pub program: Vec<String>,
}

fn program() -> Vec<String> {
    vec!["ssh".to_owned()]
}

impl Settings {
    /// A login of which nothing but the host is known.
    pub fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            port: None,
            user: None,
            identity: None,
            options: Vec::new(),
            program: program(),
        }
    }

    /// What the types cannot rule out.
    pub fn contradiction(&self) -> Option<&'static str> {
        let is_option = |word: &String| word.is_empty() || word.starts_with('-');
        if is_option(&self.host) {
            return Some("ssh.host is no name of a host");
        }
        if self.user.as_ref().is_some_and(is_option) {
            return Some("ssh.user is no name of a user");
        }
        if self.program.first().is_none_or(String::is_empty) {
            return Some("ssh.program must name a program");
        }
        None
    }

    /// What two users of the same board both call it.
    pub fn resource(&self) -> String {
        format!("{}:{}", self.host, self.port.unwrap_or(22))
    }

    /// The command that has a shell on the board run `script`. It asks nobody anything, and refuses
    /// a board whose key is not known.
    pub(super) fn command(&self, connect: Duration, script: &str) -> Command {
        let mut words = self.program.iter();
        let mut command = Command::new(words.next().map_or("ssh", String::as_str));
        command.args(words).args(["-T", "-x", "-a"]);
        // ssh goes by what it hears first.
        command.args(["-o", "BatchMode=yes"]).args(&self.options);
        let defaults = [
            format!("ConnectTimeout={}", connect.as_secs().max(1)),
            format!("ServerAliveInterval={ALIVE_SECONDS}"),
            format!("ServerAliveCountMax={ALIVE_COUNT}"),
            "ClearAllForwardings=yes".to_owned(),
            // Its end must be the end of the connection.
            "ControlMaster=no".to_owned(),
            "ControlPath=none".to_owned(),
        ];
        for option in defaults {
            command.args(["-o", &option]);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &self.user {
            command.args(["-l", user]);
        }
        if let Some(identity) = &self.identity {
            command
                .args(["-o", "IdentitiesOnly=yes", "-i"])
                .arg(identity);
        }
        command.args(["--", &self.host, script]);
        command
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ", port {port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_need_be_said_and_nothing_unknown() {
        let settings: Settings = toml::from_str("host = \"pi.local\"").unwrap();
        assert_eq!(settings, Settings::new("pi.local"));
        assert!(toml::from_str::<Settings>("host = \"a\"\npassword = \"b\"").is_err());
    }

    #[test]
    fn the_command_asks_nobody_and_what_the_user_says_comes_before_the_defaults() {
        let settings = Settings {
            port: Some(2222),
            user: Some("root".into()),
            identity: Some("/k".into()),
            options: vec!["-oConnectTimeout=9".into()],
            program: vec!["timeout".into(), "ssh".into()],
            ..Settings::new("pi")
        };
        let command = settings.command(Duration::from_secs(2), "true");
        let words: Vec<_> = command.get_args().map(|w| w.to_str().unwrap()).collect();
        assert_eq!(command.get_program(), "timeout");
        let at = |word: &str| words.iter().position(|w| *w == word).unwrap();
        assert_eq!(words[0], "ssh");
        assert!(at("BatchMode=yes") < at("-oConnectTimeout=9"));
        assert!(at("-oConnectTimeout=9") < at("ConnectTimeout=2"));
        assert_eq!(words[words.len() - 3..], ["--", "pi", "true"]);
        assert_eq!(words[at("-p") + 1], "2222");
        assert_eq!(settings.to_string(), "root@pi, port 2222");
    }

    #[test]
    fn a_host_that_would_be_an_option_is_refused() {
        assert_eq!(Settings::new("pi").contradiction(), None);
        assert!(Settings::new("-oProxyCommand=x").contradiction().is_some());
        let mut settings = Settings::new("pi");
        settings.program = Vec::new();
        assert!(settings.contradiction().is_some());
    }
}
