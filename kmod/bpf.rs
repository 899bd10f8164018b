// SPDX-License-Identifier: GPL-2.0

//! The counters of all devices, for BPF programs; see `ABI/bpf-dmacopy`.
//!
//! A program may ask in any context, even in an interrupt and with any lock held. So what it asks
//! for is found without taking a lock, under RCU.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu,
        Arc, //
    }, //
};

use crate::{
    device::Device,
    queue::{
        Counters,
        Queue, //
    },
    sys::rcu::RcuOption, //
};

/// The queues of the bound devices, with the devices' numbers.
static QUEUES: RcuOption<KVec<(u32, Arc<Queue>)>> = RcuOption::none();

/// Makes programs find these devices, and no others.
///
/// Called with the list of devices locked, so that the last one to be published is the last there
/// is.
pub(crate) fn publish(devices: &[Arc<Device>]) -> Result {
    if devices.is_empty() {
        QUEUES.replace(None);
        return Ok(());
    }
    let mut queues = KVec::with_capacity(devices.len(), GFP_KERNEL)?;
    for device in devices {
        queues.push((device.number(), device.queue().clone()), GFP_KERNEL)?;
    }
    QUEUES.replace(Some(KBox::new(queues, GFP_KERNEL)?));
    Ok(())
}

/// Transfers completed, or `-ENODEV`.
pub(crate) fn transfers(device: u32) -> i64 {
    count(device, |counters| &counters.transfers)
}

/// Bytes moved, or `-ENODEV`.
pub(crate) fn bytes(device: u32) -> i64 {
    count(device, |counters| &counters.bytes)
}

/// Transfers that failed or timed out, or `-ENODEV`.
pub(crate) fn errors(device: u32) -> i64 {
    count(device, |counters| &counters.errors)
}

fn count(device: u32, which: impl FnOnce(&Counters) -> &Atomic<u64>) -> i64 {
    let guard = rcu::read_lock();
    let queues = QUEUES.read(&guard).into_iter().flatten();
    let mut numbered = queues.filter(|(number, _)| *number == device);
    match numbered.next() {
        // It takes longer than any machine lives to count so far.
        Some((_, queue)) => {
            i64::try_from(which(queue.counters()).load(Relaxed)).unwrap_or(i64::MAX)
        }
        None => i64::from(ENODEV.to_errno()),
    }
}
