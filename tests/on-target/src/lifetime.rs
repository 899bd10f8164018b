// SPDX-License-Identifier: MIT OR Apache-2.0

//! Taking the driver from its device, or the module from the kernel, and giving it back.

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;

use dmacopy_client::Device;
use dmacopy_uapi::names;
use kernel_channels::sysfs;
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};

use crate::Result;

/// Where the agent has loaded the module from.
const MODULE: &str = "/lib/modules/bringup/dmacopy.ko";

/// A bus device without its driver, which gets it back when this is dropped.
#[derive(Debug)]
#[must_use = "the driver is bound again at once when this is dropped"]
pub struct Unbound {
    driver: sysfs::Device,
    device: String,
    bound: bool,
}

impl Unbound {
    /// Unbinds the driver from its first device.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn new() -> Result<Self> {
        Self::of(&Device::first()?)
    }

    /// Unbinds the driver from a device.
    ///
    /// # Errors
    ///
    /// When that has gone.
    pub fn of(device: &Device) -> Result<Self> {
        let directory = device.attributes().directory().path();
        let bus_device = fs::canonicalize(directory.join("device"))?;
        let driver = sysfs::Device::at(fs::canonicalize(bus_device.join("driver"))?)?;
        let device = bus_device.file_name().ok_or("no name")?;
        let device = device.to_string_lossy().into_owned();
        driver.set("unbind", &device)?;
        let bound = false;
        Ok(Self {
            driver,
            device,
            bound,
        })
    }

    /// Binds it again, and says whether that worked.
    ///
    /// # Errors
    ///
    /// When the driver refuses. It is tried again on drop.
    pub fn rebind(mut self) -> Result<()> {
        self.driver.set("bind", &self.device)?;
        self.bound = true;
        Ok(())
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        if !self.bound {
            // Nobody is left to tell; who wants to know calls `rebind`.
            let _ = self.driver.set("bind", &self.device);
        }
    }
}

/// Bus devices that had no driver and are bound to this one, until this is dropped.
#[derive(Debug)]
#[must_use = "the devices are released at once when this is dropped"]
pub struct Bound {
    devices: Vec<sysfs::Device>,
}

impl Bound {
    /// Binds all platform devices that have no driver and wait for no other device, whatever they
    /// are: the engine is software.
    ///
    /// # Errors
    ///
    /// When the bus cannot be listed.
    pub fn all() -> Result<Self> {
        let mut devices = Vec::new();
        for entry in fs::read_dir("/sys/bus/platform/devices")? {
            let path = entry?.path();
            let device = sysfs::Device::at(&path)?;
            // The kernel probes a device that waits again and again.
            let free = !path.join("driver").exists() && !waits(&path)?;
            if free && device.set(OVERRIDE, names::DRIVER).is_ok() {
                devices.push(device);
            }
        }
        // From here on, what fails is put back.
        let mut bound = Self { devices };
        let probe = sysfs::Device::at("/sys/bus/platform")?;
        for device in &bound.devices {
            let name = device.path().file_name().unwrap_or_default();
            // Fails for one that lacks something else, say a clock, which is seen below.
            let _ = probe.set("drivers_probe", name.to_string_lossy());
        }
        let mut kept = Vec::new();
        for device in bound.devices.drain(..) {
            if device.path().join("driver").exists() {
                kept.push(device);
            } else {
                // The driver did not want it.
                let _ = device.set(OVERRIDE, NONE);
            }
        }
        bound.devices = kept;
        Ok(bound)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.devices.len()
    }

    /// Releases them, and says whether that worked.
    ///
    /// # Errors
    ///
    /// When one cannot be unbound. It is tried again on drop.
    pub fn release(mut self) -> Result<()> {
        while let Some(device) = self.devices.last() {
            let name = device.path().file_name().unwrap_or_default();
            device.set("driver/unbind", name.to_string_lossy())?;
            device.set(OVERRIDE, NONE)?;
            self.devices.pop();
        }
        Ok(())
    }
}

/// Whether a device waits for others, of which it needs something.
fn waits(device: &Path) -> Result<bool> {
    for entry in fs::read_dir(device)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("supplier:") {
            return Ok(true);
        }
    }
    let waiting = fs::read_to_string(device.join("waiting_for_supplier"));
    Ok(waiting.is_ok_and(|waiting| waiting.trim() != "0"))
}

/// The attribute that tells a bus device which driver it shall have.
const OVERRIDE: &str = "driver_override";
/// What takes that back: writing nothing at all does not reach the kernel.
const NONE: &str = "\n";

impl Drop for Bound {
    fn drop(&mut self) {
        for device in &self.devices {
            let name = device.path().file_name().unwrap_or_default();
            // Nobody is left to tell; who wants to know calls `release`.
            let _ = device.set("driver/unbind", name.to_string_lossy());
            let _ = device.set(OVERRIDE, NONE);
        }
    }
}

/// A kernel without the module, which it gets back when this is dropped.
#[derive(Debug)]
#[must_use = "the module is loaded again at once when this is dropped"]
pub struct Unloaded {
    loaded: bool,
}

impl Unloaded {
    /// Unloads the module, unless somebody uses it.
    ///
    /// # Errors
    ///
    /// What `delete_module(2)` returned.
    pub fn new() -> nix::Result<Self> {
        let name = CString::new(names::DRIVER).map_err(|_| nix::errno::Errno::EINVAL)?;
        delete_module(&name, DeleteModuleFlags::O_NONBLOCK)?;
        Ok(Self { loaded: false })
    }

    /// Loads it again as the agent has done, and says whether that worked.
    ///
    /// # Errors
    ///
    /// What `finit_module(2)` returned. It is tried again on drop.
    pub fn reload(mut self) -> Result<()> {
        load(&[])?;
        self.loaded = true;
        Ok(())
    }
}

impl Drop for Unloaded {
    fn drop(&mut self) {
        if !self.loaded {
            // Nobody is left to tell; who wants to know calls `reload`.
            let _ = load(&[]);
        }
    }
}

/// The module with the software engine's device beside all others, until this is dropped.
#[derive(Debug)]
#[must_use = "the module is loaded as before at once when this is dropped"]
pub struct WithSoftware {
    ended: bool,
}

impl WithSoftware {
    /// Loads the module anew.
    ///
    /// # Errors
    ///
    /// When somebody uses it, or it cannot be loaded.
    pub fn new() -> Result<Self> {
        let mut unloaded = Unloaded::new()?;
        load(&[&format!("{}=1", names::PARAMETER_ALWAYS_SOFTWARE)])?;
        unloaded.loaded = true;
        Ok(Self { ended: false })
    }

    /// Loads it as it was before, and says whether that worked.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn end(mut self) -> Result<()> {
        self.ended = true;
        Unloaded::new()?.reload()
    }
}

impl Drop for WithSoftware {
    fn drop(&mut self) {
        if !self.ended {
            // Nobody is left to tell; it is loaded again when what was unloaded is dropped.
            drop(Unloaded::new());
        }
    }
}

/// Loads the module as the agent has done, with more parameters.
fn load(more: &[&str]) -> Result<()> {
    let mut parameters = parameters(&fs::read_to_string("/proc/cmdline")?);
    for parameter in more {
        parameters = format!("{parameters} {parameter}");
    }
    let parameters = CString::new(parameters)?;
    let file = File::open(MODULE)?;
    Ok(finit_module(&file, &parameters, ModuleInitFlags::empty())?)
}

/// What the kernel's command line has for the module.
fn parameters(command_line: &str) -> String {
    let words = command_line.split_whitespace().map(|w| w.split_once('.'));
    let own = words.filter_map(|word| word.filter(|(name, _)| *name == names::DRIVER));
    own.map(|(_, parameter)| parameter)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_other_modules_are_left_out() {
        let line = "quiet dmacopy.software=1 kfence.sample_interval=1 dmacopy.x=2\n";
        assert_eq!(parameters(line), "software=1 x=2");
    }
}
