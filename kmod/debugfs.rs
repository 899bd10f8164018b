// SPDX-License-Identifier: GPL-2.0

//! `dmacopy/dmacopyN/` in debugfs: a look into the engine, and a way to stall it.

use kernel::{
    debugfs::{
        Dir,
        Scope, //
    },
    fmt,
    prelude::*,
    str::kstrtobool_bytes,
    sync::Arc,
    uaccess::UserSliceReader, //
};

use crate::{
    device::Device,
    uapi::names, //
};

/// Creates the files of `device` in a directory below `root`.
pub(crate) fn create<'a>(
    root: &'a Dir,
    device: &'a Arc<Device>,
) -> impl PinInit<Scope<Arc<Device>>, Error> + 'a {
    root.scope(Ok(device.clone()), device.name(), |device, dir| {
        dir.read_write_callback_file(
            c_name!(names::debugfs::STALL),
            device,
            &show_stall,
            &store_stall,
        );
        dir.read_callback_file(c_name!(names::debugfs::ENGINE), device, &show_engine);
    })
}

fn show_stall(device: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let held = device.queue().snapshot().held;
    writeln!(f, "{}", if held { 'Y' } else { 'N' })
}

fn store_stall(device: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    // `Y`, `N` and their like, perhaps with a newline.
    let mut text = [0; 4];
    let text = text.get_mut(..reader.len()).ok_or(EINVAL)?;
    reader.read_slice(text)?;
    device
        .queue()
        .hold(device.engine(), kstrtobool_bytes(text)?);
    Ok(())
}

fn show_engine(device: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let queue = device.queue().snapshot();
    writeln!(f, "waiting: {}", queue.waiting)?;
    writeln!(f, "moving: {}", queue.moving.unwrap_or(0))?;
    writeln!(f, "last_submitted: {}", queue.last_submitted)?;
    writeln!(f, "last_completed: {}", queue.last_completed)
}
