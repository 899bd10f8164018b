// SPDX-License-Identifier: MIT OR Apache-2.0

//! What takes `CAP_SYS_ADMIN` in the initial user namespace: one test per operation, by a thread
//! that is root and has every capability but that.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use dmacopy_client::{DebugFiles, Device};
use dmacopy_uapi::names::{attribute, debugfs, limits, upcall};
use hil::Target;
use kernel_channels::sysfs;
use nix::sys::wait::WaitStatus;
use on_target::{
    Errno, Result, WithSoftware, software_device, without_admin, writes_as_root_of_a_namespace,
};

/// Writes what a file holds already, without the capability, and returns with which error number
/// it was refused. With it, the same is accepted.
fn refusal(directory: &sysfs::Device, name: &str) -> Result<Option<i32>> {
    let text = directory.text(name)?;
    let refused = without_admin(|| directory.set(name, format!("{text}\n")).errno())?;
    directory.set(name, format!("{text}\n"))?;
    Ok(refused)
}

fn group(name: &str) -> Result<sysfs::Device> {
    Ok(Device::first()?.attributes().directory().group(name)?)
}

fn open(path: PathBuf) -> Result<File> {
    Ok(OpenOptions::new().write(true).open(path)?)
}

#[hil::test]
fn the_limit_on_sessions_takes_the_capability(_: &mut Target) {
    let limits = group(limits::GROUP).unwrap();
    let errno = refusal(&limits, limits::SESSIONS).unwrap();
    assert_eq!(errno, Some(libc::EPERM));
}

#[hil::test]
fn the_limit_on_the_memory_of_a_device_takes_the_capability(_: &mut Target) {
    let limits = group(limits::GROUP).unwrap();
    let errno = refusal(&limits, limits::DEVICE_BYTES).unwrap();
    assert_eq!(errno, Some(libc::EPERM));
}

#[hil::test]
fn the_limit_on_the_memory_of_a_session_takes_the_capability(_: &mut Target) {
    let limits = group(limits::GROUP).unwrap();
    let errno = refusal(&limits, limits::SESSION_BYTES).unwrap();
    assert_eq!(errno, Some(libc::EPERM));
}

#[hil::test]
fn the_limit_on_transfers_takes_the_capability(_: &mut Target) {
    let limits = group(limits::GROUP).unwrap();
    let errno = refusal(&limits, limits::SESSION_TRANSFERS).unwrap();
    assert_eq!(errno, Some(libc::EPERM));
}

#[hil::test]
fn the_path_of_the_upcall_takes_the_capability(_: &mut Target) {
    let upcall = group(upcall::GROUP).unwrap();
    let errno = refusal(&upcall, upcall::PATH).unwrap();
    assert_eq!(errno, Some(libc::EPERM));
}

#[hil::test]
fn the_switch_of_the_upcall_takes_the_capability(_: &mut Target) {
    let upcall = group(upcall::GROUP).unwrap();
    let errno = refusal(&upcall, upcall::ENABLED).unwrap();
    assert_eq!(errno, Some(libc::EPERM));
}

#[hil::test]
fn the_interval_of_the_upcall_takes_the_capability(_: &mut Target) {
    let upcall = group(upcall::GROUP).unwrap();
    let errno = refusal(&upcall, upcall::INTERVAL_MS).unwrap();
    assert_eq!(errno, Some(libc::EPERM));
}

#[hil::test]
fn stalling_the_engine_takes_the_capability(_: &mut Target) {
    let debug = DebugFiles::open(&Device::first().unwrap()).unwrap();
    let refused = without_admin(|| debug.directory().set(debugfs::STALL, "Y").errno()).unwrap();
    assert_eq!(refused, Some(libc::EPERM));
    assert!(!debug.is_stalled().unwrap());
    debug.stall().unwrap().lift().unwrap();
}

#[hil::test]
fn having_transfers_fail_takes_the_capability(_: &mut Target) {
    let _loaded = WithSoftware::new().unwrap();
    let debug = DebugFiles::open(&software_device().unwrap()).unwrap();
    for file in [debugfs::FAIL_NEXT, debugfs::DELAY_US] {
        let refused = without_admin(|| debug.directory().set(file, "1").errno()).unwrap();
        assert_eq!(refused, Some(libc::EPERM), "{file}");
        assert_eq!(debug.directory().text(file).unwrap(), "0");
        debug.directory().set(file, "0").unwrap();
    }
}

#[hil::test]
fn a_reset_takes_the_capability(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let resets = || device.attributes().directory().number(attribute::RESETS);
    let before = resets().unwrap();
    let refused = without_admin(|| session.reset_engine().errno()).unwrap();
    assert_eq!(refused, Some(libc::EPERM));
    assert_eq!(resets().unwrap(), before);
    session.reset_engine().unwrap();
    assert_eq!(resets().unwrap(), before + 1);
}

#[hil::test]
fn what_is_no_limit_and_no_fault_takes_no_capability(_: &mut Target) {
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let timeout = directory.text(attribute::TIMEOUT_MS).unwrap();
    without_admin(|| directory.set(attribute::TIMEOUT_MS, &timeout))
        .unwrap()
        .unwrap();
    without_admin(|| device.session().map(|session| session.copy(0, 2048, 1)))
        .unwrap()
        .unwrap()
        .unwrap();
}

#[hil::test]
fn root_of_a_user_namespace_has_not_the_capability(_: &mut Target) {
    let limits = group(limits::GROUP).unwrap();
    let sessions = limits.path().join(limits::SESSIONS);
    let before = limits.number(limits::SESSIONS).unwrap();
    let end = writes_as_root_of_a_namespace(open(sessions).unwrap(), b"77\n").unwrap();
    assert!(matches!(end, WaitStatus::Exited(_, libc::EPERM)), "{end:?}");
    assert_eq!(limits.number(limits::SESSIONS).unwrap(), before);

    // It is the driver that refuses: what takes no capability, it accepts through a file that was
    // open before.
    let directory = Device::first().unwrap();
    let directory = directory.attributes().directory();
    let timeout = directory.text(attribute::TIMEOUT_MS).unwrap();
    let file = open(directory.path().join(attribute::TIMEOUT_MS)).unwrap();
    let end = writes_as_root_of_a_namespace(file, timeout.as_bytes()).unwrap();
    assert!(matches!(end, WaitStatus::Exited(_, 0)), "{end:?}");
}

hil::main!();
