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

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// A board of an emulator that has a controller with two inputs, and what its test channel was
    /// told.
    fn played() -> (Hands, Arc<Mutex<Vec<String>>>) {
        let how = r#"
            [input.line]
            drive.input = { controller = "pl061" }
            level = 0x1008
            bit = 1
            [beyond.line]
            drive.input = { controller = "pl061" }
            level = 0x1008
            bit = 7
            [nowhere.line]
            drive.input = { controller = "pl062" }
            level = 0x1008
            bit = 1
            [registers.line]
            drive.registers = { high = 0x2000, low = 0x2004 }
            level = 0x2008
            bit = 4
            [warmth]
            sensor = { device = "temp0", property = "temperature" }
            [power]
            button = { command = "system_powerdown" }
        "#;
        let (monitor, emulator) = UnixStream::pair().unwrap();
        answer(emulator, |line| {
            let request: Value = serde_json::from_str(line).unwrap();
            let path = request["arguments"]["path"].as_str().unwrap_or_default();
            let returned = match (request["execute"].as_str().unwrap(), path) {
                ("qom-list", DEVICES) => json!([
                    { "name": "device[7]", "type": "child<pl061>" },
                    { "name": "device[8]", "type": "child<pl031>" },
                ]),
                ("qom-list", "/machine/unattached/device[7]") => json!([
                    { "name": "unnamed-gpio-in[0]", "type": "child<irq>" },
                    { "name": "unnamed-gpio-in[1]", "type": "child<irq>" },
                ]),
                ("qom-set", "/machine/peripheral/temp0") => json!({}),
                ("qmp_capabilities" | "system_powerdown", "") => json!({}),
                _ => {
                    let error = json!({ "desc": "refused" });
                    return json!({ "error": error, "id": request["id"] }).to_string();
                }
            };
            json!({ "return": returned, "id": request["id"] }).to_string()
        });
        let (qtest, emulator) = UnixStream::pair().unwrap();
        let told = Arc::<Mutex<Vec<String>>>::default();
        let log = told.clone();
        answer(emulator, move |line| {
            log.lock().unwrap().push(line.trim_end().to_owned());
            let levels = if line.starts_with("readl") {
                " 0x0000000000000010"
            } else {
                ""
            };
            format!("OK{levels}")
        });
        let running = Running::default();
        *running.lock() = Some(Channels {
            monitor: Monitor::new(monitor).unwrap(),
            qtest: Qtest::new(qtest).unwrap(),
        });
        let how = toml::from_str(how).unwrap();
        (Hands { how, running }, told)
    }

    fn answer(channel: UnixStream, mut say: impl FnMut(&str) -> String + Send + 'static) {
        thread::spawn(move || {
            let mut writer = channel.try_clone().unwrap();
            for line in BufReader::new(channel).lines() {
                let said = say(&line.unwrap());
                writer.write_all(format!("{said}\n").as_bytes()).unwrap();
            }
        });
    }

    #[test]
    fn a_line_is_driven_by_registers_or_by_the_input_that_there_is() {
        let (hands, told) = played();
        for (name, level) in [
            ("registers", Level::High),
            ("registers", Level::Low),
            ("input", Level::High),
        ] {
            hands.act(name, Action::Set(level)).unwrap();
        }
        assert_eq!(
            hands.act("registers", Action::Look).unwrap(),
            Some(Level::High)
        );
        assert_eq!(hands.act("input", Action::Look).unwrap(), Some(Level::Low));
        let expected = [
            "writel 0x2000 0x10",
            "writel 0x2004 0x10",
            "set_irq_in /machine/unattached/device[7] unnamed-gpio-in 1 1",
            "readl 0x2008",
            "readl 0x1008",
        ];
        assert_eq!(*told.lock().unwrap(), expected);
    }

    #[test]
    fn what_would_end_the_emulator_is_not_told_to_it() {
        let (hands, told) = played();
        let set = |name| {
            hands
                .act(name, Action::Set(Level::High))
                .unwrap_err()
                .to_string()
        };
        let no_input =
            "cannot set the line beyond high: QEMU: /machine/unattached/device[7] has no input 7";
        assert_eq!(set("beyond"), no_input);
        let no_device = "cannot set the line nowhere high: QEMU: the machine has no pl062";
        assert_eq!(set("nowhere"), no_device);
        assert!(told.lock().unwrap().is_empty());
    }

    #[test]
    fn sensors_and_buttons_go_by_the_monitor_and_nothing_by_an_emulator_that_is_off() {
        let (hands, _) = played();
        hands.act("warmth", Action::Measure(-5)).unwrap();
        hands.act("power", Action::Press).unwrap();
        assert!(hands.act("power", Action::Look).is_err());
        *hands.running.lock() = None;
        let off = hands.act("power", Action::Press).unwrap_err().to_string();
        assert_eq!(off, "cannot press the button power: the board is off");
    }
}
