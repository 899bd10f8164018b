// SPDX-License-Identifier: GPL-2.0

//! Uevents: a `change` each time the engine stalls or goes on, and when it was reset on demand.

use kernel::{
    device,
    prelude::*,
    str::CString, //
};

use crate::{
    sys::kobject,
    uapi::names, //
};

/// Announces the engine's new state to udev and to whoever polls the `state` attribute.
pub(crate) fn state_changed(device: &device::Device, state: &str, sequence: u64) {
    kobject::notify(device, c_name!(names::attribute::STATE));
    if let Err(error) = send(device, state, sequence) {
        dev_warn!(device, "no uevent for state {state}: {error:?}\n");
    }
}

fn send(device: &device::Device, state: &str, sequence: u64) -> Result {
    let state = CString::try_from_fmt(fmt!("{}={}", names::uevent::STATE, state))?;
    let sequence = CString::try_from_fmt(fmt!("{}={}", names::uevent::SEQUENCE, sequence))?;
    kobject::change_uevent(device, [&state, &sequence])
}

/// Announces that the engine was reset on demand, for the time `count`.
pub(crate) fn was_reset(device: &device::Device, count: u64) {
    let sent = CString::try_from_fmt(fmt!("{}={}", names::uevent::RESETS, count))
        .and_then(|resets| kobject::change_uevent(device, [&resets]));
    if let Err(error) = sent {
        dev_warn!(device, "no uevent for a reset: {error:?}\n");
    }
}
