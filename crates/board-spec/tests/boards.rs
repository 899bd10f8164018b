// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kit's own boards are well-formed, and wrong ones are refused with the reason.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use board_spec::{Board, Boards, Error};

fn kit_boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards")
}

/// A folder `name` with this `board.toml`; the guard keeps it.
fn folder_with(text: &str) -> (tempfile::TempDir, PathBuf) {
    let guard = tempfile::tempdir().unwrap();
    let folder = guard.path().join("some-board");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("board.toml"), text).unwrap();
    (guard, folder)
}

const MINIMAL: &str = r#"
title = "Some Board"
compatible = ["some,board"]
[kernel]
[console]
device = "ttyS0"
baud = 115200
[agent]
port = "ttyS1"
"#;

#[test]
fn every_folder_of_the_kit_holds_a_valid_board() {
    let boards = Boards::find(&kit_boards()).unwrap();
    assert!(boards.names().len() >= 2, "{:?}", boards.names());
    for board in boards.all().unwrap() {
        assert!(board.qemu.is_some(), "{} cannot be emulated", board.name);
    }
    let folders = std::fs::read_dir(kit_boards()).unwrap();
    for folder in folders.map(|entry| entry.unwrap()) {
        if folder.file_type().unwrap().is_dir() {
            let name = folder.file_name().into_string().unwrap();
            assert!(boards.names().contains(&name), "{name} has no board.toml");
        }
    }
}

#[test]
fn a_minimal_board_needs_no_emulation() {
    let (_guard, folder) = folder_with(MINIMAL);
    let board = Board::read(&folder).unwrap();
    assert_eq!(board.name, "some-board");
    assert_eq!(board.qemu, None);
    assert_eq!(board.overlay, None);
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let (_guard, folder) = folder_with(&MINIMAL.replace("baud", "bauds"));
    let error = Board::read(&folder).unwrap_err();
    let Error::Parse { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(source.to_string().contains("bauds"), "{source}");
}

#[test]
fn a_device_tree_outside_of_the_kernel_package_is_refused() {
    for tree in ["/etc/passwd", "../x.dtb"] {
        let kernel = format!("[kernel]\ndevice_tree = {tree:?}");
        let (_guard, folder) = folder_with(&MINIMAL.replace("[kernel]", &kernel));
        let error = Board::read(&folder).unwrap_err().to_string();
        assert!(error.contains("not a path below the dtb folder"), "{error}");
    }
}

#[test]
fn an_emulated_board_must_give_the_agent_exactly_one_port() {
    let qemu = "[qemu]\nmachine = \"x\"\nmemory = \"1G\"\ncpus = 1\nserial = [\"console\"]\n";
    let (_guard, folder) = folder_with(&format!("{MINIMAL}{qemu}"));
    let error = Board::read(&folder).unwrap_err().to_string();
    assert!(error.contains("name the agent 0 times"), "{error}");
}

#[test]
fn an_overlay_without_a_device_tree_is_refused() {
    let (_guard, folder) = folder_with(MINIMAL);
    std::fs::write(folder.join("overlay.dtso"), "/dts-v1/; /plugin/;").unwrap();
    let error = Board::read(&folder).unwrap_err().to_string();
    assert!(error.contains("no kernel.device_tree"), "{error}");
}

#[test]
fn what_the_emulator_changes_of_no_device_tree_is_refused() {
    let (_guard, folder) = folder_with(MINIMAL);
    std::fs::write(folder.join("emulator.dts"), "/dts-v1/;").unwrap();
    let error = Board::read(&folder).unwrap_err().to_string();
    assert!(
        error.contains("no kernel.device_tree to include"),
        "{error}"
    );
}

#[test]
fn a_wrong_name_suggests_the_near_ones() {
    let boards = Boards::find(&kit_boards()).unwrap();
    for wrong in ["raspberry-pi-3", "raspberypi3b", "pi-3b", "raspberry_pi_3b"] {
        let error = boards.board(wrong).unwrap_err();
        let Error::Unknown { near, .. } = &error else {
            panic!("{error:?}");
        };
        let first = near.first().map(String::as_str);
        assert_eq!(first, Some("raspberry-pi-3b"), "for {wrong}: {near:?}");
    }
    let error = boards.board("zx81").unwrap_err().to_string();
    assert!(error.contains("there are raspberry-pi-3b"), "{error}");
}

#[test]
fn a_port_that_would_be_more_than_one_word_is_refused() {
    for (key, port) in [("console.device", "ttyS0"), ("agent.port", "ttyS1")] {
        for bad in ["ttyS0 init=/bin/sh", "x,id=console", ""] {
            let text = MINIMAL.replace(&format!("{port:?}"), &format!("{bad:?}"));
            let (_guard, folder) = folder_with(&text);
            let error = Board::read(&folder).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
            assert!(error.contains("no name of a port"), "{error}");
        }
    }
}

#[test]
fn a_network_adapter_that_would_be_more_than_one_word_is_refused() {
    let qemu =
        "[qemu]\nmachine = \"m\"\nmemory = \"1G\"\ncpus = 1\nserial = [\"console\", \"agent\"]\n";
    let with = |device: &str| {
        let network = format!("[qemu.network]\ndevice = {device:?}\ninterface = \"eth0\"\n");
        let (_guard, folder) = folder_with(&format!("{MINIMAL}{qemu}{network}"));
        Board::read(&folder)
    };
    let network = with("usb-net").unwrap().qemu.unwrap().network.unwrap();
    assert_eq!(
        (network.device.as_str(), network.modules.len()),
        ("usb-net", 0)
    );
    for bad in ["", "usb-net,netdev=x", "a b"] {
        let error = with(bad).unwrap_err().to_string();
        assert!(error.contains("qemu.network.device"), "{error}");
    }
}

#[test]
fn a_board_that_could_not_be_recognised_is_refused() {
    let (_guard, folder) = folder_with(&MINIMAL.replace("\"some,board\"", ""));
    let error = Board::read(&folder).unwrap_err().to_string();
    assert!(error.contains("compatible names nothing"), "{error}");
}

#[test]
fn a_default_that_is_no_board_is_refused() {
    let (guard, _folder) = folder_with(MINIMAL);
    let find = |default: &str| {
        let text = format!("default = {default:?}\n");
        std::fs::write(guard.path().join("boards.toml"), text).unwrap();
        Boards::find(guard.path())
    };
    assert_eq!(find("some-board").unwrap().default_name(), "some-board");
    let error = find("other-board").unwrap_err();
    assert!(
        matches!(&error, Error::Unknown { name, .. } if name == "other-board"),
        "{error:?}"
    );
}

#[test]
fn a_capability_that_no_list_names_is_refused() {
    let guard = tempfile::tempdir().unwrap();
    let folder = guard.path().join("some-board");
    std::fs::create_dir(&folder).unwrap();
    let list = "default = \"some-board\"\n[capabilities]\npci = \"a bus\"\n";
    std::fs::write(guard.path().join("boards.toml"), list).unwrap();
    let with = |capability: &str| {
        let text = format!("capabilities = [{capability:?}]\n{MINIMAL}");
        std::fs::write(folder.join("board.toml"), text).unwrap();
        Boards::find(guard.path()).unwrap().board("some-board")
    };
    assert!(with("pci").unwrap().capabilities.contains("pci"));
    let error = with("pcie").unwrap_err();
    assert!(error.to_string().contains("pcie"), "{error}");
}

#[test]
fn a_stimulus_that_cannot_be_is_refused_with_its_name() {
    let qemu =
        "[qemu]\nmachine = \"m\"\nmemory = \"1G\"\ncpus = 1\nserial = [\"console\", \"agent\"]\n";
    let told = |stimulus: &str| {
        let (_guard, folder) = folder_with(&format!("{MINIMAL}{qemu}[qemu.stimulus.{stimulus}"));
        Board::read(&folder)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let line = "led.line]\ndrive.registers = { high = 0, low = 4 }\nlevel = 8\nbit = ";
    assert_eq!(told(&format!("{line}31")), Ok(()));
    let bit = told(&format!("{line}32")).unwrap_err();
    assert!(bit.contains("qemu.stimulus.led.line.bit is 32"), "{bit}");
    let spaced = told("power]\nbutton = { command = \"stop\\ncont\" }").unwrap_err();
    assert!(spaced.contains("qemu.stimulus.power names"), "{spaced}");
    let write =
        |value| format!("off]\nbutton = {{ write = {{ register = 16, value = {value} }} }}");
    assert_eq!(told(&write("0xffffffff")), Ok(()));
    assert!(told(&write("-1")).is_err());
    let name = told("\"a b\"]\nbutton = { command = \"stop\" }").unwrap_err();
    assert!(name.contains("other characters"), "{name}");
}
