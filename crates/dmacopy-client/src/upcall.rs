// SPDX-License-Identifier: MIT OR Apache-2.0

//! The program that a device has started when its engine stalls: its settings, and what it is told.

use std::time::Duration;

use dmacopy_uapi::names::{argument, environment, upcall};
use kernel_channels::sysfs;
use kernel_channels::upcall::Call;

use crate::error::Context;
use crate::{Device, Error, Operation};

/// The folder of the journal that `bringup-target upcall` writes.
pub const JOURNAL: &str = "/run/dmacopy/upcalls";

/// What is started when an engine stalls; to change it takes `CAP_SYS_ADMIN`.
#[derive(Clone, Debug)]
pub struct Upcall {
    device: String,
    directory: sysfs::Device,
}

/// What has become of a device's stalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpcallCounters {
    /// Programs that have been started.
    pub runs: u64,
    /// Programs that could not be started.
    pub failures: u64,
    /// Stalls for which none was, because that was too soon.
    pub suppressed: u64,
}

impl Upcall {
    /// The upcall of a device.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the driver has none.
    pub fn of(device: &Device) -> Result<Self, Error> {
        let attributes = device.attributes().directory();
        let device = device.name().to_owned();
        let directory = attributes
            .group(upcall::GROUP)
            .on(&device, Operation::FindAttributes)?;
        Ok(Self { device, directory })
    }

    /// The directory, for access without types.
    pub fn directory(&self) -> &sysfs::Device {
        &self.directory
    }

    /// The program's path; empty for none.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn path(&self) -> Result<String, Error> {
        self.directory
            .text(upcall::PATH)
            .on(&self.device, Operation::ReadAttribute(upcall::PATH))
    }

    /// Sets the program's path. None switches the upcall off.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` and `ENAMETOOLONG` for what the driver does not take for a path.
    pub fn set_path(&self, path: Option<&str>) -> Result<(), Error> {
        // Without the newline, there would be nothing to write for none.
        self.set(upcall::PATH, &format!("{}\n", path.unwrap_or_default()))
    }

    /// Whether the program is started.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn is_enabled(&self) -> Result<bool, Error> {
        self.number(upcall::ENABLED).map(|enabled| enabled == 1)
    }

    /// Has the program started, or not.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` to switch on what has no path.
    pub fn set_enabled(&self, enabled: bool) -> Result<(), Error> {
        self.set(upcall::ENABLED, if enabled { "1" } else { "0" })
    }

    /// For how long after a start there is no other.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn interval(&self) -> Result<Duration, Error> {
        self.number(upcall::INTERVAL_MS).map(Duration::from_millis)
    }

    /// Sets that time, which the driver takes in whole milliseconds; a fraction is cut off.
    ///
    /// # Errors
    ///
    /// [`Error::Device`]; `EINVAL` for more than an hour.
    pub fn set_interval(&self, interval: Duration) -> Result<(), Error> {
        self.set(upcall::INTERVAL_MS, &interval.as_millis().to_string())
    }

    /// What has become of all stalls since probe.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], as for all attributes.
    pub fn counters(&self) -> Result<UpcallCounters, Error> {
        Ok(UpcallCounters {
            runs: self.number(upcall::RUNS)?,
            failures: self.number(upcall::FAILURES)?,
            suppressed: self.number(upcall::SUPPRESSED)?,
        })
    }

    /// Has a program started until the returned guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`Upcall::set_path`] and [`Upcall::set_interval`].
    pub fn enable(&self, path: &str, interval: Duration) -> Result<Enabled, Error> {
        let guard = Enabled {
            upcall: self.clone(),
            path: self.path()?,
            enabled: self.is_enabled()?,
            interval: self.interval()?,
        };
        self.set_path(Some(path))?;
        self.set_interval(interval)?;
        self.set_enabled(true)?;
        Ok(guard)
    }

    fn number(&self, name: &'static str) -> Result<u64, Error> {
        self.directory
            .number(name)
            .on(&self.device, Operation::ReadAttribute(name))
    }

    fn set(&self, name: &'static str, value: &str) -> Result<(), Error> {
        self.directory
            .set(name, value)
            .on(&self.device, Operation::SetAttribute(name))
    }
}

/// An upcall that is switched on. It is as it was before when this is dropped.
#[derive(Debug)]
#[must_use = "the upcall is switched off at once when this is dropped"]
pub struct Enabled {
    upcall: Upcall,
    path: String,
    enabled: bool,
    interval: Duration,
}

impl Drop for Enabled {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let path = Some(self.path.as_str()).filter(|path| !path.is_empty());
        let _ = self.upcall.set_path(path);
        let _ = self.upcall.set_interval(self.interval);
        let _ = self.upcall.set_enabled(self.enabled);
    }
}

/// What the program is told of a stall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The name of the device.
    pub device: String,
    /// Its state.
    pub state: String,
    /// The number of the transfer that took too long.
    pub sequence: u64,
}

impl Told {
    /// Reads a call; `None` unless it is one of the driver's, with arguments and an environment
    /// that say the same.
    pub fn read(call: &Call) -> Option<Self> {
        if call.arguments.len() != 5 || call.argument(1) != Some(argument::UPCALL) {
            return None;
        }
        let told = Self {
            device: call.argument(2)?.to_owned(),
            state: call.argument(3)?.to_owned(),
            sequence: call.argument(4)?.parse().ok()?,
        };
        let agrees = call.variable(environment::DEVICE) == Some(&told.device)
            && call.variable(environment::STATE) == Some(&told.state)
            && call.number(environment::SEQUENCE) == Some(told.sequence);
        agrees.then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    const ARGUMENTS: [&str; 5] = ["/helper", "upcall", "dmacopy0", "stalled", "17"];
    const ENVIRONMENT: [(&str, &str); 4] = [
        ("HOME", "/"),
        ("DMACOPY_DEVICE", "dmacopy0"),
        ("DMACOPY_STATE", "stalled"),
        ("DMACOPY_SEQUENCE", "17"),
    ];

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Option<Told> {
        let environment = environment.iter().map(|(k, v)| (k.into(), v.into()));
        let call = Call::new(arguments.iter().map(OsString::from), environment);
        Told::read(&call)
    }

    #[test]
    fn a_call_of_the_driver_is_read() {
        let told = read(&ARGUMENTS, &ENVIRONMENT).unwrap();
        assert_eq!((told.device.as_str(), told.sequence), ("dmacopy0", 17));
        assert_eq!(told.state, "stalled");
    }

    #[test]
    fn what_is_missing_or_says_two_things_is_no_call() {
        for index in 1..5 {
            let mut arguments = ARGUMENTS;
            arguments[index] = "other";
            assert_eq!(read(&arguments, &ENVIRONMENT), None, "argument {index}");
            assert_eq!(read(&ARGUMENTS[..index], &ENVIRONMENT), None);
        }
        for index in 1..4 {
            let mut environment = ENVIRONMENT;
            environment[index].1 = "18";
            assert_eq!(read(&ARGUMENTS, &environment), None, "variable {index}");
        }
        let more = [&ARGUMENTS[..], &["more"]].concat();
        assert_eq!(read(&more, &ENVIRONMENT), None);
    }
}
