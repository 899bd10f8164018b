// SPDX-License-Identifier: GPL-2.0

//! `dmacopy/dmacopyN/` in debugfs: a look into the engine, and a way to stall it.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::kstrtobool_bytes,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    uaccess::UserSliceReader, //
};

use crate::{
    device::Device,
    engine::Faults,
    report::Report,
    sys::capability::require_admin,
    sys::debugfs::{
        Dir,
        File,
        Scope, //
    },
    uapi::names, //
};

/// Creates the files of `device` in a directory below `root`.
pub(crate) fn create(root: &Arc<Dir>, device: &Arc<Device>) -> Scope<Device> {
    let scope = Scope::create(root.clone(), device.name(), device.clone());
    scope.file::<Stall>(c_name!(names::debugfs::STALL));
    scope.file::<Engine>(c_name!(names::debugfs::ENGINE));
    scope.file::<Registers>(c_name!(names::debugfs::REGISTERS));
    scope.file::<Sessions>(c_name!(names::debugfs::SESSIONS));
    if device.engine().faults().is_some() {
        scope.file::<FailNext>(c_name!(names::debugfs::FAIL_NEXT));
        scope.file::<Delay>(c_name!(names::debugfs::DELAY_US));
    }
    scope
}

/// The number that user space writes, perhaps with a newline, if it may.
fn number(reader: &mut UserSliceReader) -> Result<u32> {
    require_admin()?;
    let mut text = [0; 12];
    let text = text.get_mut(..reader.len()).ok_or(EINVAL)?;
    reader.read_slice(text)?;
    let text = core::str::from_utf8(text).map_err(|_| EINVAL)?;
    text.trim().parse().map_err(|_| EINVAL)
}

/// How many transfers are to fail.
struct FailNext;

#[vtable]
impl File for FailNext {
    type Data = Device;

    fn show(device: &Device, file: &SeqFile) {
        let faults = device.engine().faults();
        seq_print!(file, "{}\n", faults.map_or(0, Faults::fail_next));
    }

    fn store(device: &Device, reader: &mut UserSliceReader) -> Result {
        let count = number(reader)?;
        device.engine().faults().ok_or(ENODEV)?.set_fail_next(count)
    }
}

/// How much longer transfers are to take.
struct Delay;

#[vtable]
impl File for Delay {
    type Data = Device;

    fn show(device: &Device, file: &SeqFile) {
        let faults = device.engine().faults();
        seq_print!(file, "{}\n", faults.map_or(0, Faults::delay_us));
    }

    fn store(device: &Device, reader: &mut UserSliceReader) -> Result {
        let microseconds = number(reader)?;
        let faults = device.engine().faults().ok_or(ENODEV)?;
        faults.set_delay_us(microseconds)
    }
}

/// The switch that stalls the engine.
struct Stall;

#[vtable]
impl File for Stall {
    type Data = Device;

    fn show(device: &Device, file: &SeqFile) {
        let held = device.queue().snapshot().held;
        seq_print!(file, "{}\n", if held { 'Y' } else { 'N' });
    }

    fn store(device: &Device, reader: &mut UserSliceReader) -> Result {
        require_admin()?;
        // `Y`, `N` and their like, perhaps with a newline.
        let mut text = [0; 4];
        let text = text.get_mut(..reader.len()).ok_or(EINVAL)?;
        reader.read_slice(text)?;
        device.queue().hold(kstrtobool_bytes(text)?);
        Ok(())
    }
}

/// The dump of the queue.
struct Engine;

#[vtable]
impl File for Engine {
    type Data = Device;

    fn show(device: &Device, file: &SeqFile) {
        let queue = device.queue().snapshot();
        seq_print!(file, "waiting: {}\n", queue.waiting);
        seq_print!(file, "moving: {}\n", queue.moving.unwrap_or(0));
        seq_print!(file, "last_submitted: {}\n", queue.last_submitted);
        seq_print!(file, "last_completed: {}\n", queue.last_completed);
        let counters = device.queue().counters();
        seq_print!(file, "missed: {}\n", counters.missed.load(Relaxed));
        seq_print!(file, "stalls: {}\n", counters.stalls.load(Relaxed));
        seq_print!(file, "resets: {}\n", counters.resets.load(Relaxed));
    }
}

/// The dump of the hardware's registers; nothing for an engine that has none.
struct Registers;

#[vtable]
impl File for Registers {
    type Data = Device;

    fn show(device: &Device, file: &SeqFile) {
        device.engine().show_registers(file);
    }
}

/// The open sessions, each with its rings.
struct Sessions;

#[vtable]
impl File for Sessions {
    type Data = Device;

    fn show(device: &Device, file: &SeqFile) {
        let mut first = true;
        device.for_each_session(|session| {
            seq_print!(
                file,
                "{}{}",
                if first { "" } else { "\n" },
                Report::of(session)
            );
            first = false;
        });
    }
}
