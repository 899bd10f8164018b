// SPDX-License-Identifier: MIT OR Apache-2.0

//! Stimulus for an emulated board: by the monitor, by the test channel, and by what is played for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use board_spec::{Button as Press, Drive, Line, Qemu, Stimulus as How};
use serde_json::{Value, json};

use super::arguments;
use super::monitor::Monitor;
use super::qtest::{INPUTS, Qtest};
use crate::stimulus::{Action, Kind, Level, Point, Stimulus, failed, unknown};
use crate::{Error, Peripheral};

/// Where QEMU keeps the devices that a machine brings.
const DEVICES: &str = "/machine/unattached";

/// How long a board may take to let go of a peripheral: a slot's button alone takes Linux 5 s.
const LETTING_GO: Duration = Duration::from_secs(60);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(50);

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
    pub(super) qemu: Qemu,
    pub(super) running: Running,
    pub(super) peripherals: BTreeMap<String, Arc<dyn Peripheral>>,
}

impl Stimulus for Hands {
    fn points(&self) -> Vec<Point> {
        let point = |(name, how): (&String, &How)| Point {
            name: name.clone(),
            kind: Kind::of(how),
        };
        let peripheral = |name: &String| Point {
            name: name.clone(),
            kind: Kind::Peripheral,
        };
        let points = self.qemu.stimulus.iter().map(point);
        let peripherals = self.qemu.peripheral.keys().map(peripheral);
        points.chain(peripherals).collect()
    }

    fn act(&self, name: &str, action: Action) -> Result<Option<Level>, Error> {
        let there_is = || unknown(&self.points(), name, action.kind());
        if action.kind() == Kind::Peripheral && self.qemu.peripheral.contains_key(name) {
            let done = match action {
                Action::Plug => self.plug(name),
                _ => self.unplug(name),
            };
            return match done {
                Ok(()) => Ok(None),
                Err(reason) => Err(failed(name, action, reason)),
            };
        }
        let how = self.qemu.stimulus.get(name).ok_or_else(there_is)?;
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
                let pressed = match button {
                    Press::Command(command) => {
                        let pressed = channels.monitor.execute(command, &json!({}));
                        pressed.map(drop)
                    }
                    Press::Write(write) => {
                        channels.qtest.write_register(write.register, write.value)
                    }
                };
                pressed.map(|()| None)
            }
            _ => return Err(there_is()),
        };
        done.map_err(|reason| failed(name, action, format!("QEMU: {reason}")))
    }

    fn instruct(&self, name: &str, instruction: &str) -> Result<String, Error> {
        let peripheral = self.peripherals.get(name);
        let peripheral =
            peripheral.ok_or_else(|| unknown(&self.points(), name, Kind::Peripheral))?;
        let refused = |reason| Error::Stimulus {
            attempt: format!("instruct the peripheral {name}"),
            reason,
        };
        peripheral.instruct(instruction).map_err(refused)
    }

    fn restore(&self) -> Result<(), Error> {
        for peripheral in self.peripherals.values() {
            peripheral.restore();
        }
        let is_off = self.running.lock().is_none();
        for name in self.qemu.peripheral.keys().filter(|_| !is_off) {
            let missing = match self.is_plugged(name) {
                Ok(true) => continue,
                Ok(false) => "it was left outside".to_owned(),
                Err(reason) => reason,
            };
            return Err(failed(name, Action::Plug, missing));
        }
        Ok(())
    }
}

impl Hands {
    /// Has the emulator do something.
    fn execute(&self, command: &str, arguments: &Value) -> Result<Value, String> {
        let mut running = self.running.lock();
        let channels = running.as_mut().ok_or("the board is off")?;
        let done = channels.monitor.execute(command, arguments);
        done.map_err(|reason| format!("QEMU: {reason}"))
    }

    fn plug(&self, name: &str) -> Result<(), String> {
        let function = arguments::function(&self.qemu, name);
        self.execute("device_add", &function).map(drop)
    }

    /// Whether the emulator has the peripheral.
    fn is_plugged(&self, name: &str) -> Result<bool, String> {
        let there = self.execute("qom-list", &json!({ "path": ADDED }))?;
        let mut there = there.as_array().into_iter().flatten();
        Ok(there.any(|device| device["name"] == name))
    }

    /// Presses the slot's button, and waits until the board has let go.
    fn unplug(&self, name: &str) -> Result<(), String> {
        self.execute("device_del", &json!({ "id": name }))?;
        let deadline = Instant::now() + LETTING_GO;
        loop {
            if !self.is_plugged(name)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let limit = LETTING_GO.as_secs();
                return Err(format!("the board has not let go of it within {limit} s"));
            }
            thread::sleep(LOOK);
        }
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
    use std::io::{self, BufRead as _, BufReader, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// A peripheral that says what it is told.
    #[derive(Debug)]
    struct Parrot;

    impl Peripheral for Parrot {
        fn socket(&self) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn instruct(&self, instruction: &str) -> Result<String, String> {
            match instruction {
                "" => Err("nothing to say".to_owned()),
                words => Ok(words.to_owned()),
            }
        }

        fn restore(&self) {}
    }

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
            [trip]
            button = { write = { register = 0x3000, value = 6 } }
        "#;
        let (monitor, emulator) = UnixStream::pair().unwrap();
        // How often a peripheral is still seen after it was asked for.
        let mut seen = 3;
        answer(emulator, move |line| {
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
                ("qmp_capabilities" | "system_powerdown" | "device_del", "") => json!({}),
                ("qom-list", ADDED) => {
                    seen -= 1;
                    let name = if seen > 0 { "second" } else { "first" };
                    json!([{ "name": name, "type": "child<vfio-user-pci>" }])
                }
                ("device_add", "")
                    if request["arguments"]["socket"]["path"] == "/proc/self/fd/16"
                        && seen == 0 =>
                {
                    json!({})
                }
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
        let mut qemu: Qemu = toml::from_str("machine = \"m\"\nmemory = \"1G\"\ncpus = 1").unwrap();
        qemu.stimulus = toml::from_str(how).unwrap();
        qemu.peripheral = toml::from_str("first.slot = \"s\"\nsecond.slot = \"s\"").unwrap();
        let second: Arc<dyn Peripheral> = Arc::new(Parrot);
        let hands = Hands {
            qemu,
            running,
            peripherals: BTreeMap::from([("second".to_owned(), second)]),
        };
        (hands, told)
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
    fn a_button_can_be_a_word_in_a_register() {
        let (hands, told) = played();
        assert_eq!(hands.act("trip", Action::Press).unwrap(), None);
        assert_eq!(*told.lock().unwrap(), ["writel 0x3000 0x6"]);
    }

    #[test]
    fn a_peripheral_is_out_when_the_emulator_does_not_have_it_any_more() {
        let (hands, _) = played();
        // It is still there, so its place is not free.
        assert!(hands.act("second", Action::Plug).is_err());
        assert_eq!(hands.act("second", Action::Unplug).unwrap(), None);
        assert_eq!(hands.act("second", Action::Plug).unwrap(), None);
        let unknown = hands.act("input", Action::Unplug).unwrap_err().to_string();
        assert_eq!(
            unknown,
            "the bench has no peripheral input: there are first, second"
        );
    }

    #[test]
    fn a_peripheral_is_instructed_in_its_own_language() {
        let (hands, _) = played();
        assert_eq!(hands.instruct("second", "hello").unwrap(), "hello");
        let refused = hands.instruct("second", "").unwrap_err().to_string();
        let expected = "cannot instruct the peripheral second: nothing to say";
        assert_eq!(refused, expected);
        assert!(hands.instruct("third", "hello").is_err());
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
