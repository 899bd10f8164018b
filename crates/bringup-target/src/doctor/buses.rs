// SPDX-License-Identifier: MIT OR Apache-2.0

//! The buses that this kernel knows, and the nodes by which programs reach what is on them.

use super::finding::{Finding, State};
use super::system::System;

/// Those that a board has its peripherals on.
const BUSES: [&str; 7] = ["platform", "pci", "usb", "i2c", "spi", "serial", "gpio"];

/// What they are for, how their names begin, and the module that makes them.
const NODES: [(&str, &str, &str); 6] = [
    ("memory as dma-bufs", "udmabuf", "udmabuf"),
    ("GPIO chips", "gpiochip", "gpio-pl061"),
    ("I2C buses", "i2c-", "i2c-dev"),
    ("SPI devices", "spidev", "spidev"),
    ("serial ports", "tty", "8250"),
    ("watchdogs", "watchdog", "softdog"),
];

pub(super) fn look(system: &System) -> Vec<Finding> {
    let buses = BUSES.iter().map(|bus| one_bus(system, bus));
    let nodes = NODES
        .iter()
        .map(|(what, stem, module)| nodes(system, what, stem, module));
    buses.chain(nodes).collect()
}

fn one_bus(system: &System, bus: &str) -> Finding {
    let folder = format!("/sys/bus/{bus}");
    if !system.exists(&folder) {
        let why = "the kernel has no such bus now";
        return Finding::new("bus", bus, State::Absent, why);
    }
    let devices = system.names(&format!("{folder}/devices")).len();
    let state = match devices {
        0 => State::Absent,
        _ => State::Ok,
    };
    Finding::new("bus", bus, state, format!("{devices} devices"))
}

fn nodes(system: &System, what: &str, stem: &str, module: &str) -> Finding {
    let mut names = match stem {
        "tty" => serial_ports(system),
        _ => system.numbered("/dev", stem),
    };
    if system.exists(&format!("/dev/{stem}")) && stem != "tty" {
        names.insert(0, stem.to_owned());
    }
    if names.is_empty() {
        let why = format!("no /dev/{stem}*");
        return Finding::new("node", what, State::Absent, why).mend(format!("modprobe {module}"));
    }
    Finding::new("node", what, State::Ok, names.join(" "))
}

/// The serial ports that have hardware behind them: the kernel has nodes for more.
fn serial_ports(system: &System) -> Vec<String> {
    let mut names = system.names("/sys/class/tty");
    names.retain(|name| {
        let kind = format!("/sys/class/tty/{name}/type");
        let has_driver = system.exists(&format!("/sys/class/tty/{name}/device/driver"));
        // Type 0 is a port of the 8250 driver at which nothing has been found.
        has_driver && system.text(&kind).as_deref() != Some("0")
    });
    names
}

#[cfg(test)]
mod tests {
    use super::super::system::system;
    use super::*;

    #[test]
    fn what_is_there_is_listed_and_the_rest_absent_and_nothing_a_problem() {
        let files = [
            ("/sys/bus/pci/devices/0000:00:00.0", ""),
            ("/sys/bus/i2c/drivers/dummy", ""),
            ("/dev/gpiochip10", ""),
            ("/dev/gpiochip9", ""),
            ("/dev/udmabuf", ""),
            ("/sys/class/tty/ttyAMA0/device/driver/x", ""),
            ("/sys/class/tty/ttyS0/device/driver/x", ""),
            ("/sys/class/tty/ttyS0/type", "0\n"),
            ("/sys/class/tty/tty1/active", ""),
        ];
        let (_folder, system) = system(&files);
        let findings = look(&system);
        assert!(findings.iter().all(|one| one.state() != State::Problem));
        let present: Vec<_> = findings
            .iter()
            .filter(|one| one.state() == State::Ok)
            .map(|one| anstream::adapter::strip_str(&one.text()).to_string())
            .collect();
        let expected = [
            "ok      bus pci: 1 devices\n",
            "ok      node memory as dma-bufs: udmabuf\n",
            "ok      node GPIO chips: gpiochip9 gpiochip10\n",
            "ok      node serial ports: ttyAMA0\n",
        ];
        assert_eq!(present, expected);
    }
}
