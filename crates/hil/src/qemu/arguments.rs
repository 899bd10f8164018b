// SPDX-License-Identifier: MIT OR Apache-2.0

//! The emulator's command line for a board.

use std::path::PathBuf;

use board_spec::{Board, Qemu, SerialUse};
use serde::{Deserialize, Serialize};

/// What a board boots from: paths as the emulator sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// The kernel, an arm64 `Image`, compressed or not.
    pub kernel: PathBuf,
    /// The initramfs, a cpio archive.
    pub initramfs: PathBuf,
    /// The device tree, unless the machine makes its own.
    pub device_tree: Option<PathBuf>,
    /// What is added to the kernel's command line after the console.
    pub kernel_arguments: Vec<String>,
}

/// The file descriptors that the emulator inherits.
pub(super) const CONSOLE_FD: i32 = 10;
pub(super) const AGENT_FD: i32 = 11;
pub(super) const MONITOR_FD: i32 = 12;

/// All arguments after the program's name.
pub(super) fn arguments(board: &Board, qemu: &Qemu, images: &Images) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut option = |name: &str, value: String| {
        arguments.push(name.to_owned());
        arguments.push(value);
    };
    option("-machine", qemu.machine.clone());
    if let Some(cpu) = &qemu.cpu {
        option("-cpu", cpu.clone());
    }
    option("-accel", "tcg".into());
    option("-m", qemu.memory.clone());
    option("-smp", qemu.cpus.to_string());
    option("-display", "none".into());
    option("-nic", "none".into());
    for (name, fd) in [
        ("console", CONSOLE_FD),
        ("agent", AGENT_FD),
        ("monitor", MONITOR_FD),
    ] {
        option("-chardev", format!("socket,id={name},fd={fd}"));
    }
    option("-object", "monitor-qmp,id=qmp,chardev=monitor".into());
    for port in &qemu.serial {
        let value = chardev(*port).map_or("null".into(), |name| format!("chardev:{name}"));
        option("-serial", value);
    }
    if !qemu.virtio_serial.is_empty() {
        option("-device", "virtio-serial-pci".into());
    }
    for name in qemu.virtio_serial.iter().filter_map(|port| chardev(*port)) {
        let port = &board.agent.port;
        option(
            "-device",
            format!("virtserialport,chardev={name},name={port}"),
        );
    }
    option("-kernel", images.kernel.display().to_string());
    option("-initrd", images.initramfs.display().to_string());
    if let Some(tree) = &images.device_tree {
        option("-dtb", tree.display().to_string());
    }
    option("-append", command_line(board, images));
    arguments.extend(["-monitor", "none", "-no-reboot"].map(str::to_owned));
    arguments
}

fn chardev(port: SerialUse) -> Option<&'static str> {
    match port {
        SerialUse::Console => Some("console"),
        SerialUse::Agent => Some("agent"),
        SerialUse::Unused => None,
    }
}

/// A panic restarts the board at once, which `-no-reboot` turns into the emulator's end.
fn command_line(board: &Board, images: &Images) -> String {
    let console = format!("console={},{}", board.console.device, board.console.baud);
    let mut words = vec![console, "panic=-1".to_owned()];
    words.extend(images.kernel_arguments.iter().cloned());
    words.join(" ")
}
