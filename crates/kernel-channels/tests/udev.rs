// SPDX-License-Identifier: MIT OR Apache-2.0

//! Events of `udevd` by libudev, in a network namespace without any: these tests send them, in the
//! form that it does, and as the root of that namespace. `with_udev.rs` runs them there.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel_channels::uevent::{Action, Monitor, UdevMonitor};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));
const SHORT: Option<Duration> = Some(Duration::from_millis(50));

/// The groups of the kernel and of `udevd`.
const KERNEL: u32 = 1;
const UDEVD: u32 = 2;

const VARIABLES: &str = "ACTION=change\0DEVPATH=/devices/virtual/misc/dmacopy0\0SUBSYSTEM=misc\0\
    DEVNAME=/dev/dmacopy0\0DEVLINKS=/dev/copier\0SEQNUM=4711\0";

/// One test after the other: all of them hear the same events.
static ALONE: Mutex<()> = Mutex::new(());

/// libudev listens only where `udevd` is running, as this file tells it.
fn begin() -> Result<MutexGuard<'static, ()>> {
    const CONTROL: &str = "/run/udev/control";
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !Path::new(CONTROL).exists() {
        let made = fs::create_dir_all("/run/udev").and_then(|()| fs::write(CONTROL, ""));
        made.map_err(|error| format!("{error}: this is not the sandbox of with_udev.rs"))?;
    }
    Ok(alone)
}

fn send(group: u32, message: &[u8]) -> Result<()> {
    let protocol = SockProtocol::NetlinkKObjectUEvent;
    let sender = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::empty(),
        protocol,
    )?;
    let to = NetlinkAddr::new(0, group);
    sendto(sender.as_raw_fd(), message, &to, MsgFlags::empty())?;
    Ok(())
}

/// A message of `udevd`: `struct monitor_netlink_header` of systemd's `sd-device-monitor`, with the
/// hash that the kernel filters by, then the variables.
fn message(magic: u32, subsystem: &str, variables: &str) -> Vec<u8> {
    const HEADER: u32 = 40;
    // CAST: no message is that long.
    let length = variables.len() as u32;
    let mut message = b"libudev\0".to_vec();
    message.extend(magic.to_be_bytes());
    for number in [HEADER, HEADER, length] {
        message.extend(number.to_ne_bytes());
    }
    for number in [hash(subsystem.as_bytes()), 0, 0, 0] {
        message.extend(number.to_be_bytes());
    }
    message.extend(variables.as_bytes());
    message
}

/// MurmurHash2 with the seed 0, as libudev has it.
fn hash(bytes: &[u8]) -> u32 {
    const FACTOR: u32 = 0x5bd1_e995;
    // CAST: no name is that long.
    let mut hash = bytes.len() as u32;
    let mut rest = bytes;
    while let Some((word, more)) = rest.split_first_chunk() {
        rest = more;
        let word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        let mixed = (word ^ (word >> 24)).wrapping_mul(FACTOR);
        hash = hash.wrapping_mul(FACTOR) ^ mixed;
    }
    for (index, byte) in rest.iter().enumerate().rev() {
        hash ^= u32::from(*byte) << (8 * index);
        if index == 0 {
            hash = hash.wrapping_mul(FACTOR);
        }
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

const MAGIC: u32 = 0xfeed_cafe;

#[test]
fn an_event_of_udevd_is_one_of_the_kernel_with_what_the_rules_have_added() {
    let _alone = begin().unwrap();
    let monitor = UdevMonitor::open(None).unwrap();
    send(UDEVD, &message(MAGIC, "misc", VARIABLES)).unwrap();
    let event = monitor.next(PATIENCE).unwrap().unwrap();
    assert_eq!(event.action, Action::Change);
    assert_eq!(event.devpath, "/devices/virtual/misc/dmacopy0");
    assert_eq!(event.subsystem.as_deref(), Some("misc"));
    assert_eq!(event.seqnum, 4711);
    assert_eq!(event.variables["DEVLINKS"], "/dev/copier");
    assert_eq!(event.variables.len(), 6);
    assert_eq!(monitor.next(SHORT).unwrap(), None);
}

#[test]
fn an_event_of_udevd_is_none_of_the_kernel_and_the_other_way_round() {
    let _alone = begin().unwrap();
    let (udevd, kernel) = (UdevMonitor::open(None).unwrap(), Monitor::open().unwrap());
    send(UDEVD, &message(MAGIC, "misc", VARIABLES)).unwrap();
    assert!(udevd.next(PATIENCE).unwrap().is_some());
    assert_eq!(kernel.next(SHORT).unwrap(), None);
    let plain = format!("change@/devices/virtual/misc/dmacopy0\0{VARIABLES}");
    send(KERNEL, plain.as_bytes()).unwrap();
    assert_eq!(udevd.next(SHORT).unwrap(), None);
    // Nor is it one of the kernel, which has not sent it.
    assert_eq!(kernel.next(SHORT).unwrap(), None);
}

#[test]
fn only_the_subsystem_that_was_asked_for_is_told() {
    let _alone = begin().unwrap();
    let monitor = UdevMonitor::open(Some("misc")).unwrap();
    let other = VARIABLES.replace("=misc", "=block");
    send(UDEVD, &message(MAGIC, "block", &other)).unwrap();
    send(
        UDEVD,
        &message(MAGIC, "misc", &VARIABLES.replace("4711", "4712")),
    )
    .unwrap();
    let event = monitor.next(PATIENCE).unwrap().unwrap();
    assert_eq!(event.seqnum, 4712);
}

#[test]
fn what_is_no_message_of_udevd_is_passed_over() {
    let _alone = begin().unwrap();
    let monitor = UdevMonitor::open(None).unwrap();
    send(UDEVD, &message(MAGIC + 1, "misc", VARIABLES)).unwrap();
    send(UDEVD, b"libudev\0").unwrap();
    assert_eq!(monitor.next(SHORT).unwrap(), None);
    let unknown = VARIABLES.replace("=change", "=explode");
    send(UDEVD, &message(MAGIC, "misc", &unknown)).unwrap();
    send(UDEVD, &message(MAGIC, "misc", VARIABLES)).unwrap();
    let event = monitor.next(PATIENCE).unwrap().unwrap();
    assert_eq!(event.action, Action::Change);
}
