// SPDX-License-Identifier: MIT OR Apache-2.0

//! The emulator's command line for a board.

use std::path::PathBuf;

use board_spec::{Board, Qemu, SerialUse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// A network, in place of the agent's port: a real board has no other way to be reached, either.
    #[serde(default)]
    pub network: Option<Forward>,
}

/// A network of a board alone with this PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The port of this PC, on loopback.
    pub from: u16,
    /// The board's port that it leads to.
    pub to: u16,
}

/// The file descriptors that the emulator inherits.
pub(super) const CONSOLE_FD: i32 = 10;
pub(super) const AGENT_FD: i32 = 11;
pub(super) const MONITOR_FD: i32 = 12;
pub(super) const QTEST_FD: i32 = 13;
pub(super) const STORAGE_FD: i32 = 14;
/// That of the first peripheral; the others' follow, in the order of their names.
pub(super) const PERIPHERAL_FD: i32 = 15;

/// What the emulator calls the memory that peripherals see, too.
const SHARED_MEMORY: &str = "memory";

/// What the monitor calls a board's network.
const NETWORK: &str = "network";

/// All arguments after the program's name.
pub(super) fn arguments(
    board: &Board,
    qemu: &Qemu,
    images: &Images,
    has_storage: bool,
) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut option = |name: &str, value: String| {
        arguments.push(name.to_owned());
        arguments.push(value);
    };
    if qemu.peripheral.is_empty() {
        option("-machine", qemu.machine.clone());
    } else {
        // Only memory of this kind can be handed to another process.
        let size = &qemu.memory;
        let memory = format!("memory-backend-memfd,id={SHARED_MEMORY},size={size},share=on");
        option("-object", memory);
        let machine = format!("{},memory-backend={SHARED_MEMORY}", qemu.machine);
        option("-machine", machine);
    }
    if let Some(cpu) = &qemu.cpu {
        option("-cpu", cpu.clone());
    }
    option("-accel", "tcg".into());
    option("-m", qemu.memory.clone());
    option("-smp", qemu.cpus.to_string());
    option("-display", "none".into());
    match images.network.zip(qemu.network.as_ref()) {
        None => option("-nic", "none".into()),
        Some((Forward { from, to }, network)) => {
            // Restricted: the board reaches neither this PC nor the world.
            let forward = format!("hostfwd=tcp:127.0.0.1:{from}-:{to}");
            let netdev = format!("user,id={NETWORK},restrict=on,{forward}");
            option("-netdev", netdev);
            option("-device", format!("{},netdev={NETWORK}", network.device));
        }
    }
    for (name, fd) in [
        ("console", CONSOLE_FD),
        ("agent", AGENT_FD),
        ("monitor", MONITOR_FD),
        ("qtest", QTEST_FD),
    ] {
        option("-chardev", format!("socket,id={name},fd={fd}"));
    }
    option("-object", "monitor-qmp,id=qmp,chardev=monitor".into());
    option("-qtest", "chardev:qtest".into());
    option("-qtest-log", "none".into());
    // Where the network stands in for the agent's port, that is not connected.
    let chardev = |port: SerialUse| match port {
        SerialUse::Console => Some("console"),
        SerialUse::Agent if images.network.is_none() => Some("agent"),
        SerialUse::Agent | SerialUse::Unused => None,
    };
    for port in &qemu.serial {
        let value = chardev(*port).map_or("null".into(), |name| format!("chardev:{name}"));
        option("-serial", value);
    }
    let virtio = qemu.virtio_serial.iter().filter_map(|port| chardev(*port));
    let virtio: Vec<_> = virtio.collect();
    if !virtio.is_empty() {
        option("-device", "virtio-serial-pci".into());
    }
    for name in virtio {
        let port = &board.agent.port;
        option(
            "-device",
            format!("virtserialport,chardev={name},name={port}"),
        );
    }
    for device in &qemu.devices {
        option("-device", device.device.clone());
    }
    for (number, (name, peripheral)) in (1..).zip(&qemu.peripheral) {
        let slot = format!("{},id={},slot={number}", peripheral.slot, slot_of(name));
        option("-device", slot);
        option("-device", function(qemu, name).to_string());
    }
    if let Some(storage) = qemu.storage.as_ref().filter(|_| has_storage) {
        option("-add-fd", format!("fd={STORAGE_FD},set=0"));
        let file = "file=/dev/fdset/0,format=raw,auto-read-only=off";
        option("-drive", format!("{file},{}", storage.drive));
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

/// What the emulator calls the slot of a peripheral.
fn slot_of(name: &str) -> String {
    format!("{name}-slot")
}

/// How long the emulator waits for an answer of who plays a peripheral, in milliseconds: long enough
/// for a PC that is busy. QEMU's own 5 s are not.
const ANSWER_MS: u32 = 60_000;

/// What the emulator is told of a peripheral, when it starts and when it is put in again.
pub(super) fn function(qemu: &Qemu, name: &str) -> Value {
    let names = qemu.peripheral.keys().take_while(|other| *other != name);
    let fd = names.fold(PERIPHERAL_FD, |fd, _| fd + 1);
    json!({
        "driver": "vfio-user-pci",
        "id": name,
        "bus": slot_of(name),
        "x-msg-timeout": ANSWER_MS,
        "socket": { "type": "unix", "path": format!("/proc/self/fd/{fd}") },
    })
}

/// A panic restarts the board at once, which `-no-reboot` turns into the emulator's end.
fn command_line(board: &Board, images: &Images) -> String {
    let console = format!("console={},{}", board.console.device, board.console.baud);
    let mut words = vec![console, "panic=-1".to_owned()];
    let peripherals = board.qemu.iter().flat_map(|qemu| qemu.peripheral.values());
    words.extend(peripherals.flat_map(|one| one.kernel_arguments.clone()));
    words.extend(images.kernel_arguments.iter().cloned());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The arguments of each board of the kit that can be emulated.
    fn of_all(network: Option<Forward>) -> Vec<(Board, String)> {
        let images = Images {
            kernel: "k".into(),
            initramfs: "i".into(),
            device_tree: None,
            kernel_arguments: Vec::new(),
            network,
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let boards = board_spec::Boards::find(&folder).unwrap();
        let boards = boards.all().unwrap().into_iter();
        boards
            .filter_map(|board| {
                let words = arguments(&board, board.qemu.as_ref()?, &images, false);
                Some((board, words.join(" ")))
            })
            .collect()
    }

    #[test]
    fn a_board_on_a_network_has_no_port_for_the_agent() {
        let mut any = false;
        for (board, words) in of_all(Some(Forward { from: 4000, to: 22 })) {
            let Some(network) = board.qemu.unwrap().network else {
                continue;
            };
            any = true;
            let to = "hostfwd=tcp:127.0.0.1:4000-:22";
            assert!(
                words.contains(to) && words.contains("restrict=on"),
                "{words}"
            );
            let adapter = network.device;
            assert!(
                words.contains(&format!("-device {adapter},netdev=")),
                "{words}"
            );
            assert!(!words.contains("chardev:agent"), "{words}");
            assert!(!words.contains("virtserialport"), "{words}");
            assert!(words.contains("chardev:console"), "{words}");
        }
        assert!(any, "no board has a network");
    }

    #[test]
    fn memory_is_shared_only_where_a_peripheral_needs_it() {
        let mut any = false;
        for (board, words) in of_all(None) {
            let qemu = board.qemu.unwrap();
            let needs = !qemu.peripheral.is_empty();
            any |= needs;
            assert_eq!(words.contains("share=on"), needs, "{words}");
            assert_eq!(words.contains("memory-backend="), needs, "{words}");
            for (fd, name) in (PERIPHERAL_FD..).zip(qemu.peripheral.keys()) {
                let path = format!("/proc/self/fd/{fd}\"");
                let slot = format!("id={}", slot_of(name));
                assert!(words.contains(&path) && words.contains(&slot), "{words}");
            }
        }
        assert!(any, "no board has a peripheral");
    }

    #[test]
    fn a_board_without_a_network_has_the_agents_port() {
        for (_, words) in of_all(None) {
            let has_port = words.contains("chardev:agent") || words.contains("chardev=agent");
            assert!(has_port && words.contains("-nic none"), "{words}");
        }
    }
}
