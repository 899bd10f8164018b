// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the serial resources of a place are reached.
//!
//! The client's `export` is made for this: it writes the address of each driver's line to a file,
//! and keeps a tunnel to an exporter that cannot be reached directly for as long as it runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::line::Address;
use super::client::{Client, forget_ambient};
use super::{Addresses, refusal};
use crate::Error;

/// How often it is looked whether the client has written the file.
const LOOK: Duration = Duration::from_millis(20);

/// How long the client may take to end.
const END: Duration = Duration::from_secs(5);

/// Runs the client until a pipe ends that only this process can write to. A line in it says that
/// the client has ended already.
const SCRIPT: &str = r#"
exec 3<&0
{ read -r _ <&3 || kill $$; } >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"#;

/// The lines' names in the exported file.
const NAMES: [&str; 2] = ["console", "agent"];

/// The lines of a place, as long as the client keeps them.
#[derive(Debug)]
pub(super) struct Lines {
    client: Child,
    addresses: Addresses,
}

impl Lines {
    /// Asks the client about the resources of the console and the agent, if they have names.
    pub(super) fn open(
        client: &Client,
        place: &str,
        resources: [Option<&str>; 2],
    ) -> Result<Self, Error> {
        let what = format!("tell where the serial ports of the place {place} are");
        let failed = |error: io::Error| refusal::explain(&what, &error.to_string());
        let folder = tempfile::tempdir().map_err(failed)?;
        let [config, exported, errors] =
            ["place.yaml", "lines.json", "errors"].map(|name| folder.path().join(name));
        std::fs::write(&config, environment(place, resources)).map_err(failed)?;
        let target = exported.to_string_lossy();
        let words = ["export", "--format", "json", &target];
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]);
        command.args(client.words(Some(&config), None, &words));
        forget_ambient(&mut command);
        let child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&errors).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let mut lines = Self {
            client: child,
            addresses: Addresses::default(),
        };
        lines.wait(&what, &exported, &errors, client.limit())?;
        let text = std::fs::read_to_string(&exported).map_err(failed)?;
        lines.addresses = addresses(&text).ok_or_else(|| super::out_of_order(&what, &text))?;
        Ok(lines)
    }

    pub(super) fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    /// Whether the client still runs.
    pub(super) fn are_kept(&mut self) -> bool {
        matches!(self.client.try_wait(), Ok(None))
    }

    fn wait(
        &mut self,
        what: &str,
        exported: &Path,
        errors: &Path,
        limit: Duration,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        while !exported.exists() {
            let said = || std::fs::read_to_string(errors).unwrap_or_default();
            if !self.are_kept() {
                return Err(refusal::explain(what, &said()));
            }
            if Instant::now() >= deadline {
                let said = format!("{}\nno answer within {} s", said(), limit.as_secs());
                return Err(refusal::explain(what, &said));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(mut lifeline) = self.client.stdin.take() {
            if !matches!(self.client.try_wait(), Ok(None)) {
                // It has ended: whoever has its number now is not to be killed.
                let _ = lifeline.write_all(b"\n");
            }
        }
        let deadline = Instant::now() + END;
        while self.are_kept() {
            if Instant::now() >= deadline {
                // What it leaves behind is a tunnel that nobody uses.
                let _ = self.client.kill();
            }
            thread::sleep(LOOK);
        }
    }
}

/// An environment file of labgrid's that has a driver for each line. JSON is YAML too.
fn environment(place: &str, resources: [Option<&str>; 2]) -> String {
    let lines = NAMES.into_iter().zip(resources);
    let drivers: Vec<_> = lines
        .filter_map(|(name, resource)| {
            let bindings = json!({ "port": resource? });
            Some(json!({ "SerialDriver": { "name": name, "bindings": bindings } }))
        })
        .collect();
    let resources = json!({ "RemotePlace": { "name": place } });
    let target = json!({ "resources": resources, "drivers": drivers });
    json!({ "targets": { "main": target } }).to_string()
}

/// What the client has exported.
fn addresses(text: &str) -> Option<Addresses> {
    let values: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    let address = |name: &str| {
        let value = |key: &str| values.get(&format!("LG__{}_{key}", name.to_uppercase()));
        let address = format!("{}:{}", value("HOST")?, value("PORT")?);
        Some(match value("PROTOCOL").map(String::as_str) {
            Some("raw") => Address::Socket(address),
            _ => Address::Telnet(address),
        })
    };
    let [console, agent] = NAMES.map(address);
    (console.is_some() || agent.is_some()).then_some(Addresses { console, agent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_found_where_and_how_labgrid_says() {
        let text = r#"{"LG__CONSOLE_SPEED": "115200", "LG__CONSOLE_HOST": "farm",
            "LG__CONSOLE_PORT": "4242", "LG__CONSOLE_PROTOCOL": "rfc2217",
            "LG__AGENT_HOST": "::1", "LG__AGENT_PORT": "1", "LG__AGENT_PROTOCOL": "raw",
            "LG__CLIENT_PID": "12071"}"#;
        let found = addresses(text).unwrap();
        assert_eq!(found.console, Some(Address::Telnet("farm:4242".into())));
        assert_eq!(found.agent, Some(Address::Socket("::1:1".into())));
        assert_eq!(addresses(r#"{"LG__CLIENT_PID": "12071"}"#), None);
        assert_eq!(addresses("Traceback"), None);
    }

    #[test]
    fn only_lines_with_a_name_are_asked_for() {
        let text = environment("pi \"7\"", [Some("uart0"), None]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let main = &value["targets"]["main"];
        assert_eq!(main["resources"]["RemotePlace"]["name"], "pi \"7\"");
        assert_eq!(main["drivers"].as_array().unwrap().len(), 1);
        let driver = &main["drivers"][0]["SerialDriver"];
        assert_eq!(driver["bindings"]["port"], "uart0");
        assert_eq!(driver["name"], "console");
    }
}
