// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can be done to an emulated board from outside, and how its emulator is told to.

use serde::Deserialize;

/// One thing that can be done to a board, or seen of it, while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stimulus {
    /// A line that is high or low.
    Line(Line),
    /// A sensor that measures what it is told.
    Sensor(Sensor),
    /// A button that is pressed and let go.
    Button(Button),
}

/// A GPIO line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// How it is driven from outside.
    pub drive: Drive,
    /// Physical address of the 32-bit register in which its level is seen, whoever drives it.
    pub level: u64,
    /// Its bit in that register.
    pub bit: u8,
}

/// How a line is driven from outside.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drive {
    /// By writing its bit to 32-bit registers of its controller: where the model has no input of its
    /// own, and takes this for one.
    Registers {
        /// Physical address of the register that makes it high.
        high: u64,
        /// Physical address of the register that makes it low.
        low: u64,
    },
    /// By the input of its controller that has the number of its bit.
    Input {
        /// QEMU's name for the type of the controller, of which there is one.
        controller: String,
    },
}

/// A sensor that is one of QEMU's devices.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// The `id` of the device.
    pub device: String,
    /// Its property that holds what it measures, an integer in the property's own unit.
    pub property: String,
}

/// A button of QEMU's machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Button {
    /// The command of the QEMU Machine Protocol that presses it; it takes no arguments.
    Command(String),
    /// It is pressed by writing to a register of one of the machine's devices, behind the back of
    /// the board's own software.
    Write(Write),
}

/// What is written to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Physical address of the 32-bit register.
    pub register: u64,
    /// The value.
    pub value: u32,
}

impl Stimulus {
    /// What the types cannot rule out.
    pub(crate) fn contradiction(&self, name: &str) -> Option<String> {
        // They become words of the emulator's own protocols, which end with a space or a line.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        let is_word = |word: &str| !word.is_empty() && word.chars().all(is_plain);
        let refused = |key: &str, why: String| Some(format!("qemu.stimulus.{name}{key} {why}"));
        if !is_word(name) {
            return refused(
                "",
                "has other characters than letters, digits, . _ : -".into(),
            );
        }
        let words = match self {
            Self::Line(line) => {
                if line.bit > 31 {
                    let why = format!("is {}, but a register has 32 bits", line.bit);
                    return refused(".line.bit", why);
                }
                match &line.drive {
                    Drive::Registers { .. } => vec![],
                    Drive::Input { controller } => vec![controller],
                }
            }
            Self::Sensor(sensor) => vec![&sensor.device, &sensor.property],
            Self::Button(Button::Command(command)) => vec![command],
            Self::Button(Button::Write(_)) => vec![],
        };
        let word = words.into_iter().find(|word| !is_word(word))?;
        refused("", format!("names {word:?}, which no emulator knows"))
    }
}
