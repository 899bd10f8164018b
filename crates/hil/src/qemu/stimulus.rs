// SPDX-License-Identifier: MIT OR Apache-2.0

//! Stimulus for an emulated board: by the monitor, and by the test channel.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use board_spec::{Drive, Line, Stimulus as How};
use serde_json::{Value, json};

use super::monitor::Monitor;
use super::qtest::{INPUTS, Qtest};
use crate::Error;
use crate::stimulus::{Action, Kind, Level, Point, Stimulus, failed, unknown};

/// Where QEMU keeps the devices that a machine brings.
const DEVICES: &str = "/machine/unattached";

/// Where QEMU keeps the devices that were added.
const ADDED: &str = "/machine/peripheral";

/// The channels by which a running emulator is told what to do.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) monitor: Monitor,
    pub(super) qtest: Qtest,
}

/// Those of the emulator that runs now, if one does. All clones are of the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<Option<Channels>>>);

impl Running {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Channels>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be done to an emulated board.
#[derive(Debug)]
pub(super) struct Hands {
    pub(super) how: BTreeMap<String, How>,
    pub(super) running: Running,
}

impl Stimulus for Hands {
    fn points(&self) -> Vec<Point> {
        let point = |(name, how): (&String, &How)| Point {
            name: name.clone(),
            kind: Kind::of(how),
        };
        self.how.iter().map(point).collect()
    }

    fn act(&self, name: &str, action: Action) -> Result<Option<Level>, Error> {
        let there_is = || unknown(&self.points(), name, action.kind());
        let how = self.how.get(name).ok_or_else(there_is)?;
        let mut running = self.running.lock();
        let channels = running
            .as_mut()
            .ok_or_else(|| failed(name, action, "the board is off"))?;
        let done = match (how, action) {
            (How::Line(line), Action::Set(level)) => channels.drive(line, level),
            (How::Line(line), Action::Look) => channels.look(line),
            (How::Sensor(sensor), Action::Measure(value)) => channels
                .monitor
                .execute(
                    "qom-set",
                    &json!({
                        "path": format!("{ADDED}/{}", sensor.device),
                        "property": sensor.property,
                        "value": value,
                    }),
                )
                .map(|_| None),
            (How::Button(button), Action::Press) => {
                let pressed = channels.monitor.execute(&button.command, &json!({}));
                pressed.map(|_| None)
            }
            _ => return Err(there_is()),
        };
        done.map_err(|reason| failed(name, action, format!("QEMU: {reason}")))
    }
}

impl Channels {
    fn drive(&mut self, line: &Line, level: Level) -> Result<Option<Level>, String> {
        let is_high = level == Level::High;
        match &line.drive {
            Drive::Registers { high, low } => {
                let register = if is_high { *high } else { *low };
                self.qtest.write_register(register, 1 << line.bit)?;
            }
            Drive::Input { controller } => {
                let path = self.only_one_of(controller)?;
                self.has_input(&path, line.bit)?;
                self.qtest.set_input(&path, line.bit, is_high)?;
            }
        }
        Ok(None)
    }

    fn look(&mut self, line: &Line) -> Result<Option<Level>, String> {
        let levels = self.qtest.read_register(line.level)?;
        let is_high = levels & (1 << line.bit) != 0;
        Ok(Some(if is_high { Level::High } else { Level::Low }))
    }

    /// The path of the only device of a type.
    fn only_one_of(&mut self, controller: &str) -> Result<String, String> {
        let child = format!("child<{controller}>");
        let devices = self.properties(DEVICES)?;
        let mut found = devices.iter().filter(|(_, kind)| *kind == child);
        match (found.next(), found.next()) {
            (Some((name, _)), None) => Ok(format!("{DEVICES}/{name}")),
            (None, _) => Err(format!("the machine has no {controller}")),
            (Some(_), Some(_)) => Err(format!("the machine has more than one {controller}")),
        }
    }

    fn has_input(&mut self, path: &str, input: u8) -> Result<(), String> {
        let wanted = format!("{INPUTS}[{input}]");
        let properties = self.properties(path)?;
        if properties.iter().any(|(name, _)| *name == wanted) {
            return Ok(());
        }
        Err(format!("{path} has no input {input}"))
    }

    /// Names and types of what the emulator knows of a device.
    fn properties(&mut self, path: &str) -> Result<Vec<(String, String)>, String> {
        let list = self.monitor.execute("qom-list", &json!({ "path": path }))?;
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = list.as_array().into_iter().flatten();
        Ok(entries
            .map(|entry| (text(entry, "name"), text(entry, "type")))
            .collect())
    }
}
