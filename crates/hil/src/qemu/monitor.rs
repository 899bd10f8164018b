// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine protocol: how the emulator is told to do something, and says whether it did.

use std::io;
use std::os::unix::net::UnixStream;

use serde::Deserialize;
use serde_json::{Value, json};

use super::channel::Channel;

/// The emulator's control channel.
#[derive(Debug)]
pub(super) struct Monitor {
    channel: Channel,
    is_greeted: bool,
    next: u64,
}

/// What the emulator says: the greeting, an event, or an answer.
#[derive(Deserialize)]
struct Said {
    id: Option<u64>,
    #[serde(rename = "return")]
    returned: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

impl Monitor {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self {
            channel: Channel::new(stream)?,
            is_greeted: false,
            next: 0,
        })
    }

    /// Has the emulator do something, and returns its answer.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        if !self.is_greeted {
            self.ask("qmp_capabilities", &json!({}))?;
            self.is_greeted = true;
        }
        self.ask(command, arguments)
    }

    fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        let id = self.next;
        self.next += 1;
        let request = json!({ "execute": command, "arguments": arguments, "id": id });
        self.write(&request).map_err(|error| error.to_string())?;
        loop {
            let said = self.read()?;
            // The greeting, an event, the answer to a question that was given up.
            if said.id != Some(id) {
                continue;
            }
            return match (said.returned, said.error) {
                (_, Some(refusal)) => Err(refusal.desc),
                (Some(value), None) => Ok(value),
                (None, None) => Err("an answer without a result".to_owned()),
            };
        }
    }

    fn read(&mut self) -> Result<Said, String> {
        let line = self.channel.receive()?;
        serde_json::from_str(&line).map_err(|error| error.to_string())
    }

    fn write(&mut self, request: &Value) -> io::Result<()> {
        self.channel.send(&request.to_string())
    }

    /// Asks the emulator to end, as if the board's power were cut.
    ///
    /// The answers are not read: what counts is that the process ends.
    pub(super) fn quit(&mut self) -> io::Result<()> {
        if !self.is_greeted {
            self.write(&json!({ "execute": "qmp_capabilities" }))?;
        }
        self.write(&json!({ "execute": "quit" }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::thread;

    use super::*;

    /// A monitor whose emulator says these lines, one at each request, and what it was asked.
    fn played(lines: Vec<&'static str>) -> (Monitor, thread::JoinHandle<Vec<Value>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let emulator = thread::spawn(move || {
            let mut requests = BufReader::new(theirs.try_clone().unwrap());
            let mut theirs = theirs;
            theirs
                .write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n")
                .unwrap();
            let mut asked = Vec::new();
            for said in lines {
                let mut line = String::new();
                requests.read_line(&mut line).unwrap();
                asked.push(serde_json::from_str(&line).unwrap());
                theirs.write_all(said.as_bytes()).unwrap();
            }
            asked
        });
        (Monitor::new(ours).unwrap(), emulator)
    }

    #[test]
    fn the_answer_is_found_behind_greeting_and_events() {
        let (mut monitor, emulator) = played(vec![
            "{\"return\": {}, \"id\": 0}\n",
            "{\"event\": \"RESUME\"}\n{\"return\": 7, \"id\": 0}\n{\"return\": 42, \"id\": 1}\n",
        ]);
        let path = json!({ "path": "/machine" });
        assert_eq!(monitor.execute("qom-list", &path), Ok(json!(42)));
        let asked = emulator.join().unwrap();
        assert_eq!(asked[0]["execute"], "qmp_capabilities");
        assert_eq!(
            (&asked[1]["execute"], &asked[1]["arguments"]),
            (&json!("qom-list"), &path)
        );
    }

    #[test]
    fn a_refusal_is_told_in_the_emulators_words_and_so_is_its_end() {
        let (mut monitor, emulator) = played(vec![
            "{\"return\": {}, \"id\": 0}\n",
            "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' not found\"}, \"id\": 1}\n",
        ]);
        let refused = monitor.execute("qom-get", &json!({}));
        assert_eq!(refused, Err("Device 'x' not found".to_owned()));
        emulator.join().unwrap();
        assert!(monitor.execute("qom-get", &json!({})).is_err());
    }
}
