// SPDX-License-Identifier: GPL-2.0

//! `/proc/driver/dmacopy`: a summary of all devices, for people.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use crate::{
    device::Device,
    registry::Registry,
    sys::procfs::{
        Entry,
        Show, //
    },
    uapi::{
        names,
        ABI_VERSION, //
    }, //
};

/// Creates the file.
pub(crate) fn create(registry: Arc<Registry>) -> Result<Entry<Registry>> {
    Entry::create(c_name!(names::PROC_SUMMARY), 0o444, registry)
}

impl Show for Registry {
    fn show(&self, file: &SeqFile) {
        seq_print!(file, "{} ABI version {}\n", names::DRIVER, ABI_VERSION);
        self.for_each(|device| show_device(file, device));
    }
}

fn show_device(file: &SeqFile, device: &Device) {
    let counters = device.queue().counters();

    seq_print!(file, "\n{}:\n", device.name());
    seq_print!(file, "  engine:       {}\n", device.engine().name());
    seq_print!(file, "  state:        {}\n", device.queue().state().name());
    seq_print!(file, "  sessions:     {}\n", device.sessions());
    seq_print!(
        file,
        "  transfers:    {}\n",
        counters.transfers.load(Relaxed)
    );
    seq_print!(file, "  bytes:        {}\n", counters.bytes.load(Relaxed));
    seq_print!(file, "  errors:       {}\n", counters.errors.load(Relaxed));
    seq_print!(file, "  buffer_bytes: {}\n", device.buffer_bytes());
    seq_print!(file, "  timeout_ms:   {}\n", device.timeout_ms());
}
