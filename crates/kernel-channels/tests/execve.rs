// SPDX-License-Identifier: MIT OR Apache-2.0

//! Nothing that is opened here is passed on to the programs that this one starts. The only test of
//! its program: it looks at all that is open.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::path::PathBuf;

use kernel_channels::eventfd::{Counter, Loop, SignalQueue, Timer};
use kernel_channels::mmap::memfd::MemFd;
use kernel_channels::netlink::{Connection, Listener};
use kernel_channels::signal::Signal;
use kernel_channels::syscall::{open_process, take_descriptor};
use kernel_channels::uevent::Monitor;
use kernel_channels::watch::Watcher;

/// What is open and survives `execve(2)`.
fn passed_on() -> Vec<PathBuf> {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = descriptors.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let survivor = |number: String| {
        // What is gone by now was the folder itself.
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = i32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        let file = fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
        (flags & libc::O_CLOEXEC == 0).then_some(file)
    };
    numbers.filter_map(survivor).collect()
}

#[test]
fn nothing_is_passed_on_to_another_program() {
    let before = passed_on();
    let this = open_process(std::process::id()).unwrap();
    let _open = (
        Counter::new().unwrap(),
        Timer::new().unwrap(),
        SignalQueue::new(&[Signal::USER1]).unwrap(),
        Loop::new().unwrap(),
        MemFd::new(4096).unwrap(),
        Connection::open("nlctrl").unwrap(),
        Listener::join("nlctrl", "notify").unwrap(),
        Monitor::open().unwrap(),
        Watcher::new().unwrap(),
        take_descriptor(&this, 0).unwrap(),
    );
    assert_eq!(passed_on(), before);
}
