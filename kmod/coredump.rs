// SPDX-License-Identifier: GPL-2.0

//! The dump that is left of a stall in `/sys/class/devcoredump`, see `ABI/devcoredump-dmacopy`.

use kernel::{
    fmt::{
        self,
        Write, //
    },
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use crate::{
    aftermath::Stall,
    device::Device,
    report::Report,
    sys::coredump,
    uapi::names::{
        self,
        coredump::VERSION, //
    }, //
};

/// Text that is allocated as the kernel wants dumps to be.
struct Text(VVec<u8>);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0
            .extend_from_slice(text.as_bytes(), GFP_KERNEL)
            .map_err(|_| fmt::Error)
    }
}

/// Offers a dump of `device`, which has had this stall, unless there is one that nobody has
/// dismissed.
pub(crate) fn offer(device: &Arc<Device>, stall: &Stall) {
    let mut text = Text(VVec::new());
    match write(&mut text, device, stall) {
        Ok(()) => coredump::offer(device.binding().device(), text.0),
        Err(_) => pr_warn!("{}: no memory for a dump of the stall\n", device.name()),
    }
}

fn write(text: &mut Text, device: &Arc<Device>, stall: &Stall) -> fmt::Result {
    let (queue, counters) = (&stall.queue, device.queue().counters());
    text.write_fmt(fmt!("{} coredump {VERSION}\n\n", names::DRIVER))?;
    text.write_fmt(fmt!("device: {}\n", device.name()))?;
    text.write_fmt(fmt!("engine: {}\n", device.engine().name()))?;
    text.write_fmt(fmt!("sequence: {}\n", stall.sequence))?;
    text.write_fmt(fmt!("timeout_ms: {}\n", device.timeout_ms()))?;
    text.write_fmt(fmt!("waiting: {}\n", queue.waiting))?;
    text.write_fmt(fmt!("moving: {}\n", queue.moving.unwrap_or(0)))?;
    text.write_fmt(fmt!("held: {}\n", u8::from(queue.held)))?;
    text.write_fmt(fmt!("last_submitted: {}\n", queue.last_submitted))?;
    text.write_fmt(fmt!("last_completed: {}\n", queue.last_completed))?;
    text.write_fmt(fmt!("transfers: {}\n", counters.transfers.load(Relaxed)))?;
    text.write_fmt(fmt!("bytes: {}\n", counters.bytes.load(Relaxed)))?;
    text.write_fmt(fmt!("errors: {}\n", counters.errors.load(Relaxed)))?;

    let mut written = Ok(());
    device.for_each_session(|session| {
        if written.is_ok() {
            written = text.write_fmt(fmt!("\n{}", Report::of(session)));
        }
    });
    written
}
